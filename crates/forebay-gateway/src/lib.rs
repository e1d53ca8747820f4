//! One request's way through Forebay: listeners, routes, pipeline, and the endpoint that answers.
//!
//! [`plan`] is what the configuration comes to; [`stage`] decides on a request by it; the pipeline carries the
//! decision out. [`Gateway`] runs one such pipeline per core.

mod admission;
mod affinity;
mod attempt;
mod core;
mod cors;
mod forward;
mod gateway;
mod generation;
mod hedge;
mod hop;
pub mod internal;
mod kept;
mod keyed;
mod latencies;
mod learning;
pub mod listener;
pub mod path;
pub mod pattern;
mod pipeline;
pub mod plan;
pub mod planning;
mod ports;
pub mod probe;
mod relay;
mod replay;
pub mod router;
pub mod settings;
pub mod stage;
mod telemetry;
mod visit;
mod worker;

pub use gateway::{Gateway, GatewayError, Keyring, Surroundings};
pub use generation::Generation;
pub use telemetry::Ejections;
