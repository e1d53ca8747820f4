//! Decides whether and when a request is tried again. Never sends, and never chooses where to.
//!
//! After each failed attempt the caller states the facts in an [`Attempt`] and asks the [`Policy`], which answers
//! with a [`Verdict`]. What keeps retries from multiplying an outage is the [`Budget`]: all cores earn into it with
//! every request and spend from it with every retry.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use forebay_clock::Moment;
//! use forebay_retry::{Attempt, Budget, BudgetSettings, Ending, LocalBudget, Policy, Reason, Verdict};
//!
//! let now = Moment::START;
//! let mut rng = fastrand::Rng::with_seed(7);
//! let policy = Policy::default();
//! let budget = LocalBudget::new(Arc::new(Budget::new(BudgetSettings::default())));
//!
//! budget.deposit(now); // with every request, before its first attempt
//! let get = Attempt {
//!     number: 1,
//!     ending: Ending::ConnectFailed,
//!     idempotent: forebay_retry::is_idempotent("GET"),
//!     body_replayable: true,
//!     answered: false,
//!     another_endpoint: true,
//!     deadline: now + Duration::from_secs(15),
//!     waited: Duration::ZERO,
//!     is_retry_of_caller: false,
//! };
//! assert_eq!(policy.decide(&get, &budget, now, &mut rng), Verdict::Again { after: Duration::ZERO });
//!
//! let post = Attempt { ending: Ending::Broken, idempotent: forebay_retry::is_idempotent("POST"), ..get };
//! assert_eq!(policy.decide(&post, &budget, now, &mut rng), Verdict::Stop(Reason::NotIdempotent));
//! ```

mod asked;
mod attempt;
mod backoff;
mod breaker;
mod budget;
mod callers;
mod circuit;
mod concurrency;
mod conditions;
mod deadline;
mod gcra;
mod gradient;
mod hedge;
mod latency;
pub mod layer;
mod operation;
mod policy;
mod priority;
mod rate_limit_settings;
mod resilience_settings;
mod settings;
mod sleep;
mod verdict;
mod window;

#[cfg(test)]
mod interleave;

pub use asked::{ATTEMPT_FIELD, Nesting, retry_after};
pub use attempt::{Attempt, Ending, is_idempotent};
pub use backoff::{Backoff, Jitter};
pub use breaker::{Breaker, BreakerSettings, BreakerStanding, Pass, Refused, is_failure};
pub use budget::{Budget, BudgetSettings, LocalBudget};
pub use callers::{CALLERS_MAX, Callers, Counted};
pub use circuit::{Circuit, Opening};
pub use concurrency::{Concurrency, Permit, Shed, Told};
pub use conditions::{Conditions, Statuses};
pub use deadline::{TIMEOUT_FIELD, left_ms, shortened};
pub use gcra::Gcra;
pub use gradient::{Gradient, LimitSettings, Observed};
pub use hedge::{Hedge, HedgeAfter, Waiting};
pub use latency::Latencies;
pub use operation::{Fault, GaveUp, Retrying, retry};
pub use policy::{Policy, REMAINDER_MIN};
pub use priority::{PRIORITY_FIELD, Priority};
pub use rate_limit_settings::{CountedBy, RateLimit, RateLimitSettings};
pub use resilience_settings::{BreakerTable, ConcurrencySettings, HedgeSettings, ResilienceSettings};
pub use settings::{BackoffSettings, Condition, RetrySettings};
pub use sleep::Sleep;
pub use verdict::{Reason, Verdict};
