//! Which endings of an attempt are worth another one.

use crate::{Condition, Ending};

/// The endings after which a policy considers another attempt.
///
/// The default is all of them, with the statuses 502, 503 and 504: what Envoy calls `gateway-error`. Those three say
/// that the origin's own work was not done. 500 is left out: it is usually a fault that meets the next attempt
/// just the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// After [`Ending::ConnectFailed`].
    pub connect: bool,
    /// After [`Ending::BrokenUnsent`] and [`Ending::Broken`].
    pub reset: bool,
    /// After [`Ending::TimedOut`].
    pub timeout: bool,
    /// After [`Ending::Answered`] with one of these.
    pub statuses: Statuses,
}

impl Default for Conditions {
    fn default() -> Conditions {
        let statuses = Statuses::NONE.with(502).with(503).with(504);
        Conditions { connect: true, reset: true, timeout: true, statuses }
    }
}

impl Conditions {
    /// Those that are written out.
    pub fn of(written: &[Condition]) -> Conditions {
        let statuses = written.iter().filter_map(|condition| match condition {
            Condition::Status(status @ 400..=599) => Some(*status),
            _ => None,
        });
        Conditions {
            connect: written.contains(&Condition::Connect),
            reset: written.contains(&Condition::Reset),
            timeout: written.contains(&Condition::Timeout),
            statuses: statuses.fold(Statuses::NONE, Statuses::with),
        }
    }

    /// Whether such an ending is worth another attempt. Cheap enough to ask about every response.
    pub const fn cover(&self, ending: Ending) -> bool {
        match ending {
            Ending::ConnectFailed => self.connect,
            Ending::BrokenUnsent | Ending::Broken => self.reset,
            Ending::TimedOut => self.timeout,
            Ending::Answered { status, .. } => self.statuses.contains(status),
            Ending::BrokenMidway => false,
        }
    }
}

/// A set of error statuses, 400 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// One bit for each status, 400 first.
    bits: [u64; 4],
}

impl Statuses {
    /// No status.
    pub const NONE: Statuses = Statuses { bits: [0; 4] };

    /// This set and `status`.
    ///
    /// # Panics
    /// When `status` is not an error status: retrying a success or a redirect would be a mistake.
    #[must_use]
    pub const fn with(mut self, status: u16) -> Statuses {
        assert!(matches!(status, 400..600), "only error statuses can be retried");
        let bit = status as usize - 400;
        self.bits[bit / 64] |= 1 << (bit % 64);
        self
    }

    /// Whether `status` is in the set.
    pub const fn contains(&self, status: u16) -> bool {
        if !matches!(status, 400..600) {
            return false;
        }
        let bit = status as usize - 400;
        self.bits[bit / 64] & (1 << (bit % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_what_was_put_in_and_nothing_else() {
        let chosen = [400, 429, 463, 464, 502, 599];
        let set = chosen.into_iter().fold(Statuses::NONE, Statuses::with);
        for status in 0..1000 {
            assert_eq!(set.contains(status), chosen.contains(&status), "{status}");
        }
    }

    #[test]
    fn by_default_gateway_errors_are_retried_and_other_answers_are_not() {
        let covered = |status| Conditions::default().cover(Ending::Answered { status, retry_after: None });
        assert!([502, 503, 504].into_iter().all(covered));
        assert!(![200, 302, 404, 429, 500, 501].into_iter().any(covered));
    }
}
