//! The access log: one line per request, written by a thread of its own.
//!
//! A core describes a finished request as an [`AccessRecord`], which borrows everything, and its
//! [`AccessWriter`] copies it into a ring that only this core fills and only the log's thread empties: no
//! allocation, no lock, and one system call, to wake the thread, in some thousand records. The thread formats
//! and writes in batches. When it cannot keep up, records are dropped, counted in
//! `forebay_access_log_dropped_total`, and the count is logged; a request never waits for its log line.
//!
//! A gateway without an access log holds no `AccessWriter` and does nothing:
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//! use forebay_clock::Clock;
//! use forebay_telemetry::access::{AccessLog, AccessRecord, AccessSettings, AccessWriter};
//! use forebay_telemetry::{LineFormat, Output, metrics::Registry};
//!
//! # fn main() -> Result<(), forebay_telemetry::TelemetryError> {
//! let registry = Registry::new(1);
//! let settings = AccessSettings { format: LineFormat::Json, output: Output::Stdout };
//! let log = AccessLog::start(settings, &registry, Clock::system())?;
//!
//! // Once on each core's thread.
//! let mut access: Option<AccessWriter> = Some(log.writer(registry.claim_core()?));
//!
//! // At the end of each request.
//! if let Some(access) = &mut access {
//!     access.write(&AccessRecord {
//!         method: b"GET",
//!         path: b"/api/orders/7",
//!         status: Some(200),
//!         duration: Duration::from_micros(1_234),
//!         ..AccessRecord::begun(UNIX_EPOCH)
//!     });
//! }
//!
//! // When the cores have ended.
//! log.close(Duration::from_secs(1))?;
//! # Ok(())
//! # }
//! ```

mod drain;
mod line;
mod log;
mod record;
mod wire;

pub use self::log::{AccessLog, AccessSettings, AccessWriter, RING_BYTES};
pub use self::record::{AccessRecord, EXTRA_MAX, Extra, Failure, Side};
