//! What the admin listener answers from: handles of what the process shares, and closures for what the binary alone
//! knows. Nothing here is ever waited for.

use std::time::{Duration, SystemTime};

use forebay_clock::Clock;
use forebay_config::Effective;
use forebay_discovery::Discovery;
use forebay_retry::BreakerStanding;
use forebay_shutdown::Shutdown;
use forebay_telemetry::metrics::Registry;

/// Says whether one thing that readiness depends on is in order. It must answer from memory. Its words are public: no
/// secrets.
pub type ReadinessCheck = Box<dyn Fn() -> Verdict>;

/// What was found. Words are for people and may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In order.
    Ok(String),
    /// Worth knowing, and no reason to send requests elsewhere.
    Warning(String),
    /// Makes the process unready.
    Failed(String),
}

/// Everything the routes read.
pub struct AdminState {
    /// The time, for ages.
    pub clock: Clock,
    /// All metrics.
    pub registry: Registry,
    /// How far a stop has come.
    pub shutdown: Shutdown,
    /// Services and their endpoints.
    pub discovery: Discovery,
    /// The configuration in force, secrets hidden.
    pub configuration: Box<dyn Fn() -> Effective>,
    /// Which configuration that is.
    pub generation: Box<dyn Fn() -> GenerationStatus>,
    /// Calls of pages that CORS policies denied, the most frequent of each policy first.
    pub denied: Box<dyn Fn() -> Vec<Denied>>,
    /// How services are spared.
    pub sparings: Box<dyn Fn() -> Vec<Sparing>>,
    /// How it stands with what policies of who calls decide by.
    pub auth: Box<dyn Fn() -> Vec<AuthMaterial>>,
    /// What else readiness depends on, by the name that `/readyz?verbose` shows.
    pub checks: Vec<(&'static str, ReadinessCheck)>,
}

/// How a service is spared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparing {
    /// Its name.
    pub service: String,
    /// Where it has a breaker.
    pub breaker: Option<BreakerStanding>,
    /// Requests in flight and how many may be, where that is limited.
    pub concurrency: Option<(u32, u32)>,
    /// Retries that the present window may still have, of how many, and the window.
    pub retries: (u64, u64, Duration),
}

/// How it stands with the keys, or the file, that a policy decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthMaterial {
    /// The policy's name.
    pub policy: String,
    /// Since the last that was good; `None` when there never was any.
    pub age: Option<Duration>,
    /// Whether it counts.
    pub is_usable: bool,
    /// How long it has not been to be had, and why not the last time. Its words are public.
    pub failing: Option<(Duration, String)>,
}

/// Which configuration is in force, and what became of the latest attempt to replace it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationStatus {
    /// Counts up from 1 with every accepted configuration; 0 until there is one.
    pub number: u64,
    /// When it came into force.
    pub since: SystemTime,
    /// The latest reload, once there was one.
    pub last_reload: Option<Reload>,
}

/// One attempt to replace the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When.
    pub at: SystemTime,
    /// Accepted, or everything that is wrong with the new one, as `forebay check` prints it without colours.
    pub outcome: Result<(), String>,
}

/// One kind of call that a CORS policy denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The policy's name.
    pub policy: String,
    /// The page's origin.
    pub origin: String,
    /// What it used or asked for.
    pub method: String,
    /// Headers that it asked for.
    pub headers: Vec<String>,
    /// How often, at most.
    pub count: u64,
}
