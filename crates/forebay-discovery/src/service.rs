//! What every core reads while it serves requests: the endpoints of a service, in sets that are swapped whole. No lock on
//! that path: one atomic load per request tells whether the set at hand is the latest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use forebay_clock::Moment;
use tokio::sync::mpsc;

use crate::endpoint::Endpoint;
use crate::endpoints::Endpoints;
use crate::live::{LiveState, lock};
use crate::outlier::{self, Cause, Ejection, Met, OutlierSettings};
use crate::source::Source;
use crate::standing::Standing;
use crate::suspect::Suspect;

/// An endpoint as its sources describe it now, with its state.
#[derive(Clone, Debug)]
pub struct LiveEndpoint {
    /// Immutable; a new set holds a new one when weight or metadata change, and otherwise the very same.
    pub endpoint: Arc<Endpoint>,
    /// The same as in the set before, as long as the identity is.
    pub live: Arc<LiveState>,
}

/// The endpoints of a service at one version, in a stable order: sources as listed, addresses ascending.
#[derive(Debug, Default)]
pub struct EndpointSet {
    version: u64,
    endpoints: Endpoints,
    left_out: usize,
}

impl EndpointSet {
    pub(crate) fn new(version: u64, endpoints: Endpoints, left_out: usize) -> EndpointSet {
        EndpointSet { version, endpoints, left_out }
    }

    /// Grows by one with every change of the service's set; 0 is the empty set before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All of them, whatever their health.
    pub fn endpoints(&self) -> &Endpoints {
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
    suspects: mpsc::Sender<Suspect>,
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
    pub(crate) fn new(name: Arc<str>, suspects: mpsc::Sender<Suspect>) -> LiveService {
        LiveService {
            name,
            version: AtomicU64::new(0),
            latest: Mutex::default(),
            sources: Mutex::default(),
            suspects,
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

    /// A request could not reach one of the endpoints: until then others go elsewhere, where there is an elsewhere, and
    /// whoever checks it looks at once. Without this, an endpoint that refuses at once looks idle and would draw more
    /// requests than its share until checks notice. A few nanoseconds, and no lock.
    pub fn suspect(&self, endpoint: &LiveEndpoint, now: Moment, until: Moment) {
        if endpoint.live.suspect(now, until) {
            let service = Arc::clone(&self.name);
            let suspect = Suspect { service, id: endpoint.live.id(), address: endpoint.endpoint.address };
            // Full, or nobody listens: checks come in their time.
            let _ = self.suspects.try_send(suspect);
        }
    }

    /// Why there is no endpoint, in words for strangers; nothing when a source has some. Takes a lock: for when there is none.
    pub fn absence(&self) -> String {
        let mut reasons: Vec<&str> = Vec::new();
        for reason in lock(&self.sources).iter().filter_map(|source| source.standing.absence()) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons.join("; ")
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
        let cause = endpoint.record().count(settings, met)?;
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
        outlier::eject(self.latest().endpoints(), endpoint.record(), settings, now, cause)
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

    /// Replaces what is shown of one source.
    pub(crate) fn report_one(&self, place: usize, report: SourceReport) {
        if let Some(known) = lock(&self.sources).get_mut(place) {
            *known = report;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_latest_set_and_keeps_the_same_one_until_then() {
        let service = Arc::new(LiveService::new("orders".into(), mpsc::channel(1).0));
        let mut reader = ServiceReader::new(Arc::clone(&service));
        let first = Arc::clone(reader.endpoints());
        assert_eq!((first.version(), first.endpoints().len()), (0, 0));
        assert!(Arc::ptr_eq(&first, reader.endpoints()));
        service.publish(EndpointSet::new(1, Endpoints::default(), 0));
        assert_eq!(reader.endpoints().version(), 1);
    }
}
