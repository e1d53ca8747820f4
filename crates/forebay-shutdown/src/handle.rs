//! Carries the phase to everyone and sums what the cores have counted.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::tally::Shard;
use crate::{Phase, Progress, Tally};

/// The process's stop, seen from anywhere. Cheap to clone and to share; asking costs one relaxed load.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What requests read: they need no lock and no order with anything else.
    phase: AtomicU8,
    /// The same, for those who wait.
    watched: watch::Sender<Phase>,
    /// One for each [`Tally`] ever made, so one for each core.
    shards: Mutex<Vec<Arc<Shard>>>,
}

impl Shutdown {
    /// A running process with nothing in flight.
    #[expect(
        clippy::new_without_default,
        reason = "there is one per process, so a silent second one would be a bug"
    )]
    pub fn new() -> Shutdown {
        Shutdown(Arc::new(Shared {
            phase: AtomicU8::new(Phase::Running as u8),
            watched: watch::Sender::new(Phase::Running),
            shards: Mutex::new(Vec::new()),
        }))
    }

    /// How far the stop has come.
    pub fn phase(&self) -> Phase {
        Phase::from_u8(self.0.phase.load(Ordering::Relaxed))
    }

    /// Whether load balancers should send requests here: what a readiness probe answers.
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Running
    }

    /// Whether listeners accept as usual. When not, they accept until it would block and close.
    pub fn is_accepting(&self) -> bool {
        self.phase() <= Phase::LameDuck
    }

    /// Whether responses carry `Connection: close`, and connections end with them.
    pub fn closes_connections(&self) -> bool {
        self.phase() > Phase::Running
    }

    /// Follows the phases. Works in any async runtime; one subscriber a core is meant, not one a connection.
    pub fn subscribe(&self) -> watch::Receiver<Phase> {
        self.0.watched.subscribe()
    }

    /// Counts for the calling core, which keeps them.
    pub fn tally(&self) -> Tally {
        let shard = Arc::new(Shard::default());
        self.0.shards.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&shard));
        Tally::new(shard, self.clone())
    }

    /// What is in flight on all cores. For the admin page and the driver of a stop, not for requests.
    pub fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for shard in self.0.shards.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            shard.add_to(&mut progress);
        }
        progress
    }

    /// Publishes what [`Machine::step`](crate::Machine::step) has decided. Phases never go back: an earlier one than the
    /// present is ignored.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.fetch_max(phase as u8, Ordering::Relaxed);
        self.0.watched.send_if_modified(|watched| {
            let is_later = phase > *watched;
            *watched = phase.max(*watched);
            is_later
        });
    }
}
