//! Lets what would be said again and again be said now and then, with how often it was not. Knows no clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forebay_clock::Moment;

/// Between two lines about the same: an outage is noticed at once, and a log is not filled by it.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// One thing that may be said, shared by all cores.
#[derive(Debug, Default)]
pub(crate) struct Rarely {
    /// Not before then, in nanoseconds since the clock's start.
    next_ns: AtomicU64,
    unsaid: AtomicU64,
}

impl Rarely {
    /// Whether it may be said now, and then how often it was not since the last time.
    pub(crate) fn may_say(&self, now: Moment) -> Option<u64> {
        let next = (now + SAY_EVERY).as_nanos();
        let due = |at: u64| (at <= now.as_nanos()).then_some(next);
        match self.next_ns.fetch_update(Relaxed, Relaxed, due) {
            Ok(_) => Some(self.unsaid.swap(0, Relaxed)),
            Err(_) => {
                self.unsaid.fetch_add(1, Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_every_ten_seconds_with_a_count() {
        let rarely = Rarely::default();
        let said: Vec<Option<u64>> =
            (0..25).map(|second| rarely.may_say(Moment::START + Duration::from_secs(second))).collect();
        assert_eq!((said[0], said[10], said[20]), (Some(0), Some(9), Some(9)));
        assert_eq!(said.iter().flatten().count(), 3);
    }
}
