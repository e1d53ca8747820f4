//! The facts about an attempt that has ended. Judges nothing.

use std::time::Duration;

use forebay_clock::Moment;

/// What the caller knows when an attempt has not brought the response it wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which attempt ended; the first is 1.
    pub number: u32,
    /// How it ended.
    pub ending: Ending,
    /// Whether repeating the request changes nothing more at the origin: see [`is_idempotent`].
    pub idempotent: bool,
    /// Whether the request body can be sent from its beginning: it is empty, was never read, or is kept whole.
    pub body_replayable: bool,
    /// Whether any byte of a final response has gone to the client.
    pub answered: bool,
    /// Whether an eligible endpoint is left that this request has not tried.
    pub another_endpoint: bool,
    /// When the client must have its answer, all attempts included; [`Moment::NEVER`] without a limit.
    pub deadline: Moment,
    /// How long this request waited before this attempt; zero before the first.
    pub waited: Duration,
    /// Whether the request as it came was somebody's retry already: see [`crate::Nesting`].
    pub is_retry_of_caller: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No connection: refused, unreachable, timed out while connecting, or the TLS handshake failed.
    ConnectFailed,
    /// The connection broke before any byte of the request was written to it.
    BrokenUnsent,
    /// The connection broke after some of the request was written and before any byte of a response.
    Broken,
    /// No response began in time, although some of the request was written.
    TimedOut,
    /// A whole response head arrived.
    Answered {
        /// The status code.
        status: u16,
        /// How long the origin asks to be left alone: its `Retry-After` ([`crate::retry_after`]).
        retry_after: Option<Duration>,
    },
    /// The response had begun and then broke.
    BrokenMidway,
}

impl Ending {
    /// Whether the origin may have seen any of the request; if not, even a POST is safe to try again.
    pub const fn was_sent(self) -> bool {
        !matches!(self, Ending::ConnectFailed | Ending::BrokenUnsent)
    }

    /// How long the origin asked to be left alone; nothing when it did not.
    pub(crate) fn retry_after(self) -> Duration {
        match self {
            Ending::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// Whether it may mean that the origin has too much to do, rather than that one endpoint is gone.
    pub const fn may_mean_overload(self) -> bool {
        matches!(self, Ending::TimedOut | Ending::Answered { .. })
    }
}

/// Whether a method is idempotent by its definition (RFC 9110, section 9.2.2). Methods are case-sensitive, and an
/// unknown one is not.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotent_methods_are_those_of_rfc_9110() {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
            assert!(is_idempotent(method), "{method}");
        }
        for method in ["POST", "PATCH", "CONNECT", "get", "PURGE", ""] {
            assert!(!is_idempotent(method), "{method}");
        }
    }
}
