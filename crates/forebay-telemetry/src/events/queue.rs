//! Lines on their way to the thread that writes them. Bounded; sending never waits.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tracing::Level;

use super::line::{Message, Style, Value};
use crate::output::Sink;

/// Lines that may wait. Events are rare; a thousand at once is a storm that says the same a thousand times.
pub const LINES_MAX: usize = 1024;

/// Lines are gathered into one write up to this size.
const BATCH_BYTES: usize = 64 * 1024;

/// The sending end.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    // An empty line only wakes the receiver.
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
    is_closing: Arc<AtomicBool>,
    // For events after the end: a process that is ending may wait for its last words.
    late: Arc<Mutex<Sink>>,
}

/// The receiving end.
pub(super) struct Lines {
    lines: Receiver<Vec<u8>>,
    lost: Arc<AtomicU64>,
    is_closing: Arc<AtomicBool>,
}

impl Queue {
    pub(super) fn new(late: Sink) -> (Queue, Lines) {
        let (sender, receiver) = mpsc::sync_channel(LINES_MAX);
        let (lost, is_closing) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let lines = Lines { lines: receiver, lost: Arc::clone(&lost), is_closing: Arc::clone(&is_closing) };
        (Queue { lines: sender, lost, is_closing, late: Arc::new(Mutex::new(late)) }, lines)
    }

    pub(super) fn send(&self, line: Vec<u8>) {
        match self.lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Relaxed);
            }
            Err(TrySendError::Disconnected(line)) => {
                // Nobody can be told that standard error does not work.
                let _ = self.late.lock().unwrap_or_else(PoisonError::into_inner).write_lines(&line);
            }
        }
    }

    /// Ends the receiver after what was sent before. Does not wait.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Release);
        // A full queue does not need to be woken.
        let _ = self.lines.try_send(Vec::new());
    }
}

impl Lines {
    /// Hands lines to `write` in batches until the queue is closed and empty.
    pub(super) fn write_to(self, style: Style, now: fn() -> SystemTime, mut write: impl FnMut(&[u8])) {
        let mut batch = Vec::new();
        while let Some(line) = self.next() {
            batch.extend_from_slice(&line);
            while batch.len() < BATCH_BYTES
                && let Ok(line) = self.lines.try_recv()
            {
                batch.extend_from_slice(&line);
            }
            let lost = self.lost.swap(0, Relaxed);
            if lost > 0 {
                batch.extend_from_slice(&loss_line(lost, now(), style));
            }
            write(&batch);
            batch.clear();
        }
    }

    fn next(&self) -> Option<Vec<u8>> {
        if self.is_closing.load(Acquire) { self.lines.try_recv().ok() } else { self.lines.recv().ok() }
    }
}

fn loss_line(lost: u64, time: SystemTime, style: Style) -> Vec<u8> {
    let fields = [("dropped", Value::Literal(lost.to_string()))];
    let (level, target) = (Level::WARN, module_path!());
    let text = "standard error could not keep up; events were dropped";
    Message { time, level, target, text, fields: &fields }.to_line(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Output;
    use std::time::UNIX_EPOCH;

    fn written(lines: Lines) -> String {
        let mut all = Vec::new();
        lines.write_to(Style::Text { color: false }, || UNIX_EPOCH, |batch| all.extend_from_slice(batch));
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn what_was_sent_before_closing_is_written() {
        let (queue, lines) = Queue::new(Sink::open(Output::Stderr).unwrap());
        queue.send(b"one\n".to_vec());
        queue.send(b"two\n".to_vec());
        queue.close();
        assert_eq!(written(lines), "one\ntwo\n");
    }

    #[test]
    fn closing_a_full_queue_does_not_wait_for_room() {
        let (queue, lines) = Queue::new(Sink::open(Output::Stderr).unwrap());
        (0..LINES_MAX).for_each(|_| queue.send(b"line\n".to_vec()));
        queue.close();
        assert_eq!(written(lines).lines().count(), LINES_MAX);
    }

    #[test]
    fn a_full_queue_drops_and_says_how_many() {
        let (queue, lines) = Queue::new(Sink::open(Output::Stderr).unwrap());
        for _ in 0..LINES_MAX + 3 {
            queue.send(b"line\n".to_vec());
        }
        drop(queue);
        let written = written(lines);
        assert_eq!(written.lines().filter(|&line| line == "line").count(), LINES_MAX);
        assert!(written.ends_with("events were dropped dropped=3\n"), "{written}");
    }
}
