//! What can go wrong with telemetry. Never while a request is served: only when something is opened or
//! started.

use std::io;
use std::path::PathBuf;

/// Errors of starting, reopening and closing telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// More threads want to write metrics than the registry was made for.
    #[error("all {cores} metric shards are claimed")]
    NoCoreLeft {
        /// How many cores the registry was made for.
        cores: usize,
    },
    /// A log file cannot be opened for appending.
    #[error("log file {path} cannot be opened")]
    OpenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output or standard error is closed or cannot be duplicated.
    #[error("{stream} cannot be opened")]
    OpenStream {
        /// `standard output` or `standard error`.
        stream: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused a thread.
    #[error("thread {name} cannot be started")]
    StartThread {
        /// What the thread would have done.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The output did not take the last lines in time; they are lost.
    #[error("{name} did not finish writing in {within_ms} ms")]
    CloseTimeout {
        /// Which log.
        name: &'static str,
        /// How long was waited.
        within_ms: u128,
    },
    /// The process already has an event log; there is one per process.
    #[error("an event log is already running")]
    AlreadyStarted,
}
