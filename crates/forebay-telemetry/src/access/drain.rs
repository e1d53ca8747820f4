//! Empties the rings of all cores into the output. One pass at a time; whoever calls it decides when.

use std::io;
use std::mem;
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use rtrb::Consumer;

use super::{line, wire};
use crate::TelemetryError;
use crate::metrics::Counter;
use crate::output::{LineFormat, Sink};

/// Lines are written out once this many bytes have gathered: large enough that the system call's cost
/// vanishes, small enough to stay in the processor's cache.
const BATCH_BYTES: usize = 256 * 1024;

/// Losses are logged at most this often: the log must not add to the load that caused them.
const LOSS_REPORT_EVERY: Duration = Duration::from_secs(10);

/// The reading half of the access log.
pub(super) struct Drain {
    format: LineFormat,
    sink: Sink,
    rings: Vec<Consumer<u8>>,
    // Reused: what came out of a ring, and the lines made of it.
    frames: Vec<u8>,
    lines: Vec<u8>,
    losses: Losses,
}

impl Drain {
    pub(super) fn new(format: LineFormat, sink: Sink, dropped: Counter, clock: Clock) -> Drain {
        let losses = Losses::new(dropped, clock);
        Drain { format, sink, rings: Vec::new(), frames: Vec::new(), lines: Vec::new(), losses }
    }

    /// Reads from these rings too.
    pub(super) fn adopt(&mut self, rings: &mut Vec<Consumer<u8>>) {
        self.rings.append(rings);
    }

    pub(super) fn reopen(&mut self) -> Result<(), TelemetryError> {
        self.sink.reopen()
    }

    /// Writes out all that was in the rings when the pass began, and forgets rings whose core has gone.
    pub(super) fn pass(&mut self) {
        let Drain { format, sink, rings, frames, lines, losses } = self;
        rings.retain_mut(|ring| {
            // Asked before emptying: after "gone" nothing can follow.
            let is_gone = ring.is_abandoned();
            empty(ring, frames);
            let mut rest = &frames[..];
            while let Some(record) = wire::decode(&mut rest) {
                line::append(lines, &record, *format);
                if lines.len() >= BATCH_BYTES {
                    write_out(lines, sink, losses);
                }
            }
            debug_assert!(rest.is_empty(), "a core wrote something that is not a record");
            write_out(lines, sink, losses);
            !is_gone
        });
        losses.report(false);
    }

    /// Says what was lost and not yet said.
    pub(super) fn report_losses(&mut self) {
        self.losses.report(true);
    }
}

/// Writes the batch, if there is one, and empties it.
fn write_out(lines: &mut Vec<u8>, sink: &mut Sink, losses: &mut Losses) {
    if lines.is_empty() {
        return;
    }
    match sink.write_lines(lines) {
        Ok(()) => losses.is_failing = false,
        Err(error) => losses.count(&error, lines),
    }
    lines.clear();
}

/// Moves all bytes of the ring into `frames`. They are copied so that the core has its room back before the
/// slow part, formatting and writing, begins. Cores publish whole frames only.
fn empty(ring: &mut Consumer<u8>, frames: &mut Vec<u8>) {
    frames.clear();
    // Asking for no more than there is cannot fail.
    let Ok(chunk) = ring.read_chunk(ring.slots()) else { return };
    let (one, two) = chunk.as_slices();
    frames.extend_from_slice(one);
    frames.extend_from_slice(two);
    chunk.commit_all();
}

/// What never reached the output.
struct Losses {
    dropped: Counter,
    reported: u64,
    next_report: Moment,
    clock: Clock,
    is_failing: bool,
}

impl Losses {
    fn new(dropped: Counter, clock: Clock) -> Losses {
        // The counter outlives a log that a reload replaces, and that log has reported its own losses.
        let reported = dropped.total();
        Losses { dropped, reported, next_report: Moment::START, clock, is_failing: false }
    }

    /// Counts a batch that could not be written, all of it. An error is logged when it begins, not for each
    /// batch.
    fn count(&mut self, error: &io::Error, lines: &[u8]) {
        self.dropped.add_shared(lines.iter().filter(|&&byte| byte == b'\n').count() as u64);
        if !self.is_failing {
            tracing::error!(%error, "access log cannot be written; its lines are dropped until it can");
        }
        self.is_failing = true;
    }

    fn report(&mut self, at_once: bool) {
        if let Some(dropped) = self.due(at_once) {
            tracing::warn!(dropped, "access log could not keep up; records were dropped");
        }
    }

    /// How many losses are to be reported now.
    fn due(&mut self, at_once: bool) -> Option<u64> {
        let (total, now) = (self.dropped.total(), self.clock.now());
        if total == self.reported || (now < self.next_report && !at_once) {
            return None;
        }
        self.next_report = now + LOSS_REPORT_EVERY;
        Some(total - mem::replace(&mut self.reported, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Desc, Registry};

    #[test]
    fn losses_are_reported_at_first_and_then_every_ten_seconds() {
        let clock = Clock::manual();
        let dropped = Registry::new(0).counters(Desc::new("dropped", "", [])).series([]);
        dropped.add_shared(100);
        let mut losses = Losses::new(dropped.clone(), clock.clone());
        assert_eq!(losses.due(false), None, "an earlier log has reported these");
        dropped.add_shared(1);
        assert_eq!(losses.due(false), Some(1));
        dropped.add_shared(2);
        assert_eq!(losses.due(false), None);
        clock.advance(LOSS_REPORT_EVERY);
        assert_eq!(losses.due(false), Some(2));
        assert_eq!(losses.due(false), None);
        dropped.add_shared(3);
        assert_eq!(losses.due(true), Some(3));
    }
}
