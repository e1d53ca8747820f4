//! Whether and when a request that waits is sent a second time, to another endpoint. Never sends.
//!
//! One slow endpoint, one pause for garbage: the slowest few requests mostly have bad luck, and a second attempt somewhere
//! else is faster than to go on waiting (Dean and Barroso, "The Tail at Scale", CACM 2013). Sent after the 95th percentile,
//! it costs a twentieth more requests at most; and it pays for itself out of the budget that retries pay from.

use std::time::Duration;

use forebay_clock::Moment;

use crate::REMAINDER_MIN;

/// How a service's requests are hedged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// When.
    pub after: HedgeAfter,
    /// Never sooner: below this, waiting costs nobody anything.
    pub at_least: Duration,
}

/// How long a request waits before it is hedged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// A percentile of the service's latencies, in thousandths: 950 is p95. See [`crate::Latencies`].
    Percentile(u32),
    /// Always as long.
    Time(Duration),
}

/// A request whose first attempt has not been answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// When its first attempt began.
    pub since: Moment,
    /// Attempts so far, the one that is waited for included.
    pub attempts: u32,
    /// Whether repeating the request changes nothing more at the origin: see [`crate::is_idempotent`].
    pub idempotent: bool,
    /// Whether the request body can be sent from its beginning.
    pub body_replayable: bool,
    /// Whether there is an eligible endpoint besides the one that is waited for.
    pub another_endpoint: bool,
    /// When the client must have its answer.
    pub deadline: Moment,
    /// Whether the request is somebody's retry already: see [`crate::Nesting`].
    pub is_retry_of_caller: bool,
}

impl Hedge {
    /// When to send the second attempt if there is no answer by then; `None` for never. `measured` is what
    /// [`crate::Latencies::measured`] says.
    ///
    /// A hedge that is due costs what a retry costs: send it if [`crate::LocalBudget::try_withdraw`] allows, and otherwise
    /// go on waiting. Only a first attempt is hedged, once: whoever waits for a retry is in an outage, not unlucky.
    pub fn due(&self, waiting: &Waiting, measured: Option<Duration>) -> Option<Moment> {
        let may = waiting.attempts == 1
            && waiting.idempotent
            && waiting.body_replayable
            && waiting.another_endpoint
            && !waiting.is_retry_of_caller;
        let after = match self.after {
            HedgeAfter::Percentile(_) => measured?,
            HedgeAfter::Time(after) => after,
        };
        let due = waiting.since + after.max(self.at_least);
        (may && due + REMAINDER_MIN <= waiting.deadline).then_some(due)
    }

    /// The percentile to measure, in thousandths, if it needs one.
    pub const fn percentile_permille(&self) -> Option<u32> {
        match self.after {
            HedgeAfter::Percentile(permille) => Some(permille),
            HedgeAfter::Time(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_nanos(7_000_000_000);
    const GET: Waiting = Waiting {
        since: NOW,
        attempts: 1,
        idempotent: true,
        body_replayable: true,
        another_endpoint: true,
        deadline: Moment::NEVER,
        is_retry_of_caller: false,
    };
    const P95: Hedge = Hedge { after: HedgeAfter::Percentile(950), at_least: Duration::from_millis(1) };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_hedge_waits_for_what_was_measured() {
        let after = |hedge: &Hedge, measured| hedge.due(&GET, measured).map(|due| due - NOW);
        assert_eq!(after(&P95, Some(ms(40))), Some(ms(40)));
        assert_eq!(after(&P95, Some(Duration::from_micros(300))), Some(ms(1)));
        assert_eq!(after(&P95, None), None, "nothing is known yet");
        let fixed = Hedge { after: HedgeAfter::Time(ms(70)), ..P95 };
        assert_eq!(after(&fixed, Some(ms(40))), Some(ms(70)));
        assert_eq!(after(&fixed, None), Some(ms(70)));
    }

    #[test]
    fn what_could_do_harm_or_no_good_is_not_hedged() {
        for waiting in [
            Waiting { attempts: 2, ..GET },
            Waiting { idempotent: false, ..GET },
            Waiting { body_replayable: false, ..GET },
            Waiting { another_endpoint: false, ..GET },
            Waiting { is_retry_of_caller: true, ..GET },
            Waiting { deadline: NOW + ms(45), ..GET },
        ] {
            assert_eq!(P95.due(&waiting, Some(ms(40))), None, "{waiting:?}");
        }
        let in_time = Waiting { deadline: NOW + ms(50), ..GET };
        assert_eq!(P95.due(&in_time, Some(ms(40))), Some(NOW + ms(40)));
    }
}
