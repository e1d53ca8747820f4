//! Whether one more request is within a rate: the generic cell rate algorithm (ITU-T I.371, annex A, as virtual
//! scheduling). One word of state, whole numbers alone. Knows no callers.
//!
//! The word is the moment at which the next request would be due if all came evenly, the theoretical arrival time. A
//! request that comes earlier than that borrows, up to a burst; one that comes later has lost nothing, since nothing is
//! saved beyond the burst. It is a token bucket (Envoy's, HAProxy's shapers) without the filling: a word that lies in the
//! past says that the whole burst is there, whoever wrote it and when.

use std::time::Duration;

use forebay_clock::Moment;
use forebay_config::Rate;

/// A nanosecond is cut into so many parts at most, so that the word reaches for 36 years. Rates of whose interval that
/// makes no whole number are slower than written by less than one in ten thousand.
const PARTS_MAX: u64 = 16;
/// Later than any clock. Above it is room for a burst, so that sums need no checks.
const NOW_MAX: u64 = u64::MAX / 4;

/// A rate and a burst. Times are in parts of a nanosecond, so that the interval between requests is a whole number: three a
/// second are not 333,333,333 ns apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    /// Parts that a nanosecond has.
    parts: u64,
    /// Between requests that come evenly.
    interval: u64,
    /// How much sooner one may come: all of the burst but itself.
    tolerance: u64,
}

impl Gcra {
    /// The word of whom nothing is known: his whole burst is there.
    pub const UNKNOWN: u64 = 0;

    /// On average `rate`, of which `burst` may come at once; at least one.
    pub fn new(rate: Rate, burst: u32) -> Gcra {
        let (period_ns, count) = (rate.period.duration().as_nanos() as u64, u64::from(rate.count).max(1));
        let parts = (count / gcd(period_ns, count)).min(PARTS_MAX);
        // Rounded up: the rate is never exceeded.
        let interval = (period_ns * parts).div_ceil(count);
        let tolerance = interval.saturating_mul(u64::from(burst.max(1)) - 1).min(NOW_MAX);
        Gcra { parts, interval, tolerance }
    }

    /// The word after one more request, or how long until there would be room for it. `now` may be a little behind what
    /// another core has seen.
    pub fn admit(&self, word: u64, now: Moment) -> Result<u64, Duration> {
        let now = self.scaled(now);
        let due = word.max(now);
        match (due - now).checked_sub(self.tolerance) {
            None | Some(0) => Ok(due + self.interval),
            Some(early) => Err(Duration::from_nanos(early.div_ceil(self.parts))),
        }
    }

    /// Whether the word says no more than that the whole burst is there.
    pub fn has_whole_burst(&self, word: u64, now: Moment) -> bool {
        word <= self.scaled(now)
    }

    fn scaled(&self, now: Moment) -> u64 {
        now.as_nanos().saturating_mul(self.parts).min(NOW_MAX)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use forebay_config::RatePeriod;
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000_000;

    fn gcra(count: u32, period: RatePeriod, burst: u32) -> Gcra {
        Gcra::new(Rate { count, period }, burst)
    }

    /// Which of the requests at these moments are admitted.
    fn admitted(gcra: &Gcra, at_ns: &[u64]) -> Vec<bool> {
        let mut word = Gcra::UNKNOWN;
        let mut admit = |&at: &u64| match gcra.admit(word, Moment::from_nanos(at)) {
            Ok(next) => {
                word = next;
                true
            }
            Err(_) => false,
        };
        at_ns.iter().map(&mut admit).collect()
    }

    #[test]
    fn a_burst_comes_at_once_and_then_one_per_interval() {
        let gcra = gcra(10, RatePeriod::Second, 3);
        let at = [0, 0, 0, 0, S / 10 - 1, S / 10, S / 10, S, S, S, S];
        let expected = [true, true, true, false, false, true, false, true, true, true, false];
        assert_eq!(admitted(&gcra, &at), expected);
    }

    #[test]
    fn intervals_that_are_no_whole_nanoseconds_add_up() {
        for count in [3, 7, 9, 300] {
            let gcra = gcra(count, RatePeriod::Second, count);
            let at: Vec<u64> = (0..20).flat_map(|second| vec![second * S; count as usize]).collect();
            assert_eq!(admitted(&gcra, &at), vec![true; at.len()], "{count} each second, to the nanosecond");
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_let_everything_through() {
        for (count, period) in
            [(1, RatePeriod::Day), (u32::MAX, RatePeriod::Second), (999_983, RatePeriod::Second)]
        {
            for burst in [1, u32::MAX] {
                let gcra = gcra(count, period, burst);
                for now in [Moment::START, Moment::from_nanos(u64::MAX / 2), Moment::NEVER] {
                    let word = gcra.admit(Gcra::UNKNOWN, now).expect("the first");
                    assert!(!gcra.has_whole_burst(word, now), "{gcra:?} at {now:?}");
                    assert_eq!(gcra.admit(word, now).is_err(), burst == 1, "{gcra:?} at {now:?}");
                }
            }
        }
    }

    #[test]
    fn a_rate_of_no_whole_parts_is_hardly_slower() {
        // The worst there is: a prime, as large as the settings allow.
        let gcra = gcra(999_983, RatePeriod::Second, 1);
        let exact = S as f64 * gcra.parts as f64 / 999_983.0;
        assert!((1.0..1.0001).contains(&(gcra.interval as f64 / exact)), "{gcra:?}");
    }

    fn rates() -> impl Strategy<Value = (u32, RatePeriod)> {
        use RatePeriod::{Day, Hour, Minute, Second};
        (1..=5000u32, prop_oneof![Just(Second), Just(Minute), Just(Hour), Just(Day)])
    }

    /// Requests, each so many hundredths of an interval after the one before.
    fn arrivals() -> impl Strategy<Value = Vec<u64>> {
        let gap = prop_oneof![3 => Just(0u64), 3 => 0..150u64, 1 => 0..1500u64];
        proptest::collection::vec(gap, 1..120)
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_the_rate_and_a_burst(
            (count, period) in rates(), burst in 1..=20u32, gaps in arrivals(), start in 0..1u64 << 50,
        ) {
            let gcra = gcra(count, period, burst);
            let period_ns = period.duration().as_nanos();
            let interval = period_ns as u64 / u64::from(count);
            let at: Vec<u64> = gaps.iter().scan(start, |at, gap| { *at += interval * gap / 100; Some(*at) }).collect();
            let admitted = admitted(&gcra, &at);
            let taken: Vec<u64> = at.iter().zip(admitted).filter(|(_, admitted)| *admitted).map(|(at, _)| *at).collect();
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let requests = (last - first + 1) as u128;
                    let earned = u128::from(to - from) * u128::from(count) / period_ns;
                    prop_assert!(requests <= u128::from(burst) + earned, "{requests} within {} ns", to - from);
                }
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_refused(
            (count, period) in rates(), burst in 1..=20u32, gaps in proptest::collection::vec(0..300u64, 1..200),
        ) {
            let gcra = gcra(count, period, burst);
            let interval = (period.duration().as_nanos() as u64).div_ceil(u64::from(count));
            let mut at: Vec<u64> = Vec::new();
            let mut next = 0;
            for gap in gaps {
                next += interval * gap / 100;
                // As many intervals after the one that came a burst before.
                let before = at.len().checked_sub(burst as usize).map(|place| at[place]);
                next = next.max(before.map_or(0, |then| then + interval * u64::from(burst)));
                at.push(next);
            }
            prop_assert_eq!(admitted(&gcra, &at), vec![true; at.len()]);
        }

        #[test]
        fn after_the_wait_there_is_room_and_not_before(
            (count, period) in rates(), burst in 1..=20u32, now in 0..1u64 << 50,
        ) {
            let gcra = gcra(count, period, burst);
            let now = Moment::from_nanos(now);
            let mut word = Gcra::UNKNOWN;
            let wait = loop {
                match gcra.admit(word, now) {
                    Ok(next) => word = next,
                    Err(wait) => break wait,
                }
            };
            prop_assert!(gcra.admit(word, now + wait).is_ok());
            prop_assert!(gcra.admit(word, now + (wait - Duration::from_nanos(1))).is_err());
        }
    }
}
