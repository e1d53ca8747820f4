//! All services, their sources and their endpoints, and what is to be looked up or probed next.
//! Pure: [`crate::Discovery`] does the asking, a simulator may as well.

use std::collections::{BTreeMap, HashMap};
use std::slice;
use std::sync::Arc;

use forebay_clock::Moment;

use crate::agenda::Agenda;
use crate::answer::{Answer, ResolveFailure};
use crate::change::{Change, is_turn};
use crate::definition::{Definitions, ServiceDefinition};
use crate::endpoint::{Endpoint, Identity, Target};
use crate::health::{self, Health, HealthCheck, HealthMachine, ProbeFailure};
use crate::live::{EndpointId, EndpointSet, LiveEndpoint, LiveService, LiveState, SourceReport};
use crate::merge::merge;
use crate::outlier;
use crate::resolution::{self, Resolution, ResolutionSettings, Standing};
use crate::source::{Place, Source};

/// Names one source of one service in lookups and their results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(u32);

/// A lookup to make now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupOrder {
    /// To hand back with the result.
    pub id: LookupId,
    /// What to look up.
    pub place: Place,
}

/// A probe to make now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeOrder {
    /// To hand back with the result.
    pub id: EndpointId,
    /// Whom to probe.
    pub endpoint: Endpoint,
    /// How.
    pub check: HealthCheck,
}

/// The whole state of discovery.
#[derive(Debug)]
pub struct Catalog {
    services: BTreeMap<Arc<str>, Service>,
    feeds: HashMap<LookupId, Feed>,
    watches: HashMap<EndpointId, Watch>,
    lookups_due: Agenda<LookupId>,
    probes_due: Agenda<EndpointId>,
    lookup_next: u32,
    endpoint_next: u32,
    changes: Vec<Change>,
    // When what requests met is looked over next.
    interval_ends: Moment,
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Service {
    live: Arc<LiveService>,
    definition: ServiceDefinition,
    // Beside each of the definition's sources; an address needs no lookup.
    feeds: Vec<Option<LookupId>>,
}

#[derive(Debug)]
struct Feed {
    service: Arc<str>,
    place: Place,
    machine: Resolution,
}

#[derive(Debug)]
struct Watch {
    endpoint: Endpoint,
    live: Arc<LiveState>,
    machine: HealthMachine,
}

impl Catalog {
    /// Knows no service yet. The rng spreads probes and retries.
    pub fn new(rng: fastrand::Rng) -> Catalog {
        Catalog {
            services: BTreeMap::new(),
            feeds: HashMap::new(),
            watches: HashMap::new(),
            lookups_due: Agenda::default(),
            probes_due: Agenda::default(),
            lookup_next: 0,
            endpoint_next: 0,
            changes: Vec::new(),
            interval_ends: Moment::START,
            rng,
        }
    }

    /// Replaces all definitions. Services keep their handle by name, sources their answers by place, endpoints
    /// their state by identity; addresses written in the configuration serve at once.
    pub fn apply(&mut self, now: Moment, definitions: Definitions) {
        let gone: Vec<_> =
            self.services.keys().filter(|name| !definitions.contains_key(*name)).cloned().collect();
        for name in gone {
            self.remove(&name);
        }
        for (name, definition) in definitions {
            self.define(now, &name, definition);
            self.refresh(now, &name);
        }
    }

    /// The service of this name, if it is configured.
    pub fn service(&self, name: &str) -> Option<Arc<LiveService>> {
        self.services.get(name).map(|service| Arc::clone(&service.live))
    }

    /// All services, by name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<LiveService>> {
        self.services.values().map(|service| &service.live)
    }

    /// What happened since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// When the next lookup is due.
    pub fn next_lookup(&self) -> Moment {
        self.lookups_due.next()
    }

    /// When the next probe is due.
    pub fn next_probe(&self) -> Moment {
        self.probes_due.next()
    }

    /// Takes a lookup that is due; [`Catalog::resolved`] is owed for it.
    pub fn pop_lookup(&mut self, now: Moment) -> Option<LookupOrder> {
        let id = self.lookups_due.pop(now)?;
        let feed = self.feeds.get_mut(&id)?;
        let step = feed.machine.step(now, resolution::Event::Due, &mut self.rng);
        self.lookups_due.set(id, step.due);
        step.resolve.then(|| LookupOrder { id, place: feed.place.clone() })
    }

    /// Takes a probe that is due; [`Catalog::probed`] is owed for it.
    pub fn pop_probe(&mut self, now: Moment) -> Option<ProbeOrder> {
        let id = self.probes_due.pop(now)?;
        let watch = self.watches.get_mut(&id)?;
        let step = watch.machine.step(now, health::Event::Due, &mut self.rng);
        self.probes_due.set(id, step.due);
        let order =
            || ProbeOrder { id, endpoint: watch.endpoint.clone(), check: watch.machine.check().clone() };
        step.probe.then(order)
    }

    /// Takes a lookup's result. One whose source has been removed meanwhile is ignored.
    pub fn resolved(&mut self, now: Moment, id: LookupId, result: Result<Answer, ResolveFailure>) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        let before = feed.machine.standing();
        let event = match result {
            Ok(answer) => resolution::Event::Answered(answer),
            Err(failure) => resolution::Event::Failed(failure),
        };
        let step = feed.machine.step(now, event, &mut self.rng);
        self.lookups_due.set(id, step.due);
        let service = Arc::clone(&feed.service);
        let turned = is_turn(&before, &feed.machine.standing());
        self.report(&service);
        if turned {
            self.tell_standing(&service, id);
        }
        if step.changed {
            self.refresh(now, &service);
        }
    }

    /// Takes a probe's result. One whose endpoint is gone meanwhile is ignored.
    pub fn probed(&mut self, now: Moment, id: EndpointId, result: Result<(), ProbeFailure>) {
        let Some(watch) = self.watches.get_mut(&id) else { return };
        let step = watch.machine.step(now, health::Event::Probed(result), &mut self.rng);
        self.probes_due.set(id, step.due);
        let reason = watch.machine.reason().cloned();
        watch.live.judge(now, watch.machine.health(), reason.clone());
        if let Some(health) = step.became {
            let Endpoint { service, address, .. } = &watch.endpoint;
            let service = Arc::clone(service);
            self.changes.push(Change::Health { service, address: *address, health, reason });
        }
    }

    /// When [`Catalog::compare`] is due.
    pub fn next_comparison(&self) -> Moment {
        self.interval_ends
    }

    /// Compares what requests met at the endpoints of each service, once an interval.
    pub fn compare(&mut self, now: Moment) {
        if now < self.interval_ends {
            return;
        }
        self.interval_ends = now + outlier::INTERVAL;
        for (name, service) in &self.services {
            let Some(settings) = &service.definition.outlier else { continue };
            let set = service.live.latest();
            for (place, ejection) in service.live.end_interval(settings, now) {
                let Some(endpoint) = set.endpoints().get(place) else { continue };
                let address = endpoint.endpoint.address;
                self.changes.push(Change::Ejected { service: Arc::clone(name), address, ejection });
            }
        }
    }

    fn remove(&mut self, name: &Arc<str>) {
        let Some(service) = self.services.remove(name) else { return };
        service.feeds.into_iter().flatten().for_each(|id| self.drop_feed(id));
        for endpoint in service.live.latest().endpoints() {
            self.unwatch(&endpoint.live);
        }
    }

    fn drop_feed(&mut self, id: LookupId) {
        self.feeds.remove(&id);
        self.lookups_due.cancel(id);
    }

    fn unwatch(&mut self, live: &LiveState) {
        self.watches.remove(&live.id());
        self.probes_due.cancel(live.id());
    }

    /// Takes the definition, with the feeds of those sources that it shares with the one before.
    fn define(&mut self, now: Moment, name: &Arc<str>, definition: ServiceDefinition) {
        let (live, mut old) = match self.services.remove(name) {
            Some(service) => (service.live, service.feeds),
            None => (Arc::new(LiveService::new(Arc::clone(name))), Vec::new()),
        };
        let mut feeds = Vec::new();
        for source in &definition.sources {
            let looked_up = !matches!(source.place, Place::Address(_));
            feeds.push(looked_up.then(|| match self.take_feed(&mut old, &source.place) {
                Some(id) => id,
                None => self.add_feed(now, name, source.place.clone()),
            }));
        }
        old.into_iter().flatten().for_each(|id| self.drop_feed(id));
        for id in feeds.iter().flatten() {
            if let Some(feed) = self.feeds.get_mut(id) {
                feed.machine.configure(definition.resolution.clone());
            }
        }
        self.services.insert(Arc::clone(name), Service { live, definition, feeds });
    }

    fn take_feed(&self, old: &mut [Option<LookupId>], place: &Place) -> Option<LookupId> {
        let same = |id: &LookupId| self.feeds.get(id).is_some_and(|feed| feed.place == *place);
        old.iter_mut().find(|id| id.as_ref().is_some_and(same))?.take()
    }

    fn add_feed(&mut self, now: Moment, service: &Arc<str>, place: Place) -> LookupId {
        let id = LookupId(self.lookup_next);
        self.lookup_next += 1;
        let machine = Resolution::new(ResolutionSettings::default());
        self.feeds.insert(id, Feed { service: Arc::clone(service), place, machine });
        self.lookups_due.set(id, now);
        id
    }

    /// Brings a service's set, watches and report up to date with what its sources hold.
    fn refresh(&mut self, now: Moment, name: &Arc<str>) {
        let Some(service) = self.services.get(name) else { return };
        let live = Arc::clone(&service.live);
        let check = service.definition.health.clone();
        let statics: Vec<_> = service.definition.sources.iter().map(static_target).collect();
        let found = service.definition.sources.iter().zip(&service.feeds).zip(&statics).map(
            |((source, id), target)| {
                let resolved = id.and_then(|id| self.feeds.get(&id)).map(|feed| feed.machine.targets());
                (source, resolved.unwrap_or(target.as_ref().map_or(&[], slice::from_ref)))
            },
        );
        let merged = merge(name, found);
        let latest = live.latest();
        let same = latest.endpoints().iter().map(|e| &e.endpoint).eq(&merged.endpoints)
            && latest.left_out() == merged.left_out;
        if !same {
            let endpoints = self.adopt(now, &latest, merged.endpoints);
            live.publish(EndpointSet::new(latest.version() + 1, endpoints, merged.left_out));
            self.changes.push(Change::Endpoints { service: Arc::clone(name), set: live.latest() });
        }
        for endpoint in live.latest().endpoints() {
            self.watch(now, endpoint, check.as_ref());
        }
        self.report(name);
    }

    /// Gives each endpoint the state that its identity had before, or a new one; forgets those that are gone.
    fn adopt(&mut self, now: Moment, latest: &EndpointSet, endpoints: Vec<Endpoint>) -> Vec<LiveEndpoint> {
        let mut old: HashMap<Identity, &Arc<LiveState>> =
            latest.endpoints().iter().map(|e| (e.endpoint.identity(), &e.live)).collect();
        let adopted = endpoints.into_iter().map(|endpoint| {
            let live = old.remove(&endpoint.identity()).cloned().unwrap_or_else(|| {
                let id = EndpointId(self.endpoint_next);
                self.endpoint_next += 1;
                Arc::new(LiveState::new(id, now))
            });
            LiveEndpoint { endpoint, live }
        });
        let adopted = adopted.collect();
        old.into_values().for_each(|live| self.unwatch(live));
        adopted
    }

    /// Makes sure the endpoint is probed by this check, or by none.
    fn watch(&mut self, now: Moment, endpoint: &LiveEndpoint, check: Option<&HealthCheck>) {
        let id = endpoint.live.id();
        match (check, self.watches.get_mut(&id)) {
            (None, None) => {}
            (None, Some(_)) => {
                self.unwatch(&endpoint.live);
                endpoint.live.judge(now, Health::Unknown, None);
            }
            (Some(check), Some(watch)) => {
                watch.endpoint = endpoint.endpoint.clone();
                if watch.machine.check() != check {
                    watch.machine.configure(check.clone());
                    let soon = watch.machine.first_due(now, &mut self.rng);
                    self.probes_due.set(id, soon);
                }
            }
            (Some(check), None) => {
                let machine = HealthMachine::new(check.clone());
                self.probes_due.set(id, machine.first_due(now, &mut self.rng));
                let LiveEndpoint { endpoint, live } = endpoint.clone();
                self.watches.insert(id, Watch { endpoint, live, machine });
            }
        }
    }

    fn report(&self, name: &str) {
        let Some(service) = self.services.get(name) else { return };
        let sources = service.definition.sources.iter().zip(&service.feeds);
        service.live.report(sources.map(|(source, id)| self.source_report(source, *id)).collect());
    }

    fn source_report(&self, source: &Source, id: Option<LookupId>) -> SourceReport {
        let machine = id.and_then(|id| self.feeds.get(&id)).map(|feed| &feed.machine);
        SourceReport {
            source: source.clone(),
            standing: machine.map_or(Standing::Static, Resolution::standing),
            targets: machine.map_or(1, |machine| machine.targets().len()),
        }
    }

    fn tell_standing(&mut self, name: &Arc<str>, id: LookupId) {
        let Some(service) = self.services.get(name) else { return };
        let mut sources = service.definition.sources.iter().zip(&service.feeds);
        if let Some((source, _)) = sources.find(|(_, feed)| **feed == Some(id)) {
            let report = self.source_report(source, Some(id));
            self.changes.push(Change::Standing { service: Arc::clone(name), report });
        }
    }
}

fn static_target(source: &Source) -> Option<Target> {
    match source.place {
        Place::Address(address) => Some(Target::new(address)),
        Place::Host { .. } | Place::Service { .. } | Place::File(_) => None,
    }
}

#[cfg(test)]
mod tests;
