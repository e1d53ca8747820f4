//! Slow start: how much of its weight an endpoint has while it warms up.
//!
//! Envoy's formula with its defaults (aggression 1, at least 10%): the weight grows in proportion to the time since
//! the endpoint came, or came back.

use std::time::Duration;

use forebay_clock::Moment;

use crate::Candidate;

/// All of a weight.
pub(crate) const FULL: u32 = 1000;
/// What an endpoint has at least: with nothing it would never warm up.
const PERMILLE_MIN: u32 = 100;

/// How long an endpoint takes to its full weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ramp {
    window: Duration,
}

impl Ramp {
    /// Linear over `window`; nothing is no slow start.
    pub const fn over(window: Duration) -> Ramp {
        Ramp { window }
    }

    pub(crate) fn is_off(self) -> bool {
        self.window.is_zero()
    }

    /// What part of its weight the endpoint has now, in thousandths: 100 to 1000.
    pub fn permille<E: Candidate>(self, endpoint: &E, now: Moment) -> u32 {
        if self.is_off() {
            return FULL;
        }
        let Some(since) = endpoint.healthy_since() else { return FULL };
        let age = now.since(since);
        if age >= self.window {
            return FULL;
        }
        let permille = age.as_nanos() * u128::from(FULL) / self.window.as_nanos();
        (permille as u32).max(PERMILLE_MIN)
    }
}
