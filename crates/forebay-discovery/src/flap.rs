//! Flap damping: an endpoint whose checks turn back and forth is held out for longer and longer. Counts falls and knows no
//! probes.
//!
//! Thresholds tell a blip from a fault, but an endpoint that is well for two probes and sick for three costs requests each
//! time round, for ever. As routers damp routes (RFC 2439), each fall counts, time forgives, and whoever has fallen too
//! often stays out until a hold is over, however well it looks; as Envoy's ejections do, holds grow and have an upper bound.
//! When all of a service's endpoints flap, the check is the likelier culprit: then the panic threshold sends requests to all.

use std::time::Duration;

use forebay_clock::Moment;

/// So many falls cost nothing: a restart is one, and one that went wrong two.
pub const FALLS_FREE: u32 = 2;
/// The first hold; each further one takes twice as long.
pub const HOLD_BASE: Duration = Duration::from_secs(5);
/// No hold takes longer.
pub const HOLD_MAX: Duration = Duration::from_secs(60);
/// One fall is forgiven each time so much has passed.
pub const FORGIVE_EVERY: Duration = Duration::from_secs(60);
/// No more falls are remembered, so that after ten good minutes all is forgotten.
pub const FALLS_MAX: u32 = 10;

/// An endpoint is held out, whatever its checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Until then.
    pub until: Moment,
    /// How often it fell of late.
    pub falls: u32,
}

/// The falls of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flaps {
    falls: u32,
    // Time that has not yet forgiven a fall counts from here.
    since: Moment,
    held_until: Moment,
}

impl Flaps {
    /// The endpoint was healthy and is no longer.
    pub(crate) fn fall(&mut self, now: Moment) {
        self.forgive(now);
        self.falls = (self.falls + 1).min(FALLS_MAX);
        if let Some(doublings) = self.falls.checked_sub(FALLS_FREE + 1) {
            self.held_until = now + HOLD_BASE.saturating_mul(1 << doublings).min(HOLD_MAX);
        }
    }

    fn forgive(&mut self, now: Moment) {
        while self.falls > 0 && now.since(self.since) >= FORGIVE_EVERY {
            self.falls -= 1;
            self.since = self.since + FORGIVE_EVERY;
        }
        if self.falls == 0 {
            self.since = now;
        }
    }

    /// The hold in force.
    pub(crate) fn hold(&self, now: Moment) -> Option<Hold> {
        (self.held_until > now).then_some(Hold { until: self.held_until, falls: self.falls })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(number: u64) -> Moment {
        Moment::START + Duration::from_secs(number)
    }

    fn hold_s(flaps: &Flaps, now: Moment) -> u64 {
        flaps.hold(now).map_or(0, |hold| (hold.until - now).as_secs())
    }

    #[test]
    fn holds_double_up_to_the_bound_once_falls_are_too_many() {
        let mut flaps = Flaps::default();
        let held = [0, 1, 2, 3, 4, 5, 6, 7].map(|at| {
            flaps.fall(second(at));
            hold_s(&flaps, second(at))
        });
        assert_eq!(held, [0, 0, 5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn time_forgives() {
        let mut flaps = Flaps::default();
        (0..4).for_each(|at| flaps.fall(second(at)));
        assert_eq!(hold_s(&flaps, second(4)), 9);
        // Two of four are forgiven, and this is the third.
        flaps.fall(second(3 + 130));
        assert_eq!(hold_s(&flaps, second(3 + 130)), 5);
        flaps.fall(second(10_000));
        assert_eq!(hold_s(&flaps, second(10_000)), 0);
    }

    proptest! {
        #[test]
        fn holds_are_bounded_and_rare_falls_are_free(pauses_s in prop::collection::vec(0..400u64, 1..60)) {
            let mut flaps = Flaps::default();
            let mut at = 0;
            let mut falls = Vec::new();
            for pause in pauses_s {
                at += pause;
                flaps.fall(second(at));
                falls.push(at);
                let hold = hold_s(&flaps, second(at));
                prop_assert!(hold <= HOLD_MAX.as_secs());
                let window = FORGIVE_EVERY.as_secs() * u64::from(FALLS_MAX);
                let recent = falls.iter().filter(|fell| at - *fell <= window).count();
                if recent <= FALLS_FREE as usize {
                    prop_assert!(flaps.hold(second(at)).is_none(), "{recent} falls in ten minutes");
                }
            }
        }
    }
}
