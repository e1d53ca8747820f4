//! How one service's requests are spread: its policy with everything that goes with it, checked. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use forebay_config::Share;

use crate::sticky::StickyKey;
use crate::{Policy, Ramp};

/// How far above the average a hashing policy lets one endpoint's load rise: a quarter, the lower end of what HAProxy's
/// manual advises for `hash-balance-factor`. Less moves more keys, more evens out less.
pub const HEADROOM: Share = Share::from_millionths(250_000);
/// Below this share of healthy capacity, health is disregarded: docs/balancing.md has the evidence.
pub const PANIC_THRESHOLD: Share = Share::from_millionths(100_000);

/// What a [`Fleet`](crate::Fleet) is built by. `Balance::from(policy)` has the defaults of the configuration.
#[derive(Clone, Debug)]
pub struct Balance {
    /// Who gets the next request.
    pub policy: Policy,
    /// How far above the average the load of an endpoint may rise before a hashing policy walks on.
    pub headroom: Share,
    /// How an endpoint that is new or healthy again comes to its full weight. Hashing policies have none.
    pub ramp: Ramp,
    /// Below this share of healthy capacity all endpoints count. With nothing, only when none is healthy.
    pub panic_threshold: Share,
    /// The zone whose endpoints are preferred. Hashing policies have no preference: nodes in other zones would send the
    /// same key elsewhere.
    pub zone: Option<Arc<str>>,
    /// What the tokens of sticky sessions are made with; `None` without such sessions.
    pub sticky: Option<StickyKey>,
}

impl From<Policy> for Balance {
    fn from(policy: Policy) -> Balance {
        Balance {
            policy,
            headroom: HEADROOM,
            ramp: Ramp::over(Duration::ZERO),
            panic_threshold: PANIC_THRESHOLD,
            zone: None,
            sticky: None,
        }
    }
}
