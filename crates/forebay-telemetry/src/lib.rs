//! What Forebay tells about itself: [`metrics`], the [`access`] log, the [`events`] log, and [`date`]s for both.
//!
//! Absent here: any lock, allocation or system call on the path of a request; global state, except the one event
//! log that the `tracing` facade asks for; the names of other crates' metrics, which live in their `telemetry.rs`.

pub mod date;
pub mod metrics;

mod error;

pub use self::error::TelemetryError;
