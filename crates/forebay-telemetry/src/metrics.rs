//! Metrics: sharded per core when recorded, summed when read.
//!
//! A crate declares its families as [`Desc`] constants in its `telemetry.rs` and makes them from the one
//! [`Registry`]. Routes, services and endpoints hold handles ([`Counter`], [`Gauge`], [`Histogram`],
//! [`Grid`]), and every core records through them with its own [`Core`]:
//!
//! ```
//! use forebay_telemetry::TelemetryError;
//! use forebay_telemetry::metrics::{
//!     Buckets, Counter, Desc, Exposition, Grid, Histogram, MethodLabel, Registry, StatusClass, Unit,
//! };
//!
//! const DURATION: Desc<3> = Desc::new(
//!     "http_server_request_duration_seconds",
//!     "From the first byte of a request to the last byte of its response.",
//!     ["route", "method", "status_class"],
//! )
//! .unit(Unit::Seconds);
//! const ATTEMPTS: Desc<2> =
//!     Desc::new("http_upstream_attempts", "Requests sent to an endpoint.", ["service", "endpoint"]);
//!
//! struct Route {
//!     duration: Grid<Histogram, 3, (MethodLabel, StatusClass)>,
//! }
//! struct Endpoint {
//!     attempts: Counter,
//! }
//!
//! # fn main() -> Result<(), TelemetryError> {
//! // At start, and on each reload.
//! let registry = Registry::new(1);
//! let route = Route { duration: registry.histograms(DURATION, Buckets::HTTP).grid(["orders"]) };
//! let endpoint = Endpoint { attempts: registry.counters(ATTEMPTS).series(["orders", "127.0.0.1:9001"]) };
//!
//! // Once on each core's thread.
//! let core = registry.claim_core()?;
//!
//! // For each request: no lock, no allocation, no cache line that another core writes.
//! endpoint.attempts.inc(core);
//! route.duration.at((MethodLabel::of(b"GET"), StatusClass::of(Some(200)))).record(core, 1_234_000);
//!
//! // On a scrape, on any other thread.
//! let body = registry.expose(Exposition::negotiate(Some("text/plain")));
//! assert!(body.contains(r#"http_upstream_attempts_total{service="orders",endpoint="127.0.0.1:9001"} 1"#));
//! # Ok(())
//! # }
//! ```

mod buckets;
mod core;
mod desc;
mod exposition;
mod family;
mod instrument;
mod labels;
mod observe;
mod registry;
mod snapshot;

pub use self::buckets::{BOUNDS_MAX, Buckets};
pub use self::core::Core;
pub use self::desc::{Desc, Unit};
pub use self::exposition::{Exposition, render};
pub use self::family::{Family, Grid, SERIES_MAX};
pub use self::instrument::{Counter, Gauge, Histogram, Instrument};
pub use self::labels::{Axis, MethodLabel, StatusClass};
pub use self::observe::Observations;
pub use self::registry::Registry;
pub use self::snapshot::{FamilySnapshot, Kind, SeriesSnapshot, Value};
