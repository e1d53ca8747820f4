//! The endpoints that a service's sources come to: put together, given the state they had before, and watched.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use forebay_clock::Moment;

use super::{Catalog, Service, Supply, Watch};
use crate::change::Change;
use crate::endpoint::{Endpoint, Identity};
use crate::health::{Health, HealthCheck, HealthMachine};
use crate::live::{EndpointId, LiveState};
use crate::merge::merge;
use crate::pushed::Advertised;
use crate::service::{EndpointSet, LiveEndpoint};

impl Catalog {
    /// Brings a service's set, watches and report up to date with what its sources hold.
    pub(super) fn refresh(&mut self, now: Moment, name: &Arc<str>) {
        let Some(service) = self.services.get(name) else { return };
        let live = Arc::clone(&service.live);
        let check = service.definition.health.clone();
        let found = service.definition.sources.iter().zip(&service.supplies);
        let merged = merge(name, found.map(|(source, supply)| (source, self.targets(supply))));
        let latest = live.latest();
        let same = latest.endpoints().iter().map(|e| &*e.endpoint).eq(&merged.endpoints)
            && latest.left_out() == merged.left_out;
        if same {
            self.advertise(now, name, latest.endpoints(), &merged.runs);
        } else {
            let endpoints = self.adopt(now, &latest, merged.endpoints);
            // Before anybody can see them.
            self.advertise(now, name, &endpoints, &merged.runs);
            live.publish(EndpointSet::new(latest.version() + 1, endpoints, merged.left_out));
            self.changes.push(Change::Endpoints { service: Arc::clone(name), set: live.latest() });
        }
        for endpoint in live.latest().endpoints() {
            self.watch(now, endpoint, check.as_ref());
        }
        if let Some(service) = self.services.get_mut(name) {
            service.runs = merged.runs;
        }
        self.report(name);
    }

    /// Gives each endpoint the state that its identity had before, or a new one; forgets those that are gone.
    fn adopt(&mut self, now: Moment, latest: &EndpointSet, endpoints: Vec<Endpoint>) -> Vec<LiveEndpoint> {
        let mut old: HashMap<Identity, &LiveEndpoint> =
            latest.endpoints().iter().map(|e| (e.endpoint.identity(), e)).collect();
        let adopted = endpoints.into_iter().map(|endpoint| match old.remove(&endpoint.identity()) {
            Some(same) if *same.endpoint == endpoint => same.clone(),
            Some(other) => LiveEndpoint { endpoint: Arc::new(endpoint), live: Arc::clone(&other.live) },
            None => self.newcomer(now, endpoint),
        });
        let adopted = adopted.collect();
        old.into_values().for_each(|gone| self.unwatch(&gone.live));
        adopted
    }

    pub(super) fn newcomer(&mut self, now: Moment, endpoint: Endpoint) -> LiveEndpoint {
        let id = EndpointId(self.endpoint_next);
        self.endpoint_next += 1;
        LiveEndpoint { endpoint: Arc::new(endpoint), live: Arc::new(LiveState::new(id, now)) }
    }

    /// Has each endpoint stand as its source says.
    fn advertise(&mut self, now: Moment, name: &str, endpoints: &[LiveEndpoint], runs: &[Range<usize>]) {
        let Some(Service { supplies, .. }) = self.services.get(name) else { return };
        for (supply, run) in supplies.iter().zip(runs) {
            let listing = match supply {
                Supply::Pushed(name) => self.listings.get(name).map(|listed| &listed.listing),
                _ => None,
            };
            for LiveEndpoint { endpoint, live } in &endpoints[run.clone()] {
                let pushed = listing.and_then(|listing| listing.endpoint(endpoint.address));
                let word = pushed.map(|pushed| &pushed.advertised);
                if live.advertise(now, word) {
                    self.changes.push(Change::advertised(endpoint, word.and_then(Advertised::reason)));
                }
            }
        }
    }

    /// Makes sure the endpoint is probed by this check, or by none.
    pub(super) fn watch(&mut self, now: Moment, endpoint: &LiveEndpoint, check: Option<&HealthCheck>) {
        let id = endpoint.live.id();
        match (check, self.watches.get_mut(&id)) {
            (None, None) => {}
            (None, Some(_)) => {
                self.unwatch(&endpoint.live);
                endpoint.live.judge(now, Health::Unknown, None, None);
            }
            (Some(check), Some(watch)) => {
                watch.endpoint = Arc::clone(&endpoint.endpoint);
                if watch.machine.check() != check {
                    watch.machine.configure(check.clone());
                    let soon = watch.machine.first_due(now, &mut self.rng);
                    self.probes_due.set(id, soon);
                }
            }
            (Some(check), None) => {
                let mut machine = HealthMachine::new(check.clone());
                self.probes_due.set(id, machine.first_due(now, &mut self.rng));
                let LiveEndpoint { endpoint, live } = endpoint.clone();
                self.watches.insert(id, Watch { endpoint, live, machine });
            }
        }
    }
}
