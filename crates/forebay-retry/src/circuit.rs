//! The states of a circuit breaker and what leads from one to the next. A value without clock and counters: those are
//! the breaker's.

use std::time::Duration;

use forebay_clock::Moment;

/// A state never lasts longer by itself than 2⁴⁵ ms after the clock's start, which is a thousand years.
const MS_BITS: u32 = 45;
/// Doublings of the time open; further failures do not make it longer.
pub(crate) const TIMES_MAX: u8 = 31;
/// What fits beside the rest.
pub(crate) const PROBES_MAX: u8 = 63;

/// What a breaker does with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// All pass.
    Closed,
    /// None passes until then.
    Open {
        /// Milliseconds since the clock's start.
        until_ms: u64,
        /// How often it has opened without a success between.
        times: u8,
    },
    /// A few pass, and what becomes of them decides.
    HalfOpen {
        /// Milliseconds since the clock's start; tells this trial from the ones before.
        since_ms: u64,
        /// As when it was open.
        times: u8,
        /// Probes sent and not taken back.
        sent: u8,
        /// Probes that did well.
        good: u8,
    },
}

/// How long a breaker stays open and what it takes to close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The first time.
    pub open: Duration,
    /// It doubles with each failed trial up to this.
    pub open_max: Duration,
    /// Requests that are let through on trial, of which each must do well; 1 to 63.
    pub probes: u8,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Pass,
    /// On trial; the number tells which.
    Probe(u64),
    /// Not before then.
    Refuse(Duration),
}

impl Circuit {
    /// What to do with a request that comes now, and the state after it.
    pub(crate) fn admit(self, now: Moment, opening: &Opening) -> (Circuit, Step) {
        let now_ms = ms(now);
        match self {
            Circuit::Closed => (self, Step::Pass),
            Circuit::Open { until_ms, .. } if now_ms < until_ms => {
                (self, Step::Refuse(Duration::from_millis(until_ms - now_ms)))
            }
            Circuit::Open { times, .. } => {
                (Circuit::HalfOpen { since_ms: now_ms, times, sent: 1, good: 0 }, Step::Probe(now_ms))
            }
            Circuit::HalfOpen { since_ms, times, sent, good } => {
                let lasts_ms = opening.lasts_ms(times);
                if sent < opening.probes() {
                    (Circuit::HalfOpen { since_ms, times, sent: sent + 1, good }, Step::Probe(since_ms))
                } else if now_ms >= since_ms.saturating_add(lasts_ms) {
                    // Probes that never came back must not keep it half open for ever.
                    (Circuit::HalfOpen { since_ms: now_ms, times, sent: 1, good: 0 }, Step::Probe(now_ms))
                } else {
                    (self, Step::Refuse(Duration::from_millis(since_ms + lasts_ms - now_ms)))
                }
            }
        }
    }

    /// After too many failures: opens, if it was closed.
    pub(crate) fn trip(self, now: Moment, opening: &Opening) -> Circuit {
        match self {
            Circuit::Closed => Circuit::Open { until_ms: ms(now) + opening.lasts_ms(1), times: 1 },
            _ => self,
        }
    }

    /// After a probe of the trial `trial` has ended, well or not.
    pub(crate) fn judge(self, trial: u64, well: bool, now: Moment, opening: &Opening) -> Circuit {
        match self {
            Circuit::HalfOpen { since_ms, times, sent, good } if since_ms == trial => {
                if !well {
                    let times = times.saturating_add(1).min(TIMES_MAX);
                    Circuit::Open { until_ms: ms(now) + opening.lasts_ms(times), times }
                } else if good + 1 >= opening.probes() {
                    Circuit::Closed
                } else {
                    Circuit::HalfOpen { since_ms, times, sent, good: good + 1 }
                }
            }
            _ => self,
        }
    }

    /// After a probe of the trial was given up by its client: another takes its turn.
    pub(crate) fn forget(self, trial: u64) -> Circuit {
        match self {
            Circuit::HalfOpen { since_ms, times, sent, good } if since_ms == trial => {
                Circuit::HalfOpen { since_ms, times, sent: sent.saturating_sub(1).max(good), good }
            }
            _ => self,
        }
    }

    /// Zero for closed, so that the data path compares with nothing.
    pub(crate) fn to_bits(self) -> u64 {
        let at = |ms: u64| (ms & ((1 << MS_BITS) - 1)) << 19;
        match self {
            Circuit::Closed => 0,
            Circuit::Open { until_ms, times } => at(until_ms) | u64::from(times) << 14 | 1,
            Circuit::HalfOpen { since_ms, times, sent, good } => {
                at(since_ms) | u64::from(times) << 14 | u64::from(sent) << 8 | u64::from(good) << 2 | 2
            }
        }
    }

    pub(crate) fn from_bits(bits: u64) -> Circuit {
        let (at_ms, times) = (bits >> 19, (bits >> 14) as u8 & TIMES_MAX);
        match bits & 3 {
            0 => Circuit::Closed,
            1 => Circuit::Open { until_ms: at_ms, times },
            _ => {
                let (sent, good) = ((bits >> 8) as u8 & PROBES_MAX, (bits >> 2) as u8 & PROBES_MAX);
                Circuit::HalfOpen { since_ms: at_ms, times, sent, good }
            }
        }
    }
}

impl Opening {
    pub(crate) fn lasts_ms(&self, times: u8) -> u64 {
        let doubled = self.open.saturating_mul(1 << times.saturating_sub(1).min(30));
        u64::try_from(doubled.min(self.open_max.max(self.open)).as_millis()).unwrap_or(u64::MAX).max(1)
    }

    pub(crate) fn probes(&self) -> u8 {
        self.probes.clamp(1, PROBES_MAX)
    }
}

fn ms(moment: Moment) -> u64 {
    moment.as_nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPENING: Opening =
        Opening { open: Duration::from_secs(5), open_max: Duration::from_secs(15), probes: 2 };

    fn at(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }

    fn half_open(since_ms: u64, times: u8, sent: u8, good: u8) -> Circuit {
        Circuit::HalfOpen { since_ms, times, sent, good }
    }

    #[track_caller]
    fn check_admit(before: Circuit, now_ms: u64, after: Circuit, step: Step) {
        assert_eq!(before.admit(at(now_ms), &OPENING), (after, step));
    }

    #[test]
    fn an_open_circuit_lets_probes_through_when_its_time_is_over() {
        let open = Circuit::Closed.trip(at(1000), &OPENING);
        assert_eq!(open, Circuit::Open { until_ms: 6000, times: 1 });
        check_admit(Circuit::Closed, 0, Circuit::Closed, Step::Pass);
        check_admit(open, 1001, open, Step::Refuse(Duration::from_millis(4999)));
        check_admit(open, 6000, half_open(6000, 1, 1, 0), Step::Probe(6000));
        check_admit(half_open(6000, 1, 1, 0), 6001, half_open(6000, 1, 2, 0), Step::Probe(6000));
        let full = half_open(6000, 1, 2, 0);
        check_admit(full, 6002, full, Step::Refuse(Duration::from_millis(4998)));
        check_admit(full, 11_000, half_open(11_000, 1, 1, 0), Step::Probe(11_000));
    }

    #[test]
    fn all_probes_must_do_well() {
        let judge = |circuit: Circuit, trial, well| circuit.judge(trial, well, at(7000), &OPENING);
        let trial = half_open(6000, 1, 2, 0);
        assert_eq!(judge(trial, 6000, true), half_open(6000, 1, 2, 1));
        assert_eq!(judge(half_open(6000, 1, 2, 1), 6000, true), Circuit::Closed);
        assert_eq!(judge(trial, 6000, false), Circuit::Open { until_ms: 17_000, times: 2 }, "twice as long");
        assert_eq!(judge(trial, 5000, false), trial, "a probe of an earlier trial");
        assert_eq!(judge(Circuit::Closed, 6000, false), Circuit::Closed);
        let third = half_open(6000, 2, 1, 0);
        assert_eq!(judge(third, 6000, false), Circuit::Open { until_ms: 22_000, times: 3 }, "never longer");
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_room_for_another() {
        assert_eq!(half_open(6000, 1, 2, 1).forget(6000), half_open(6000, 1, 1, 1));
        assert_eq!(half_open(6000, 1, 1, 1).forget(6000), half_open(6000, 1, 1, 1), "one has done well");
        assert_eq!(half_open(6000, 1, 2, 0).forget(5000), half_open(6000, 1, 2, 0));
    }

    proptest! {
        #[test]
        fn a_state_survives_its_bits(ms in 0..1u64 << MS_BITS, times in 0..=TIMES_MAX, sent in 0..=PROBES_MAX, good in 0..=PROBES_MAX) {
            let states = [Circuit::Closed, Circuit::Open { until_ms: ms, times }, half_open(ms, times, sent, good)];
            for state in states {
                prop_assert_eq!(Circuit::from_bits(state.to_bits()), state);
            }
        }
    }
}
