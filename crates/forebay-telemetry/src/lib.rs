//! What Forebay tells about itself: [`metrics`], the [`access`] log, the [`events`] log, and [`date`]s for
//! both.
//!
//! Absent here: locks and allocations where a request is recorded; waiting for an output anywhere but on the
//! logs' own threads; global state, except the one event log that the `tracing` facade asks for; the names of
//! other crates' metrics, which live in their `telemetry.rs`.

pub mod access;
pub mod date;
pub mod events;
pub mod metrics;

mod error;
mod escape;
mod json;
mod output;
mod worker;

pub use self::error::TelemetryError;
pub use self::output::{LineFormat, Output};
