//! All services, their sources and their endpoints, and what is to be looked up or probed next.
//! Pure: [`crate::Discovery`] does the asking, a simulator may as well.

mod endpoints;
mod pushes;
mod supplies;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use forebay_clock::{Agenda, Moment};
use tokio::sync::mpsc;

use crate::answer::{Answer, ResolveFailure};
use crate::change::{Change, is_turn};
use crate::definition::{Definitions, ServiceDefinition};
use crate::endpoint::{Endpoint, Target};
use crate::health::{self, HealthCheck, HealthMachine, ProbeFailure};
use crate::live::{EndpointId, LiveState};
use crate::outlier;
use crate::pushed::Listing;
use crate::resolution::{self, Resolution};
use crate::service::LiveService;
use crate::source::Place;
use crate::suspect::{SUSPECTS_MAX, Suspect};

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
    pub endpoint: Arc<Endpoint>,
    /// How.
    pub check: HealthCheck,
}

/// The whole state of discovery.
#[derive(Debug)]
pub struct Catalog {
    services: BTreeMap<Arc<str>, Service>,
    feeds: HashMap<LookupId, Feed>,
    // What registries said, by their name for it; of services that are not configured too.
    listings: HashMap<Arc<str>, Listed>,
    watches: HashMap<EndpointId, Watch>,
    lookups_due: Agenda<LookupId>,
    probes_due: Agenda<EndpointId>,
    lookup_next: u32,
    endpoint_next: u32,
    changes: Vec<Change>,
    // When what requests met is looked over next.
    interval_ends: Moment,
    // The way in for what cores could not reach, and its end until somebody takes it.
    suspects: mpsc::Sender<Suspect>,
    suspected: Option<mpsc::Receiver<Suspect>>,
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Service {
    live: Arc<LiveService>,
    definition: ServiceDefinition,
    // Beside each of the definition's sources: where its targets come from, and which endpoints of the set are its own.
    supplies: Vec<Supply>,
    runs: Vec<Range<usize>>,
}

/// Where a source's targets come from.
#[derive(Debug)]
enum Supply {
    /// From nowhere: the source is the target.
    Written(Target),
    /// From lookups.
    LookedUp(LookupId),
    /// From a registry, which calls it this.
    Pushed(Arc<str>),
}

/// What a registry said under a name, and the services that have it for a source.
#[derive(Debug, Default)]
struct Listed {
    listing: Listing,
    claimed_by: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Feed {
    service: Arc<str>,
    place: Place,
    machine: Resolution,
}

#[derive(Debug)]
struct Watch {
    endpoint: Arc<Endpoint>,
    live: Arc<LiveState>,
    machine: HealthMachine,
}

impl Catalog {
    /// Knows no service yet. The rng spreads probes and retries.
    pub fn new(rng: fastrand::Rng) -> Catalog {
        let (suspects, suspected) = mpsc::channel(SUSPECTS_MAX);
        Catalog {
            services: BTreeMap::new(),
            feeds: HashMap::new(),
            listings: HashMap::new(),
            watches: HashMap::new(),
            lookups_due: Agenda::default(),
            probes_due: Agenda::default(),
            lookup_next: 0,
            endpoint_next: 0,
            changes: Vec::new(),
            interval_ends: Moment::START,
            suspects,
            suspected: Some(suspected),
            rng,
        }
    }

    /// Replaces all definitions. Services keep their handle by name, sources their answers by place, endpoints
    /// their state by identity; addresses written in the configuration and what registries have said serve at once.
    pub fn apply(&mut self, now: Moment, definitions: Definitions) {
        let gone: Vec<_> =
            self.services.keys().filter(|name| !definitions.contains_key(*name)).cloned().collect();
        for name in gone {
            self.remove(&name);
        }
        self.listings.values_mut().for_each(|listed| listed.claimed_by.clear());
        for (name, definition) in definitions {
            self.define(now, &name, definition);
            self.refresh(now, &name);
        }
        self.forget_unclaimed();
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
            || ProbeOrder { id, endpoint: Arc::clone(&watch.endpoint), check: watch.machine.check().clone() };
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
            self.tell_standing(&service, |supply| matches!(supply, Supply::LookedUp(feed) if *feed == id));
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
        watch.live.judge(now, watch.machine.health(), reason.clone(), watch.machine.hold(now));
        if let Some(health) = step.became {
            let Endpoint { service, address, .. } = &*watch.endpoint;
            let service = Arc::clone(service);
            self.changes.push(Change::Health { service, address: *address, health, reason });
        }
    }

    /// The suspicions of all cores; [`Catalog::suspected`] is owed for each. Given once.
    pub fn suspects(&mut self) -> Option<mpsc::Receiver<Suspect>> {
        self.suspected.take()
    }

    /// Looks into an endpoint that a request could not reach: its check comes at once.
    pub fn suspected(&mut self, now: Moment, suspect: Suspect) {
        let Suspect { service, id, address } = suspect;
        if let Some(watch) = self.watches.get_mut(&id) {
            let step = watch.machine.step(now, health::Event::Suspected, &mut self.rng);
            self.probes_due.set(id, step.due);
        }
        self.changes.push(Change::Suspected { service, address });
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
}

#[cfg(test)]
mod tests;
