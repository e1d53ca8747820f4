//! Drives a catalog on the control runtime: asks, probes, and tells. Decides nothing.
//!
//! One future does it all. It spawns nothing, so dropping it, or ending its `shutdown`, ends every lookup and
//! probe; and lookups and probes need not be `Send`.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, broadcast, mpsc};

use crate::answer::{Answer, ResolveFailure};
use crate::catalog::{Catalog, LookupId, LookupOrder, ProbeOrder};
use crate::change::Change;
use crate::definition::Definitions;
use crate::dns::Resolve;
use crate::health::ProbeFailure;
use crate::live::EndpointId;
use crate::probe::Probe;
use crate::pushed::{Pushed, PushedChange};
use crate::service::LiveService;
use crate::suspect::Suspect;

/// Lookups under way at once; the others wait their turn. Each may hold a socket for each record type.
pub const LOOKUPS_IN_FLIGHT_MAX: usize = 32;
/// Probes under way at once; the others wait their turn, longest due first. Each holds a socket.
pub const PROBES_IN_FLIGHT_MAX: usize = 256;
/// Changes kept for a subscriber that is slow; it misses the oldest beyond that and is told how many.
pub const CHANGES_KEPT_MAX: usize = 1024;
/// A timer that is set further ahead gains nothing: every wake-up sets it anew.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Service discovery as the rest of the process sees it. Clones share one catalog.
#[derive(Clone, Debug)]
pub struct Discovery(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    catalog: Mutex<Catalog>,
    clock: Clock,
    // Definitions or endpoints changed: what is due may be due sooner.
    applied: Notify,
    // Held by whoever runs it.
    suspects: tokio::sync::Mutex<mpsc::Receiver<Suspect>>,
    changes: broadcast::Sender<Change>,
}

impl Discovery {
    /// Knows no service yet.
    pub fn new(clock: Clock, rng: fastrand::Rng) -> Discovery {
        let (changes, _) = broadcast::channel(CHANGES_KEPT_MAX);
        let mut catalog = Catalog::new(rng);
        // Nobody else has had the chance to take it.
        let suspects = catalog.suspects().unwrap_or_else(|| mpsc::channel(1).1);
        let (catalog, suspects) = (Mutex::new(catalog), tokio::sync::Mutex::new(suspects));
        Discovery(Arc::new(Shared { catalog, clock, applied: Notify::new(), suspects, changes }))
    }

    /// Replaces all definitions, live state adopted. Waits for nobody: addresses written in the configuration
    /// serve when this returns, names when [`Discovery::run`] has looked them up.
    pub fn apply(&self, definitions: Definitions) {
        self.with_catalog(|catalog, now| catalog.apply(now, definitions));
        self.0.applied.notify_one();
    }

    /// Takes all that a registry has under a name, whether or not a service has that for a source yet. From any thread;
    /// cores serve by it when this returns. What stays the same costs next to nothing.
    pub fn push(&self, name: &str, pushed: Pushed) {
        self.with_catalog(|catalog, now| catalog.push(now, name, pushed));
        self.0.applied.notify_one();
    }

    /// Takes one instance's change, for registries that know which: microseconds, whatever the number of instances. Where an
    /// endpoint comes, goes or is described otherwise, those of its chunk are copied, and the others shared.
    pub fn push_one(&self, name: &str, change: PushedChange) {
        self.with_catalog(|catalog, now| catalog.push_one(now, name, change));
        self.0.applied.notify_one();
    }

    /// The service of this name, if it is configured.
    pub fn service(&self, name: &str) -> Option<Arc<LiveService>> {
        self.catalog().service(name)
    }

    /// All services, by name; for display.
    pub fn services(&self) -> Vec<Arc<LiveService>> {
        self.catalog().services().cloned().collect()
    }

    /// What changes from now on, for logs, metrics and tests.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// Looks up and probes until `shutdown` completes. Needs a tokio runtime with I/O and time. It is `Send`
    /// when the futures of `resolver` and `prober` are.
    pub async fn run<R: Resolve, P: Probe>(
        &self,
        resolver: &R,
        prober: &P,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut suspects = self.0.suspects.lock().await;
        let mut shutdown = std::pin::pin!(shutdown);
        let mut lookups = FuturesUnordered::new();
        let mut probes = FuturesUnordered::new();
        loop {
            self.with_catalog(Catalog::compare);
            while lookups.len() < LOOKUPS_IN_FLIGHT_MAX
                && let Some(lookup) = self.with_catalog(Catalog::pop_lookup)
            {
                lookups.push(look_up(resolver, lookup));
            }
            while probes.len() < PROBES_IN_FLIGHT_MAX
                && let Some(order) = self.with_catalog(Catalog::pop_probe)
            {
                probes.push(probe(prober, order));
            }
            let room = (lookups.len() < LOOKUPS_IN_FLIGHT_MAX, probes.len() < PROBES_IN_FLIGHT_MAX);
            tokio::select! {
                () = &mut shutdown => return,
                () = self.0.applied.notified() => {}
                Some(suspect) = suspects.recv() => {
                    self.with_catalog(|catalog, now| catalog.suspected(now, suspect));
                }
                () = tokio::time::sleep(self.idle_for(room)) => {}
                Some((id, result)) = lookups.next() => {
                    self.with_catalog(|catalog, now| catalog.resolved(now, id, result));
                }
                Some((id, result)) = probes.next() => {
                    self.with_catalog(|catalog, now| catalog.probed(now, id, result));
                }
            }
        }
    }

    /// How long nothing is due for which there is room. What has none starts when another one is done.
    fn idle_for(&self, (lookups, probes): (bool, bool)) -> Duration {
        let catalog = self.catalog();
        let lookup = if lookups { catalog.next_lookup() } else { Moment::NEVER };
        let probe = if probes { catalog.next_probe() } else { Moment::NEVER };
        self.0.clock.now().until(lookup.min(probe).min(catalog.next_comparison())).min(SLEEP_MAX)
    }

    fn with_catalog<T>(&self, act: impl FnOnce(&mut Catalog, Moment) -> T) -> T {
        let mut catalog = self.catalog();
        let result = act(&mut catalog, self.0.clock.now());
        // Sent under the lock, so that subscribers see changes in the order they happened.
        for change in catalog.take_changes() {
            // No subscriber is fine: the live state says it all.
            let _ = self.0.changes.send(change);
        }
        result
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.0.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(resolver: &impl Resolve, lookup: LookupOrder) -> (LookupId, Result<Answer, ResolveFailure>) {
    (lookup.id, resolver.resolve(&lookup.place).await)
}

async fn probe(prober: &impl Probe, order: ProbeOrder) -> (EndpointId, Result<(), ProbeFailure>) {
    let timeout = order.check.timeout;
    let result = tokio::time::timeout(timeout, prober.probe(&order.endpoint, &order.check)).await;
    (order.id, result.unwrap_or(Err(ProbeFailure::TimedOut(timeout))))
}
