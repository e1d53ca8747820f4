//! How long an endpoint's answers take, kept in one atomic word that all cores read and write without a lock.
//!
//! A peak-sensitive moving average, as Finagle has it: a slower answer than the average is believed at once, faster ones
//! bring it down over [`DECAY`], and so does silence, or an endpoint that was slow once would never be asked again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forebay_clock::Moment;

/// The time in which an old observation loses 63% of its say: Finagle's and Linkerd's choice.
pub const DECAY: Duration = Duration::from_secs(10);
/// A failure counts as an answer that took at least this long, or else failing fast would look like being fast.
pub const FAILURE_LATENCY: Duration = Duration::from_secs(1);
/// Tries to store one observation. Whoever loses more races loses an observation among many at the same moment.
const SWAPS_MAX: usize = 4;
/// Ticks are 2²⁰ ns, about a millisecond: 31 bits of them cover 26 days, after which an unused average is as good as new.
const TICK_NANOS_LOG2: u32 = 20;

/// The shared average. Give each endpoint's live state one, so that it outlives fleets and configurations.
///
/// ```
/// use std::time::Duration;
/// use forebay_balance::PeakEwma;
/// use forebay_clock::Moment;
///
/// let latency = PeakEwma::default();
/// assert_eq!(latency.cost(Moment::START), None);
/// latency.observe(Moment::START, Duration::from_millis(80));
/// assert_eq!(latency.cost(Moment::START), Some(Duration::from_millis(80)));
/// ```
// The low half is the tick of the latest observation, the high half the average in nanoseconds as an `f32`. All zero:
// never observed.
#[derive(Debug, Default)]
pub struct PeakEwma(AtomicU64);

impl PeakEwma {
    /// An answer's head came after `latency`.
    pub fn observe(&self, now: Moment, latency: Duration) {
        let latency = (latency.as_nanos() as f32).max(1.0);
        let mut old = self.0.load(Ordering::Relaxed);
        for _ in 0..SWAPS_MAX {
            let new = pack(now, after(old, now, latency));
            // Relaxed: the word stands alone.
            match self.0.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => old = found,
            }
        }
    }

    /// The attempt failed after `latency`, or was answered with what counts as a failure.
    pub fn observe_failure(&self, now: Moment, latency: Duration) {
        self.observe(now, latency.max(FAILURE_LATENCY));
    }

    /// What an answer is expected to take; `None` as long as none was observed.
    pub fn cost(&self, now: Moment) -> Option<Duration> {
        self.cost_nanos(now).map(|nanos| Duration::from_nanos(nanos as u64))
    }

    pub(crate) fn cost_nanos(&self, now: Moment) -> Option<f32> {
        let word = self.0.load(Ordering::Relaxed);
        (word != 0).then(|| average(word) * kept(word, now))
    }
}

/// The average once `latency` has been observed.
fn after(word: u64, now: Moment, latency: f32) -> f32 {
    let old = average(word);
    // Against the average as it was: silence makes an endpoint worth a try, it does not make its answers faster.
    if word == 0 || latency >= old {
        return latency;
    }
    let kept = kept(word, now);
    old * kept + latency * (1.0 - kept)
}

fn pack(now: Moment, average: f32) -> u64 {
    u64::from(average.to_bits()) << 32 | u64::from(tick(now))
}

fn average(word: u64) -> f32 {
    f32::from_bits((word >> 32) as u32)
}

fn tick(now: Moment) -> u32 {
    (now.as_nanos() >> TICK_NANOS_LOG2) as u32
}

/// What part of the average has not decayed.
fn kept(word: u64, now: Moment) -> f32 {
    // Signed: another core's observation may be a little later than this one's `now`.
    let ticks = (tick(now).wrapping_sub(word as u32) as i32).max(0);
    let ticks_of_decay = (DECAY.as_nanos() >> TICK_NANOS_LOG2) as f32;
    (-(ticks as f32) / ticks_of_decay).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    fn millis(latency: &PeakEwma, now: Moment) -> f32 {
        latency.cost_nanos(now).unwrap() / 1e6
    }

    #[test]
    fn a_peak_is_believed_at_once_and_forgotten_slowly() {
        let latency = PeakEwma::default();
        latency.observe(at(1), Duration::from_millis(10));
        latency.observe(at(1), Duration::from_millis(500));
        assert_eq!(millis(&latency, at(1)).round(), 500.0);
        latency.observe(at(11), Duration::from_millis(10));
        // 500/e + 10(1 - 1/e)
        assert!((millis(&latency, at(11)) - 190.3).abs() < 0.5, "{}", millis(&latency, at(11)));
    }

    #[test]
    fn silence_makes_an_endpoint_worth_a_try() {
        let latency = PeakEwma::default();
        latency.observe(at(1), Duration::from_secs(2));
        assert!(millis(&latency, at(61)) < 6.0);
        latency.observe(at(61), Duration::from_secs(2));
        assert_eq!(millis(&latency, at(61)).round(), 2000.0);
    }

    #[test]
    fn failing_fast_does_not_look_like_being_fast() {
        let latency = PeakEwma::default();
        latency.observe_failure(at(1), Duration::from_micros(50));
        assert_eq!(latency.cost(at(1)), Some(FAILURE_LATENCY));
    }

    #[test]
    fn a_moment_before_the_latest_observation_is_the_same_time() {
        let latency = PeakEwma::default();
        latency.observe(at(5), Duration::from_millis(10));
        assert_eq!(latency.cost(at(4)), latency.cost(at(5)));
    }

    #[test]
    fn observations_of_many_threads_leave_one_of_them() {
        let latency = PeakEwma::default();
        std::thread::scope(|scope| {
            for thread in 1..=4u64 {
                let latency = &latency;
                scope.spawn(move || {
                    (0..1000).for_each(|_| latency.observe(at(1), Duration::from_millis(thread)));
                });
            }
        });
        let left = millis(&latency, at(1));
        assert!((1.0..=4.01).contains(&left), "{left}");
    }
}
