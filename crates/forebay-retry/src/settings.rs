//! What retrying reads of a `[service.NAME]` table.

use std::time::Duration;

use forebay_config::{Check, Settings, Share};

use crate::{Backoff, BudgetSettings, Jitter, Policy};

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
    /// How long to wait between attempts.
    pub backoff: BackoffSettings,
}

/// Waits between attempts: exponential, with full jitter.
#[derive(Clone, Debug, Settings)]
#[settings(check = BackoffSettings::check)]
pub struct BackoffSettings {
    /// The longest first wait; each further one may be twice as long.
    #[setting(default = "25ms", min = "1ms", max = "1m")]
    pub base: Duration,
    /// No wait is longer.
    #[setting(default = "250ms", min = "1ms", max = "10m")]
    pub max: Duration,
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
        let backoff = Backoff { base: self.backoff.base, max: self.backoff.max, jitter: Jitter::Full };
        Policy { attempts_max: self.attempts, backoff, ..Policy::default() }
    }

    /// The budget they come to.
    pub fn budget(&self) -> BudgetSettings {
        let ratio_permille = (self.budget.fraction() * 1000.0).round() as u32;
        BudgetSettings { ratio_permille, ..BudgetSettings::default() }
    }
}
