//! What retrying reads of a `[service.NAME]` table.

use std::time::Duration;

use forebay_config::{Check, Node, Problem, Reader, Settings, Shape, Share, Value};

use crate::{Backoff, BudgetSettings, Conditions, Jitter, Policy};

/// Whether and when requests are tried again.
#[derive(Clone, Debug, Settings)]
pub struct RetrySettings {
    /// Attempts for one request, the first included; 1 turns retries off.
    #[setting(default = 3, min = 1, max = 8)]
    pub attempts: u32,
    /// Retries as a share of requests.
    #[setting(
        default = "20%",
        what = "a share of requests",
        why = "a retry budget keeps retries from multiplying an outage",
        help = "write \"20%\" to allow one retry for every five requests"
    )]
    pub budget: Share,
    /// Retries a second that even a service with few requests may have; not added to its share.
    #[setting(default = 10, max = 10_000)]
    pub budget_floor: u32,
    /// How long to wait between attempts.
    pub backoff: BackoffSettings,
    /// After what to try again: `connect` (no connection), `reset` (it broke before a response began), `timeout` (an
    /// attempt took longer than `attempt_timeout`), and statuses.
    #[setting(default = ["connect", "reset", "timeout", "502", "503", "504"])]
    pub on: Vec<Condition>,
    /// How long one attempt may take to the head of its response; as long as the whole request when not given.
    #[setting(min = "1ms", max = "1h")]
    pub attempt_timeout: Option<Duration>,
    /// The longest `Retry-After` that is waited for; a response that asks for more goes to the client.
    #[setting(default = "1s", max = "1m")]
    pub retry_after_max: Duration,
}

/// One ending that is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No connection.
    Connect,
    /// The connection broke before a response began.
    Reset,
    /// An attempt took too long.
    Timeout,
    /// This status.
    Status(u16),
}

impl Value for Condition {
    const SHAPE: Shape = Shape::text("`connect`, `reset`, `timeout` or an error status", "\"503\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Condition> {
        if node.as_integer().is_some() {
            return reader
                .integer(node, &Self::SHAPE, 400, 599)
                .map(|status| Condition::Status(status as u16));
        }
        reader.text(node, &Self::SHAPE, |text| match text {
            "connect" => Ok(Condition::Connect),
            "reset" => Ok(Condition::Reset),
            "timeout" => Ok(Condition::Timeout),
            _ => match text.parse() {
                Ok(status @ 400..=599) => Ok(Condition::Status(status)),
                _ => {
                    Err(Problem::new("is neither `connect`, `reset`, `timeout` nor a status from 400 to 599")
                        .help("successes and redirects are never tried again"))
                }
            },
        })
    }
}

/// Waits between attempts: exponential, with jitter.
#[derive(Clone, Debug, Settings)]
#[settings(check = BackoffSettings::check)]
pub struct BackoffSettings {
    /// The longest first wait; each further one may be twice as long.
    #[setting(default = "25ms", min = "1ms", max = "1m")]
    pub base: Duration,
    /// No wait is longer.
    #[setting(default = "250ms", min = "1ms", max = "10m")]
    pub max: Duration,
    /// How a wait is drawn: `full` (anywhere up to the window), `equal` (from its middle on), `decorrelated` (up to three
    /// times the wait before) or `none` (the window itself).
    #[setting(default = "full")]
    pub jitter: Jitter,
}

impl BackoffSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if self.base > self.max {
            check
                .error("base", "the first wait may not be longer than the longest")
                .help("make `base` shorter");
        }
    }
}

impl RetrySettings {
    /// The policy they come to.
    pub fn policy(&self) -> Policy {
        let BackoffSettings { base, max, jitter } = self.backoff;
        Policy {
            attempts_max: self.attempts,
            backoff: Backoff { base, max, jitter },
            conditions: Conditions::of(&self.on),
            attempt_timeout: self.attempt_timeout,
            retry_after_max: self.retry_after_max,
        }
    }

    /// The budget they come to.
    pub fn budget(&self) -> BudgetSettings {
        BudgetSettings {
            ratio_permille: self.budget.millionths() / 1000,
            floor_per_s: self.budget_floor,
            ..BudgetSettings::default()
        }
    }
}
