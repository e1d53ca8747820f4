//! How long a service's answers take of late, as a percentile that all cores measure together. Decides nothing about it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forebay_clock::Moment;

/// Buckets to each doubling: a percentile is at most a sixteenth too long.
const FINE: u64 = 16;
/// Up to 2²⁷ µs, 134 s; what takes longer counts as that.
const BUCKETS: usize = 23 * FINE as usize + FINE as usize;
const LONGEST_US: u64 = (1 << 27) - 1;

/// How often the percentile is looked up anew.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often half of what was counted is forgotten.
const HALVE_EVERY: Duration = Duration::from_secs(10);
/// Fewer answers than this say nothing about one in twenty of them.
const ANSWERS_MIN: u64 = 100;

/// A percentile of a service's latencies; what is ten seconds older counts half.
///
/// Shared by all cores: an answer costs one atomic addition, asking for the percentile one load. A quarter of a second
/// after the last look, whoever comes first counts through the buckets. Relaxed throughout: nothing else is published
/// through it, and a percentile is an estimate.
#[derive(Debug)]
pub struct Latencies {
    percentile_permille: u32,
    buckets: Box<[AtomicU32; BUCKETS]>,
    looked_at_ns: AtomicU64,
    halved_at_ns: AtomicU64,
    /// Nanoseconds; zero while too little is known.
    measured_ns: AtomicU64,
}

impl Latencies {
    /// Measures this percentile: 950 is the time within which 95% of answers come.
    pub fn new(percentile_permille: u32) -> Latencies {
        Latencies {
            percentile_permille: percentile_permille.min(1000),
            buckets: Box::new([const { AtomicU32::new(0) }; BUCKETS]),
            looked_at_ns: AtomicU64::new(0),
            halved_at_ns: AtomicU64::new(0),
            measured_ns: AtomicU64::new(0),
        }
    }

    /// Counts how long a first attempt took to its response's head.
    ///
    /// One that was given up because a hedge was faster counts with the time it had taken: that is less than the truth,
    /// but beyond the percentile, which would sink without it.
    pub fn record(&self, took: Duration, now: Moment) {
        self.buckets[bucket(took)].fetch_add(1, Relaxed);
        let looked_ns = self.looked_at_ns.load(Relaxed);
        if now.since(Moment::from_nanos(looked_ns)) >= LOOK_EVERY {
            self.look(looked_ns, now);
        }
    }

    /// The percentile as it was last looked up; `None` with fewer than a hundred answers.
    pub fn measured(&self) -> Option<Duration> {
        match self.measured_ns.load(Relaxed) {
            0 => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }

    #[cold]
    fn look(&self, looked_ns: u64, now: Moment) {
        if self.looked_at_ns.compare_exchange(looked_ns, now.as_nanos(), Relaxed, Relaxed).is_err() {
            return; // Another core looks.
        }
        let counts: Vec<u32> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let measured = percentile(&counts, self.percentile_permille);
        self.measured_ns.store(measured.map_or(0, |took| took.as_nanos() as u64), Relaxed);
        // Only who looks comes here, so this has one writer at a time.
        if now.since(Moment::from_nanos(self.halved_at_ns.load(Relaxed))) >= HALVE_EVERY {
            self.halved_at_ns.store(now.as_nanos(), Relaxed);
            self.halve(&counts, (now.as_nanos() / HALVE_EVERY.as_nanos() as u64) as u32);
        }
    }

    /// Odd counts are rounded up in every other bucket, the others the next time, so that sparse ones are not forgotten faster than the others.
    fn halve(&self, counts: &[u32], round: u32) {
        for (at, (bucket, count)) in self.buckets.iter().zip(counts).enumerate() {
            let forgotten = (count + (at as u32 + round) % 2) / 2;
            if forgotten > 0 {
                bucket.fetch_sub(forgotten, Relaxed);
            }
        }
    }
}

/// Within what time so many thousandths of the counted answers came.
fn percentile(counts: &[u32], permille: u32) -> Option<Duration> {
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    if total < ANSWERS_MIN {
        return None;
    }
    let wanted = (total * u64::from(permille)).div_ceil(1000);
    let mut seen = 0;
    let at = counts.iter().position(|&count| {
        seen += u64::from(count);
        seen >= wanted
    });
    at.map(longest_of)
}

/// A bucket for each 16th of a doubling, and for each microsecond below sixteen.
fn bucket(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).min(LONGEST_US);
    if us < FINE {
        return us as usize;
    }
    let shift = us.ilog2() - FINE.ilog2();
    (u64::from(shift) * FINE + (us >> shift)) as usize
}

/// The longest time that falls into a bucket.
fn longest_of(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let us = match bucket / FINE {
        0 => bucket,
        doubling => ((FINE + bucket % FINE + 1) << (doubling - 1)) - 1,
    };
    Duration::from_micros(us + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Answers that take 1 to 1000 ms, each as often, a thousand a second.
    fn uniform(latencies: &Latencies, from: Moment, seconds: u64, factor: u32) -> Moment {
        let mut rng = fastrand::Rng::with_seed(3);
        for number in 1..=seconds * 1000 {
            latencies.record(ms(rng.u64(1..=1000)) * factor, from + ms(number));
        }
        from + ms(seconds * 1000)
    }

    #[test]
    fn the_percentile_is_known_to_a_sixteenth() {
        for permille in [500, 900, 950, 990, 999] {
            let latencies = Latencies::new(permille);
            uniform(&latencies, Moment::START, 20, 1);
            let measured = latencies.measured().unwrap().as_secs_f64() * 1000.0 / f64::from(permille);
            assert!((0.95..1.12).contains(&measured), "{permille}: off by a factor of {measured}");
        }
    }

    #[test]
    fn a_few_answers_say_nothing() {
        let latencies = Latencies::new(950);
        let now = Moment::START + LOOK_EVERY;
        (0..99).for_each(|_| latencies.record(ms(10), now));
        latencies.record(ms(10), now + LOOK_EVERY);
        assert!(latencies.measured().is_some_and(|took| (ms(10)..ms(11)).contains(&took)));
        latencies.record(ms(10), now + HALVE_EVERY);
        latencies.record(ms(10), now + HALVE_EVERY * 2);
        assert_eq!(latencies.measured(), None, "half of a hundred are left");
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let latencies = Latencies::new(950);
        let now = uniform(&latencies, Moment::START, 60, 10);
        let before = latencies.measured().unwrap();
        let now = uniform(&latencies, now, 10, 1);
        let mixed = latencies.measured().unwrap();
        uniform(&latencies, now, 50, 1);
        let after = latencies.measured().unwrap();
        assert!(
            before > ms(9000) && mixed > ms(7000),
            "{before:?}, {mixed:?}: half of the answers are old ones"
        );
        assert!(after < ms(1100), "{after:?}");
    }

    #[test]
    fn no_count_is_lost_between_cores() {
        let latencies = Latencies::new(500);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| latencies.record(ms(5), Moment::START)));
            }
        });
        assert_eq!(latencies.buckets[bucket(ms(5))].load(Relaxed), 40_000);
    }

    proptest! {
        #[test]
        fn a_time_is_in_the_bucket_that_ends_above_it(us in 0..=LONGEST_US) {
            let bucket = bucket(Duration::from_micros(us));
            let longest = longest_of(bucket).as_micros() as u64;
            prop_assert!(bucket < BUCKETS && us < longest && longest <= us + us / FINE + 1);
        }
    }
}
