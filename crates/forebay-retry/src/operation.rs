//! Any async operation, tried again while it fails. Knows nothing of HTTP and of no runtime.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use forebay_clock::{Clock, Moment};
use thiserror::Error;

use crate::sleep::within;
use crate::{Backoff, Budget, REMAINDER_MIN, Reason, Sleep};

/// How an operation is tried again.
#[derive(Clone, Debug)]
pub struct Retrying {
    /// Attempts, the first included; 1 (or 0) means no retries.
    pub attempts_max: u32,
    /// How long to wait between them.
    pub backoff: Backoff,
    /// How long all of it may take, waits included.
    pub timeout: Option<Duration>,
    /// How long one attempt may take.
    pub attempt_timeout: Option<Duration>,
    /// The longest wait that an attempt may ask for ([`Fault::after`]).
    pub wait_max: Duration,
    /// What retries are paid from, shared by all operations on the same service.
    pub budget: Option<Arc<Budget>>,
}

impl Default for Retrying {
    /// Three attempts, short waits, a minute as the longest that is asked for, no timeouts, no budget.
    fn default() -> Retrying {
        Retrying {
            attempts_max: 3,
            backoff: Backoff::default(),
            timeout: None,
            attempt_timeout: None,
            wait_max: Duration::from_secs(60),
            budget: None,
        }
    }
}

/// A failure, and whether it may pass. `?` makes one that may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<E> {
    error: E,
    /// `None` if another attempt would fail just the same.
    after: Option<Duration>,
}

impl<E> Fault<E> {
    /// Another attempt may do better.
    pub const fn passing(error: E) -> Fault<E> {
        Fault { error, after: Some(Duration::ZERO) }
    }

    /// Another attempt would fail just the same, or would do harm.
    pub const fn lasting(error: E) -> Fault<E> {
        Fault { error, after: None }
    }

    /// Another attempt may do better, but not before this time has passed.
    pub const fn after(error: E, wait: Duration) -> Fault<E> {
        Fault { error, after: Some(wait) }
    }
}

impl<E> From<E> for Fault<E> {
    fn from(error: E) -> Fault<E> {
        Fault::passing(error)
    }
}

/// Why an operation was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GaveUp<E> {
    /// Its last attempt failed.
    #[error("failed after {attempts} attempts ({reason})")]
    Failed {
        /// How often it was tried.
        attempts: u32,
        /// Why not more often.
        reason: Reason,
        /// What the last attempt failed with.
        source: E,
    },
    /// Its last attempt took too long.
    #[error("timed out in attempt {attempts} ({reason})")]
    TimedOut {
        /// How often it was tried.
        attempts: u32,
        /// Why not more often.
        reason: Reason,
    },
}

/// Runs `operation` until it succeeds or there is no point in going on. It is told the number of its attempt, the first
/// being 1.
///
/// ```
/// use std::time::Duration;
/// use forebay_clock::Clock;
/// use forebay_retry::{Fault, Retrying, retry};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// async fn fetch(attempt: u32) -> Result<&'static str, std::io::Error> {
///     if attempt < 3 { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok("here it is") }
/// }
///
/// let retrying = Retrying { attempt_timeout: Some(Duration::from_secs(2)), ..Retrying::default() };
/// let got = retry(&retrying, &Clock::system(), &tokio::time::sleep, |attempt| async move {
///     match fetch(attempt).await {
///         // No attempt will find what is not there.
///         Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Fault::lasting(error)),
///         other => Ok(other?),
///     }
/// })
/// .await;
/// assert_eq!(got.unwrap(), "here it is");
/// # });
/// ```
pub async fn retry<T, E, S: Sleep, Fut: Future<Output = Result<T, Fault<E>>>>(
    retrying: &Retrying,
    clock: &Clock,
    sleep: &S,
    mut operation: impl FnMut(u32) -> Fut,
) -> Result<T, GaveUp<E>> {
    let mut rng = Rng::new();
    let mut course = Course::begin(retrying, clock.now());
    loop {
        let attempts = course.attempts;
        let fault = match course.attempt_left(clock.now()) {
            None => operation(attempts).await.map_err(Some),
            Some(left) => match within(operation(attempts), sleep.sleep(left)).await {
                Some(result) => result.map_err(Some),
                None => Err(None),
            },
        };
        let fault = match fault {
            Ok(value) => return Ok(value),
            Err(fault) => fault,
        };
        let after = fault.as_ref().map_or(Some(Duration::ZERO), |fault| fault.after);
        match course.next(after, clock.now(), &mut rng) {
            Ok(wait) => sleep.sleep(wait).await,
            Err(reason) => {
                return Err(match fault {
                    Some(Fault { error: source, .. }) => GaveUp::Failed { attempts, reason, source },
                    None => GaveUp::TimedOut { attempts, reason },
                });
            }
        }
    }
}

/// One operation on its way.
pub(crate) struct Course<'a> {
    retrying: &'a Retrying,
    deadline: Moment,
    /// The number of the present attempt.
    pub(crate) attempts: u32,
    waited: Duration,
}

impl<'a> Course<'a> {
    pub(crate) fn begin(retrying: &'a Retrying, now: Moment) -> Course<'a> {
        if let Some(budget) = &retrying.budget {
            budget.deposit(1, now);
        }
        let deadline = retrying.timeout.map_or(Moment::NEVER, |timeout| now + timeout);
        Course { retrying, deadline, attempts: 1, waited: Duration::ZERO }
    }

    /// How long the present attempt may take from `now` on; `None` without a limit.
    fn attempt_left(&self, now: Moment) -> Option<Duration> {
        let until =
            self.retrying.attempt_timeout.map_or(self.deadline, |timeout| self.deadline.min(now + timeout));
        (until != Moment::NEVER).then(|| now.until(until))
    }

    /// How long to wait before the next attempt, now that one has failed; `after` says how long it asked for, and nothing
    /// if no other would do better.
    pub(crate) fn next(
        &mut self,
        after: Option<Duration>,
        now: Moment,
        rng: &mut Rng,
    ) -> Result<Duration, Reason> {
        let asked = after.ok_or(Reason::NotRetried)?;
        if asked > self.retrying.wait_max {
            return Err(Reason::AskedToWait);
        }
        if self.attempts >= self.retrying.attempts_max {
            return Err(Reason::AttemptsUsed);
        }
        let wait = self.retrying.backoff.wait(self.attempts, self.waited, rng);
        if now + wait.max(asked) + REMAINDER_MIN > self.deadline {
            return Err(Reason::DeadlineTooNear);
        }
        // Asked last: only a retry that will happen may cost anything.
        if self.retrying.budget.as_ref().is_some_and(|budget| !budget.try_withdraw(now)) {
            return Err(Reason::BudgetExhausted);
        }
        self.attempts += 1;
        self.waited = wait;
        Ok(wait.max(asked))
    }
}
