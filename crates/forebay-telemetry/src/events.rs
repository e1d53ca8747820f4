//! The event log: the process's own messages, on standard error.
//!
//! Crates write events with the `tracing` macros: a fixed message, the data in fields, each event in one
//! place. This module turns them into lines and hands them to a thread that writes them, so that a terminal
//! or a journal that does not keep up never holds up a core: past [`LINES_MAX`] waiting lines, lines are
//! dropped and counted. Spans are ignored: requests are traced elsewhere.
//!
//! ```
//! use forebay_telemetry::events::{LevelFilter, LogSettings, init};
//!
//! # fn main() -> Result<(), forebay_telemetry::TelemetryError> {
//! let log = init(LogSettings { level: LevelFilter::INFO, format: None, no_color: true })?;
//! tracing::info!(listen = "127.0.0.1:8080", "listening");
//! log.set_level(LevelFilter::DEBUG);
//! drop(log); // waits until everything is written
//! # Ok(())
//! # }
//! ```

mod line;
mod queue;
mod subscriber;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use tracing::level_filters::LevelFilter;

use self::line::Style;
pub use self::queue::LINES_MAX;
use self::queue::Queue;
use self::subscriber::{EventSubscriber, Level};
use crate::TelemetryError;
use crate::output::{LineFormat, Output, Sink};
use crate::worker::Worker;

/// How long a [`Guard`] waits for the last lines. A journal that takes longer is stuck.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What the event log shows, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important level that is shown. Other people's crates are shown from `WARN`, unless this is
    /// `TRACE`.
    pub level: LevelFilter,
    /// Text when standard error is a terminal and JSON otherwise, unless given.
    pub format: Option<LineFormat>,
    /// Never color, as `NO_COLOR` asks. There is color only on a terminal anyway.
    pub no_color: bool,
}

/// Keeps the event log's thread. Dropped at the end of `main`, it waits until the last line is written, for a
/// second at most; events after that are written directly.
#[derive(Debug)]
pub struct Guard {
    level: Arc<Level>,
    queue: Queue,
    worker: Option<Worker>,
}

impl Guard {
    /// Changes what is shown, at once and for all threads.
    pub fn set_level(&self, level: LevelFilter) {
        self.level.set(level);
        // Call sites remember whether anybody wants them.
        tracing::callsite::rebuild_interest_cache();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(worker) = self.worker.take() {
            // Where this could be reported is what is stuck.
            let _ = worker.join(CLOSE_WITHIN);
        }
    }
}

/// Starts the process's one event log.
///
/// # Errors
/// When there is one already, standard error is closed, or the thread cannot be started.
pub fn init(settings: LogSettings) -> Result<Guard, TelemetryError> {
    let is_terminal = io::stderr().is_terminal();
    let style = match settings.format.unwrap_or(if is_terminal { LineFormat::Text } else { LineFormat::Json })
    {
        LineFormat::Json => Style::Json,
        LineFormat::Text => Style::Text { color: is_terminal && !settings.no_color },
    };
    let mut sink = Sink::open(Output::Stderr)?;
    let late_sink = Sink::open(Output::Stderr)?;
    let (queue, lines) = Queue::new(late_sink);
    let level = Arc::new(Level::new(settings.level));
    let worker = Worker::start("event-log", move || {
        // Nobody can be told that standard error does not work.
        lines.write_to(style, SystemTime::now, |lines| drop(sink.write_lines(lines)));
    })?;
    // From here on, an early return drops the guard, which ends the thread.
    let guard = Guard { level: Arc::clone(&level), queue: queue.clone(), worker: Some(worker) };
    let subscriber = EventSubscriber::new(level, style, SystemTime::now, move |line| queue.send(line));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadyStarted)?;
    Ok(guard)
}
