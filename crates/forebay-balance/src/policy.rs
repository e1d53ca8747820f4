//! Names the ways to balance, spelled as in the configuration.

use std::fmt;
use std::str::FromStr;

/// How a service's endpoints share its requests: `balance = "…"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The less busy of two drawn at random (power of two choices; Mitzenmacher 2001).
    ///
    /// The default: it keeps away from slow endpoints without the herd that follows when every core picks the
    /// single least loaded one. docs/balancing.md has the evidence.
    #[default]
    LeastRequest,
    /// Of two drawn at random, the one with the lower latency times requests. See [`PeakEwma`](crate::PeakEwma).
    PeakEwma,
    /// Each in turn, as often as its weight says. Exact, but blind to how busy an endpoint is.
    RoundRobin,
    /// Any, with a chance proportional to its weight. Blind, and needs no memory.
    Random,
    /// The one that the request's key belongs to in a Maglev table, as long as its load is within bounds.
    Maglev,
    /// The same on a ring: fewer keys move when endpoints change, shares are less even.
    RingHash,
}

impl Policy {
    /// Every policy, in the order in which documentation lists them.
    pub const ALL: [Policy; 6] = [
        Policy::LeastRequest,
        Policy::PeakEwma,
        Policy::RoundRobin,
        Policy::Random,
        Policy::Maglev,
        Policy::RingHash,
    ];

    /// The configuration's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::LeastRequest => "least-request",
            Policy::PeakEwma => "peak-ewma",
            Policy::RoundRobin => "round-robin",
            Policy::Random => "random",
            Policy::Maglev => "maglev",
            Policy::RingHash => "ring-hash",
        }
    }

    /// Whether it sends requests with the same key to the same endpoint.
    pub const fn is_hashing(self) -> bool {
        matches!(self, Policy::Maglev | Policy::RingHash)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Policy, Error> {
        let known = Policy::ALL.into_iter().find(|policy| policy.name() == name);
        known.ok_or_else(|| Error::UnknownPolicy { name: name.to_owned() })
    }
}

/// What can be wrong with balancing settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name is none of [`Policy::ALL`].
    #[error("unknown balancing policy `{name}`")]
    UnknownPolicy {
        /// The name as it was written.
        name: String,
    },
    /// The text is none of the spellings of [`HashKey`](crate::HashKey).
    #[error("unknown hash key `{key}`")]
    UnknownKey {
        /// The text as it was written.
        key: String,
    },
    /// No header field, cookie or parameter can be called that.
    #[error("`{name}` is no name for a hash key")]
    BadName {
        /// The name as it was written.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_read_as_it_is_written() {
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
    }

    #[test]
    fn an_unknown_policy_is_named() {
        let error = "least_request".parse::<Policy>().unwrap_err();
        assert_eq!(error.to_string(), "unknown balancing policy `least_request`");
    }
}
