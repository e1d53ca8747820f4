//! What is decided about a request whose attempt has ended.

use std::fmt;
use std::time::Duration;

/// Whether a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, on another endpoint if there is one.
    Again {
        /// How long to wait first; zero means at once.
        after: Duration,
    },
    /// Let the client have what there is.
    Stop(Reason),
}

/// Why a request is not tried again, in words fit for an access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client has part of an answer already, or the origin had begun one.
    ResponseStarted,
    /// The policy does not retry after such an ending; most often it is a plain success.
    NotRetried,
    /// The policy allows no more attempts.
    AttemptsUsed,
    /// Part of the request was sent, and doing it twice could do harm.
    NotIdempotent,
    /// Part of the request body is gone.
    BodyGone,
    /// After the wait there would be no time left for an answer.
    DeadlineTooNear,
    /// The origin asks to be left alone for longer than a client should wait here.
    AskedToWait,
    /// Whoever called retries already; to multiply that would feed an overload.
    CallerRetries,
    /// Too large a share of recent requests were retries.
    BudgetExhausted,
    /// The service fails too often at present and is left alone.
    CircuitOpen,
}

impl Reason {
    /// The reason as a fixed text.
    pub const fn text(self) -> &'static str {
        match self {
            Reason::ResponseStarted => "response started",
            Reason::NotRetried => "not a retried ending",
            Reason::AttemptsUsed => "attempts used up",
            Reason::NotIdempotent => "not idempotent",
            Reason::BodyGone => "request body gone",
            Reason::DeadlineTooNear => "deadline too near",
            Reason::AskedToWait => "asked to wait for longer",
            Reason::CallerRetries => "the caller retries",
            Reason::BudgetExhausted => "budget exhausted",
            Reason::CircuitOpen => "circuit open",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}
