//! One request's way through Forebay: listeners, routes, pipeline, and the endpoint that answers.
//!
//! [`plan`] is what the configuration comes to; [`stage`] decides on a request by it; the pipeline carries the
//! decision out. [`Gateway`] runs one such pipeline per core.

mod admission;
mod affinity;
mod attempt;
mod auth_planning;
mod authenticate;
mod check_request;
mod core;
mod cors;
mod fetch_keys;
mod fleet;
mod forward;
mod gateway;
mod generation;
mod hedge;
mod hop;
mod identity_fields;
pub mod internal;
mod kept;
mod keyed;
mod latencies;
mod learning;
pub mod listener;
mod passwords;
pub mod path;
pub mod pattern;
mod pipeline;
pub mod plan;
pub mod planning;
mod ports;
pub mod probe;
mod rarely;
mod rate_limit;
pub mod registry_probe;
mod relay;
mod replay;
pub mod router;
pub mod settings;
pub mod sources;
pub mod stage;
mod subrequest;
mod telemetry;
mod unverified;
mod visit;
mod worker;

pub use auth_planning::check_auth;
pub use gateway::{Gateway, GatewayError, Keyring, Surroundings};
pub use generation::Generation;
pub use kept::Sparing;
pub use telemetry::Ejections;
