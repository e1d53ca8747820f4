//! The rules of retrying, in the order in which they are asked.

use std::time::Duration;

use fastrand::Rng;
use forebay_clock::Moment;

use crate::{Attempt, Backoff, Conditions, Ending, LocalBudget, Reason, Verdict};

/// A retry needs at least this long before the deadline, or else it only adds load: the answer would come
/// too late for a client that has gone.
pub const REMAINDER_MIN: Duration = Duration::from_millis(10);

/// How a service's requests are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Attempts for one request, the first included; 1 (or 0) means no retries.
    pub attempts_max: u32,
    /// How long to wait between them.
    pub backoff: Backoff,
    /// After what to retry.
    pub conditions: Conditions,
    /// How long one attempt may take to its response's head; without it, as long as the request.
    pub attempt_timeout: Option<Duration>,
    /// The longest `Retry-After` that is waited for. An origin that asks for more is left alone, and its answer goes to
    /// the client, who can do as it asks.
    pub retry_after_max: Duration,
}

impl Default for Policy {
    /// Three attempts: two endpoints that fail at the same time are rare, three are an outage.
    fn default() -> Policy {
        Policy {
            attempts_max: 3,
            backoff: Backoff::default(),
            conditions: Conditions::default(),
            attempt_timeout: None,
            retry_after_max: Duration::from_secs(1),
        }
    }
}

impl Policy {
    /// When an attempt that starts now has taken too long.
    pub fn attempt_deadline(&self, now: Moment, deadline: Moment) -> Moment {
        self.attempt_timeout.map_or(deadline, |timeout| deadline.min(now + timeout))
    }

    /// Whether and when to try again after `attempt`. `Again` has taken the retry's token from `budget`.
    pub fn decide(&self, attempt: &Attempt, budget: &LocalBudget, now: Moment, rng: &mut Rng) -> Verdict {
        if let Some(reason) = self.objection(attempt) {
            return Verdict::Stop(reason);
        }
        let after = self.wait(attempt, rng).max(attempt.ending.retry_after());
        if now + after + REMAINDER_MIN > attempt.deadline {
            return Verdict::Stop(Reason::DeadlineTooNear);
        }
        // Asked last: only a retry that will happen may cost a token.
        if !budget.try_withdraw(now) {
            return Verdict::Stop(Reason::BudgetExhausted);
        }
        Verdict::Again { after }
    }

    /// What speaks against another attempt whatever endpoints, time and budget there are: to be asked before one is
    /// chosen.
    pub fn objection(&self, attempt: &Attempt) -> Option<Reason> {
        if attempt.answered || attempt.ending == Ending::BrokenMidway {
            Some(Reason::ResponseStarted)
        } else if !self.conditions.cover(attempt.ending) {
            Some(Reason::NotRetried)
        } else if attempt.is_retry_of_caller && attempt.ending.may_mean_overload() {
            Some(Reason::CallerRetries)
        } else if attempt.ending.retry_after() > self.retry_after_max {
            Some(Reason::AskedToWait)
        } else if attempt.number >= self.attempts_max {
            Some(Reason::AttemptsUsed)
        } else if attempt.ending.was_sent() && !attempt.idempotent {
            Some(Reason::NotIdempotent)
        } else if !attempt.body_replayable {
            Some(Reason::BodyGone)
        } else {
            None
        }
    }

    /// A broken connection tells about one endpoint, and the first retry goes at once to another, so that
    /// a killed endpoint costs its clients nothing. Whatever may mean overload (a status, a timeout, a second
    /// failure) waits.
    fn wait(&self, attempt: &Attempt, rng: &mut Rng) -> Duration {
        match attempt.ending {
            Ending::ConnectFailed | Ending::BrokenUnsent | Ending::Broken
                if attempt.number == 1 && attempt.another_endpoint =>
            {
                Duration::ZERO
            }
            _ => self.backoff.wait(attempt.number, attempt.waited, rng),
        }
    }
}
