//! The access log's life: its thread, the rings that cores write into, reopening and closing.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use forebay_clock::Clock;
use rtrb::{Consumer, Producer, RingBuffer};

use super::drain::Drain;
use super::record::AccessRecord;
use super::wire;
use crate::TelemetryError;
use crate::metrics::{Core, Counter, Desc, Registry};
use crate::output::{LineFormat, Output, Sink};
use crate::worker::Worker;

/// One core's ring. A record takes about 200 bytes: 10,000 fit, which is 50 ms of the most that one core can
/// serve.
pub const RING_BYTES: usize = 2 * 1024 * 1024;

/// After this many bytes a core wakes the thread. The other three quarters of the ring are its time to wake
/// up in.
const WAKE_BYTES: usize = RING_BYTES / 4;

/// Without being woken, the thread looks this often: how late a line may be on a quiet machine.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const DROPPED: Desc<0> = Desc::new(
    "forebay_access_log_dropped",
    "Access log records that were dropped because the log could not keep up or could not be written.",
    [],
);

/// How and where the access log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// The form of a line.
    pub format: LineFormat,
    /// Where lines go.
    pub output: Output,
}

/// A running access log, shared by all cores. Its owner closes it after the cores have ended; when dropped
/// instead, the thread writes what there is and ends, but nobody waits for it.
#[derive(Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
    thread: Thread,
    // Taken by `close`.
    worker: Mutex<Option<Worker>>,
    dropped: Counter,
}

#[derive(Default)]
struct Shared {
    // Handed over here by new writers, taken by the thread at its next pass.
    new_rings: Mutex<Vec<Consumer<u8>>>,
    reopen: AtomicBool,
    close: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl AccessLog {
    /// Opens the output and starts the thread.
    ///
    /// # Errors
    /// When the output cannot be opened or the thread cannot be started.
    pub fn start(
        settings: AccessSettings,
        registry: &Registry,
        clock: Clock,
    ) -> Result<AccessLog, TelemetryError> {
        let dropped = registry.counters(DROPPED).series([]);
        let sink = Sink::open(settings.output)?;
        let drain = Drain::new(settings.format, sink, dropped.clone(), clock);
        let shared = Arc::new(Shared::default());
        let worker = Worker::start("access-log", {
            let shared = Arc::clone(&shared);
            move || run(drain, &shared)
        })?;
        let thread = worker.thread().clone();
        Ok(AccessLog { shared, thread, worker: Mutex::new(Some(worker)), dropped })
    }

    /// The writing end for one core; call it on that core's thread.
    pub fn writer(&self, core: Core) -> AccessWriter {
        let (ring, reader) = RingBuffer::new(RING_BYTES);
        self.shared.new_rings.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        AccessWriter {
            ring,
            core,
            frame: Vec::new(),
            bytes_since_wake: 0,
            thread: self.thread.clone(),
            dropped: self.dropped.clone(),
        }
    }

    /// Asks for the file to be opened again by its name, after logrotate has moved it.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.thread.unpark();
    }

    /// Writes out what cores have recorded, and ends the thread. Blocks for up to `within`. What a core
    /// writes later goes nowhere.
    ///
    /// # Errors
    /// [`TelemetryError::CloseTimeout`] when the output does not take the rest, for example a pipe that
    /// nobody reads.
    pub fn close(&self, within: Duration) -> Result<(), TelemetryError> {
        self.ask_to_end();
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        worker.map_or(Ok(()), |worker| worker.join(within))
    }

    fn ask_to_end(&self) {
        self.shared.close.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.ask_to_end();
    }
}

fn run(mut drain: Drain, shared: &Shared) {
    loop {
        // Read before the pass: what was recorded before the owner closed is in this last pass.
        let is_last = shared.close.load(Ordering::Acquire);
        drain.adopt(&mut shared.new_rings.lock().unwrap_or_else(PoisonError::into_inner));
        if shared.reopen.swap(false, Ordering::AcqRel)
            && let Err(error) = drain.reopen()
        {
            tracing::error!(error = &error as &dyn std::error::Error, "access log stays with its old file");
        }
        drain.pass();
        if is_last {
            return drain.report_losses();
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

/// One core's end of the access log. Like its [`Core`], it stays on its thread.
#[derive(Debug)]
pub struct AccessWriter {
    ring: Producer<u8>,
    core: Core,
    // Reused.
    frame: Vec<u8>,
    bytes_since_wake: usize,
    thread: Thread,
    dropped: Counter,
}

impl AccessWriter {
    /// Puts the record into the ring, or drops and counts it when the ring is full. Never waits.
    pub fn write(&mut self, record: &AccessRecord<'_>) {
        wire::encode(record, &mut self.frame);
        if self.ring.push_entire_slice(&self.frame).is_err() {
            self.dropped.inc(self.core);
        }
        self.bytes_since_wake += self.frame.len();
        if self.bytes_since_wake >= WAKE_BYTES {
            self.bytes_since_wake = 0;
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    /// A core's end whose ring is emptied only by hand.
    fn without_thread(core: Core, dropped: Counter) -> (AccessWriter, Consumer<u8>) {
        let (ring, reader) = RingBuffer::new(RING_BYTES);
        let frame = Vec::new();
        (AccessWriter { ring, core, frame, bytes_since_wake: 0, thread: thread::current(), dropped }, reader)
    }

    /// Writes `records` while nobody reads, then reads once into `path`; yields how many were dropped before
    /// and after.
    fn drops(path: &str, records: usize) -> (u64, u64) {
        let registry = Registry::new(1);
        let dropped = registry.counters(DROPPED).series([]);
        let (mut access, reader) = without_thread(registry.claim_core().unwrap(), dropped.clone());
        (0..records).for_each(|_| access.write(&AccessRecord::begun(UNIX_EPOCH)));
        let before = dropped.total();
        let sink = Sink::open(Output::File(path.into())).unwrap();
        let mut drain = Drain::new(LineFormat::Json, sink, dropped.clone(), Clock::manual());
        drain.adopt(&mut vec![reader]);
        drain.pass();
        (before, dropped.total())
    }

    #[test]
    fn a_full_ring_drops_and_counts() {
        let mut frame = Vec::new();
        wire::encode(&AccessRecord::begun(UNIX_EPOCH), &mut frame);
        let room = RING_BYTES / frame.len();
        assert_eq!(drops("/dev/null", room), (0, 0));
        assert_eq!(drops("/dev/null", room + 5), (5, 5));
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        assert_eq!(drops("/dev/full", 10), (0, 10));
    }
}
