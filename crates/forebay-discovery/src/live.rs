//! What every core reads while it serves requests: the endpoints of a service and what is known about each.
//! No lock on that path: one atomic load per request tells whether the set at hand is the latest.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_clock::Moment;

use crate::endpoint::Endpoint;
use crate::health::{Health, ProbeFailure};
use crate::outlier::{self, Cause, Ejection, Met, OutlierSettings, Record};
use crate::resolution::Standing;
use crate::source::Source;

/// Small, unique in this process and never given twice: a key for pools and other per-core tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u32);

/// What changes by itself about an endpoint. Shared by all cores and all generations, adopted by identity.
// Each on its own cache line: requests to one endpoint must not slow down those to another.
#[derive(Debug)]
#[repr(align(64))]
pub struct LiveState {
    id: EndpointId,
    health: AtomicU8,
    in_flight: AtomicU32,
    // A moment in nanoseconds; until then requests go elsewhere.
    suspect_until: AtomicU64,
    // A moment in nanoseconds: when it came, or came back.
    healthy_since: AtomicU64,
    record: Record,
    // For display only; never taken for a request.
    verdict: Mutex<Verdict>,
}

/// What active checks last said, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The same as [`LiveState::health`].
    pub health: Health,
    /// Since when.
    pub since: Moment,
    /// Why the latest probe failed; `None` when it succeeded or none was made.
    pub reason: Option<ProbeFailure>,
}

/// A request counted in [`LiveState::in_flight`] until this is dropped: when the response has been read to its end,
/// for an endpoint that still streams is busy.
#[derive(Debug)]
#[must_use = "the request counts as in flight only while this lives"]
pub struct InFlight<'s>(&'s LiveState);

impl LiveState {
    pub(crate) fn new(id: EndpointId, now: Moment) -> LiveState {
        let verdict = Verdict { health: Health::Unknown, since: now, reason: None };
        LiveState {
            id,
            health: AtomicU8::new(Health::Unknown as u8),
            in_flight: AtomicU32::new(0),
            suspect_until: AtomicU64::new(0),
            healthy_since: AtomicU64::new(now.as_nanos()),
            record: Record::default(),
            verdict: Mutex::new(verdict),
        }
    }

    /// Its number.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// What active checks say.
    pub fn health(&self) -> Health {
        // Relaxed: the verdict stands alone, no other memory is read because of it.
        Health::from_u8(self.health.load(Ordering::Relaxed))
    }

    /// Requests under way to it, from all cores.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether requests should go to it: no check calls it unhealthy, it is not ejected, and nobody has just failed to
    /// reach it.
    pub fn is_eligible(&self, now: Moment) -> bool {
        self.health() != Health::Unhealthy
            && self.suspect_until.load(Ordering::Relaxed) <= now.as_nanos()
            && !self.record.is_ejected(now)
    }

    /// When it came, or when a check last found it healthy again.
    pub fn healthy_since(&self) -> Moment {
        Moment::from_nanos(self.healthy_since.load(Ordering::Relaxed))
    }

    /// Why and until when it is left alone for what requests met there.
    pub fn ejection(&self, now: Moment) -> Option<Ejection> {
        self.record.ejection(now)
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// A request could not reach it: until then others go elsewhere, where there is an elsewhere. Without this, an
    /// endpoint that refuses at once looks idle and would draw more requests than its share until checks notice.
    pub fn suspect_until(&self, until: Moment) {
        self.suspect_until.fetch_max(until.as_nanos(), Ordering::Relaxed);
    }

    /// A request reached it.
    pub fn trust(&self) {
        // Mostly a read: the line is shared by all cores.
        if self.suspect_until.load(Ordering::Relaxed) != 0 {
            self.suspect_until.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a request until the guard is dropped.
    pub fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// The verdict with its age and reason, for display.
    pub fn verdict(&self) -> Verdict {
        lock(&self.verdict).clone()
    }

    pub(crate) fn judge(&self, now: Moment, health: Health, reason: Option<ProbeFailure>) {
        let mut verdict = lock(&self.verdict);
        if verdict.health != health {
            verdict.since = now;
            if health == Health::Healthy && verdict.health == Health::Unhealthy {
                self.healthy_since.store(now.as_nanos(), Ordering::Relaxed);
            }
            if health == Health::Healthy {
                self.record.readmit();
            }
        }
        verdict.health = health;
        verdict.reason = reason;
        self.health.store(health as u8, Ordering::Relaxed);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An endpoint as its sources describe it now, with its state.
#[derive(Clone, Debug)]
pub struct LiveEndpoint {
    /// Immutable; a new set holds a new one when weight or metadata change.
    pub endpoint: Endpoint,
    /// The same as in the set before, as long as the identity is.
    pub live: Arc<LiveState>,
}

/// The endpoints of a service at one version, in a stable order: sources as listed, addresses ascending.
#[derive(Debug, Default)]
pub struct EndpointSet {
    version: u64,
    endpoints: Box<[LiveEndpoint]>,
    left_out: usize,
}

impl EndpointSet {
    pub(crate) fn new(version: u64, endpoints: Vec<LiveEndpoint>, left_out: usize) -> EndpointSet {
        EndpointSet { version, endpoints: endpoints.into(), left_out }
    }

    /// Grows by one with every change of the service's set; 0 is the empty set before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All of them, whatever their health.
    pub fn endpoints(&self) -> &[LiveEndpoint] {
        &self.endpoints
    }

    /// How many more the sources gave than [`crate::ENDPOINTS_MAX`].
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

/// A service by name: where its latest set is found. The same one across reloads while the name stays configured.
#[derive(Debug)]
pub struct LiveService {
    name: Arc<str>,
    version: AtomicU64,
    latest: Mutex<Arc<EndpointSet>>,
    sources: Mutex<Vec<SourceReport>>,
    // Held by whoever ejects an endpoint, which is rare.
    ejecting: Mutex<()>,
}

/// One source of a service, for display and for saying why a service has no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// As configured.
    pub source: Source,
    /// How far its answer can be believed.
    pub standing: Standing,
    /// How many addresses it holds, before merging and bounds.
    pub targets: usize,
}

impl LiveService {
    pub(crate) fn new(name: Arc<str>) -> LiveService {
        LiveService {
            name,
            version: AtomicU64::new(0),
            latest: Mutex::default(),
            sources: Mutex::default(),
            ejecting: Mutex::default(),
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The latest set's version: one atomic load.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The latest set. Takes a lock: keep the `Arc` and ask again when [`LiveService::version`] differs, which is
    /// what [`ServiceReader`] does.
    pub fn latest(&self) -> Arc<EndpointSet> {
        Arc::clone(&lock(&self.latest))
    }

    /// What each source says at present, for display.
    pub fn sources(&self) -> Vec<SourceReport> {
        lock(&self.sources).clone()
    }

    /// Counts what a request met at one of the endpoints, and leaves the endpoint alone if that is one failure too many.
    /// A few nanoseconds, and a lock only for an ejection.
    pub fn record(
        &self,
        endpoint: &LiveState,
        settings: &OutlierSettings,
        met: Met,
        now: Moment,
    ) -> Option<Ejection> {
        let cause = endpoint.record.count(settings, met)?;
        self.eject(endpoint, settings, cause, now)
    }

    fn eject(
        &self,
        endpoint: &LiveState,
        settings: &OutlierSettings,
        cause: Cause,
        now: Moment,
    ) -> Option<Ejection> {
        let _alone = lock(&self.ejecting);
        outlier::eject(self.latest().endpoints(), &endpoint.record, settings, now, cause)
    }

    /// Ends an interval of [`outlier::INTERVAL`]; gives the places and ejections of those that fail far more often than
    /// the others.
    pub(crate) fn end_interval(&self, settings: &OutlierSettings, now: Moment) -> Vec<(usize, Ejection)> {
        let set = self.latest();
        let far = outlier::end_interval(set.endpoints(), settings, now);
        far.into_iter()
            .filter_map(|place| {
                let endpoint = &set.endpoints()[place].live;
                Some((place, self.eject(endpoint, settings, Cause::Rate, now)?))
            })
            .collect()
    }

    pub(crate) fn publish(&self, set: EndpointSet) {
        let version = set.version;
        *lock(&self.latest) = Arc::new(set);
        // After the set: who sees the new version finds at least this set.
        self.version.store(version, Ordering::Release);
    }

    pub(crate) fn report(&self, sources: Vec<SourceReport>) {
        *lock(&self.sources) = sources;
    }
}

/// One core's view of a service. Keep one per core and service; never share it.
#[derive(Clone, Debug)]
pub struct ServiceReader {
    service: Arc<LiveService>,
    set: Arc<EndpointSet>,
}

impl ServiceReader {
    /// Starts at the latest set.
    pub fn new(service: Arc<LiveService>) -> ServiceReader {
        let set = service.latest();
        ServiceReader { service, set }
    }

    /// The latest set: an atomic load and a comparison unless it changed.
    pub fn endpoints(&mut self) -> &Arc<EndpointSet> {
        if self.service.version() != self.set.version() {
            self.set = self.service.latest();
        }
        &self.set
    }

    /// The service that is read.
    pub fn service(&self) -> &Arc<LiveService> {
        &self.service
    }
}

/// None of these locks guards an invariant that a panic could break half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_latest_set_and_keeps_the_same_one_until_then() {
        let service = Arc::new(LiveService::new("orders".into()));
        let mut reader = ServiceReader::new(Arc::clone(&service));
        let first = Arc::clone(reader.endpoints());
        assert_eq!((first.version(), first.endpoints().len()), (0, 0));
        assert!(Arc::ptr_eq(&first, reader.endpoints()));
        service.publish(EndpointSet::new(1, Vec::new(), 0));
        assert_eq!(reader.endpoints().version(), 1);
    }

    #[test]
    fn a_request_counts_until_its_guard_is_dropped() {
        let live = Arc::new(LiveState::new(EndpointId(0), Moment::START));
        let guards = [live.enter(), live.enter()];
        assert_eq!(live.in_flight(), 2);
        drop(guards);
        assert_eq!(live.in_flight(), 0);
    }

    #[test]
    fn a_verdict_keeps_its_age_while_reasons_come_and_go() {
        let live = LiveState::new(EndpointId(0), Moment::START);
        let later = Moment::START + std::time::Duration::from_secs(1);
        live.judge(later, Health::Unknown, Some(ProbeFailure::Refused));
        assert_eq!(live.verdict().since, Moment::START);
        live.judge(later, Health::Unhealthy, Some(ProbeFailure::Refused));
        assert_eq!((live.verdict().since, live.health()), (later, Health::Unhealthy));
    }
}
