//! A thread that writes a log, and the wait for its end, which is bounded: a pipe that nobody reads would
//! otherwise keep the process from ending.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crate::TelemetryError;

/// A running thread and its name.
#[derive(Debug)]
pub(crate) struct Worker {
    name: &'static str,
    thread: JoinHandle<()>,
    // Closed by the thread when it ends.
    ended: Receiver<()>,
}

impl Worker {
    pub(crate) fn start(
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Worker, TelemetryError> {
        let (ends, ended) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                work();
                drop(ends);
            })
            .map_err(|source| TelemetryError::StartThread { name, source })?;
        Ok(Worker { name, thread, ended })
    }

    pub(crate) fn thread(&self) -> &Thread {
        self.thread.thread()
    }

    /// Waits until the thread has ended, which its owner has asked for; past `within`, leaves it to itself.
    pub(crate) fn join(self, within: Duration) -> Result<(), TelemetryError> {
        if self.ended.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
            return Err(TelemetryError::CloseTimeout { name: self.name, within_ms: within.as_millis() });
        }
        // A panic of the thread was printed when it happened.
        let _ = self.thread.join();
        Ok(())
    }
}
