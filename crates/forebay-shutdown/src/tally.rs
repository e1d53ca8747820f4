//! Counts what one core has in flight. A count has one writer, its core, so it needs no locked instructions.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::{Kind, Phase, Progress, Shutdown};

/// One core's counts. Written by that core alone, read by whoever asks for progress.
#[derive(Debug, Default)]
// Lines of its own (two, as processors fetch them in pairs): cores must not slow each other down.
#[repr(align(128))]
pub(crate) struct Shard {
    lanes: [Lane; Kind::ALL.len()],
}

#[derive(Debug, Default)]
struct Lane {
    in_flight: AtomicU32,
    finished: AtomicU32,
    closed: AtomicU32,
    slowest_ns: AtomicU64,
}

impl Shard {
    /// Adds this core's numbers to `progress`.
    pub(crate) fn add_to(&self, progress: &mut Progress) {
        // In this order, a connection cannot slip through unseen: whoever reads that its listener is gone reads
        // after it that the connection came.
        for kind in Kind::ALL {
            let lane = &self.lanes[kind as usize];
            let count = &mut progress[kind];
            count.in_flight += lane.in_flight.load(Ordering::Acquire);
            count.finished += lane.finished.load(Ordering::Relaxed);
            count.closed += lane.closed.load(Ordering::Relaxed);
            let slowest = Duration::from_nanos(lane.slowest_ns.load(Ordering::Relaxed));
            count.slowest = count.slowest.max(slowest);
        }
    }
}

/// What one core has in flight. Neither `Send` nor `Sync`: each core makes its own, and clones are cheap.
#[derive(Clone, Debug)]
pub struct Tally(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    shard: Arc<Shard>,
    shutdown: Shutdown,
}

impl Tally {
    pub(crate) fn new(shard: Arc<Shard>, shutdown: Shutdown) -> Tally {
        Tally(Rc::new(Inner { shard, shutdown }))
    }

    /// The handle this core's counts belong to.
    pub fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    /// Counts one more of `kind` until the guard goes. Take the guard of what comes before letting go of what it
    /// came from: the connection's before the listener's, the request's before the connection's.
    pub fn enter(&self, kind: Kind) -> InFlight {
        let lane = &self.0.shard.lanes[kind as usize].in_flight;
        lane.store(lane.load(Ordering::Relaxed) + 1, Ordering::Release);
        InFlight { tally: self.clone(), kind, ended: Ended::Finished(Duration::ZERO) }
    }
}

/// One thing in flight, counted until dropped. Dropped as it is, it finished by itself, in a time not told.
#[derive(Debug)]
#[must_use = "it counts as in flight only while this lives"]
pub struct InFlight {
    tally: Tally,
    kind: Kind,
    ended: Ended,
}

#[derive(Debug)]
enum Ended {
    Finished(Duration),
    Closed,
}

impl InFlight {
    /// It ended by itself after `took`.
    pub fn finish(mut self, took: Duration) {
        self.ended = Ended::Finished(took);
    }

    /// We ended it, in its own protocol: for a WebSocket, once the close frame with 1001 is written.
    pub fn close(mut self) {
        self.ended = Ended::Closed;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let inner = &*self.tally.0;
        let lane = &inner.shard.lanes[self.kind as usize];
        if inner.shutdown.phase() > Phase::Running {
            lane.record(&self.ended);
        }
        // Last and released: whoever sees that it has gone sees what became of it.
        lane.in_flight.store(lane.in_flight.load(Ordering::Relaxed) - 1, Ordering::Release);
    }
}

impl Lane {
    fn record(&self, ended: &Ended) {
        let increment = |count: &AtomicU32| {
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        };
        match ended {
            Ended::Closed => increment(&self.closed),
            Ended::Finished(took) => {
                increment(&self.finished);
                let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                self.slowest_ns
                    .store(self.slowest_ns.load(Ordering::Relaxed).max(took_ns), Ordering::Relaxed);
            }
        }
    }
}
