//! A service's fleet as it follows the endpoints that discovery finds: a few changes are made to the fleet there is, many
//! make it anew. Decides which; who gets a request is decided by `balance`.

use std::collections::HashMap;
use std::sync::Arc;

use forebay_balance::{Amendment, Balance, Fleet};
use forebay_discovery::{EndpointChange, EndpointId, EndpointSet, LiveEndpoint};

use crate::generation::Upstream;

/// Changes that are made to a fleet one by one. With more at once, putting it together anew is about as much work.
const AMENDMENTS_MAX: usize = 128;

/// The latest fleet, and what it is made of.
#[derive(Clone)]
pub(crate) struct Latest {
    set: Arc<EndpointSet>,
    fleet: Arc<Fleet<Arc<Upstream>>>,
    /// Where in the fleet each endpoint is: a fleet has an order of its own, in which those that stay keep their places.
    places: HashMap<EndpointId, usize>,
}

impl Latest {
    /// The first fleet.
    pub(crate) fn new(
        balance: Balance,
        set: Arc<EndpointSet>,
        make: impl FnMut(&LiveEndpoint) -> Arc<Upstream>,
    ) -> Latest {
        let fleet = Fleet::new(balance, set.endpoints().iter().map(make).collect());
        Latest { places: places(&fleet), fleet: Arc::new(fleet), set }
    }

    /// The version of its endpoints.
    pub(crate) fn version(&self) -> u64 {
        self.set.version()
    }

    pub(crate) fn fleet(&self) -> &Arc<Fleet<Arc<Upstream>>> {
        &self.fleet
    }

    /// The upstream of an endpoint that is in it.
    pub(crate) fn upstream(&self, endpoint: EndpointId) -> Option<&Arc<Upstream>> {
        self.places.get(&endpoint).map(|&place| &self.fleet.endpoints()[place])
    }

    /// The same with tables for exactly its endpoints, which takes long.
    pub(crate) fn settle(&self) -> Latest {
        let fleet = Arc::new(self.fleet.resettle());
        Latest { set: self.set.clone(), fleet, places: self.places.clone() }
    }

    /// Goes on to the set of another, with its upstreams.
    pub(crate) fn catch_up(&mut self, other: &Latest) {
        if self.version() == other.version() {
            return;
        }
        // Every endpoint of its set has its place there.
        self.follow(Arc::clone(&other.set), |endpoint| {
            Arc::clone(&other.fleet.endpoints()[other.places[&endpoint.live.id()]])
        });
    }

    /// Goes on to a later set. Upstreams are made where an endpoint is new or described otherwise.
    pub(crate) fn follow(
        &mut self,
        set: Arc<EndpointSet>,
        mut make: impl FnMut(&LiveEndpoint) -> Arc<Upstream>,
    ) {
        let changes = set.endpoints().changes_since(self.set.endpoints());
        if changes.len() <= AMENDMENTS_MAX {
            self.amend(changes, make);
        } else {
            let follow = |endpoint: &LiveEndpoint| {
                let old = self.upstream(endpoint.live.id()).filter(|old| old.is_of(endpoint));
                old.map_or_else(|| make(endpoint), Arc::clone)
            };
            let fleet = self.fleet.succeed(set.endpoints().iter().map(follow).collect());
            self.places = places(&fleet);
            self.fleet = Arc::new(fleet);
        }
        self.set = set;
    }

    fn amend(&mut self, changes: Vec<EndpointChange>, mut make: impl FnMut(&LiveEndpoint) -> Arc<Upstream>) {
        // Ids by place, as far as they move: who is last takes the place of who goes.
        let mut moved: HashMap<usize, EndpointId> = HashMap::new();
        let mut count = self.fleet.endpoints().len();
        let mut amendments = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                EndpointChange::Came(endpoint) => {
                    self.places.insert(endpoint.live.id(), count);
                    moved.insert(count, endpoint.live.id());
                    count += 1;
                    amendments.push(Amendment::Add(make(&endpoint)));
                }
                EndpointChange::Changed(endpoint) => {
                    let Some(&place) = self.places.get(&endpoint.live.id()) else { continue };
                    amendments.push(Amendment::Replace(place, make(&endpoint)));
                }
                EndpointChange::Gone(id) => {
                    let Some(place) = self.places.remove(&id) else { continue };
                    count -= 1;
                    if place < count {
                        let last =
                            moved.get(&count).copied().unwrap_or_else(|| self.fleet.endpoints()[count].id());
                        self.places.insert(last, place);
                        moved.insert(place, last);
                    }
                    amendments.push(Amendment::Remove(place));
                }
            }
        }
        self.fleet = Arc::new(self.fleet.amend(amendments));
    }
}

fn places(fleet: &Fleet<Arc<Upstream>>) -> HashMap<EndpointId, usize> {
    fleet.endpoints().iter().map(|upstream| upstream.id()).zip(0..).collect()
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use forebay_balance::{Candidate as _, Identity, Policy};
    use forebay_clock::Clock;
    use forebay_discovery::{
        Advertised, Definitions, Discovery, Pushed, PushedChange, PushedTarget, ServiceDefinition, Target,
    };
    use forebay_telemetry::metrics::Registry;

    use super::*;
    use crate::telemetry::Families;

    fn instance(number: u16, weight: u32) -> PushedTarget {
        let target = Target { weight, ..Target::new(([10, 0, 0, 1], 1 + number).into()) };
        PushedTarget { target, advertised: Advertised::Ready }
    }

    fn upstream(endpoint: &LiveEndpoint, families: &Families) -> Arc<Upstream> {
        let address = endpoint.endpoint.address;
        let metrics = families.endpoint("a", &address.to_string());
        let identity = Identity::of(address, None);
        Arc::new(Upstream { identity, endpoint: endpoint.clone(), tls: None, metrics, latency: None })
    }

    /// Every endpoint once, as it is described now, and where it is said to be.
    fn check(latest: &Latest, set: &EndpointSet) {
        assert_eq!(latest.version(), set.version());
        assert_eq!(
            (latest.fleet.endpoints().len(), latest.places.len()),
            (set.endpoints().len(), set.endpoints().len())
        );
        for endpoint in set.endpoints() {
            let upstream = latest.upstream(endpoint.live.id()).expect("it has an upstream");
            assert!(upstream.is_of(endpoint) && upstream.id() == endpoint.live.id());
            assert_eq!(upstream.weight().get(), endpoint.endpoint.weight);
        }
    }

    #[test]
    fn a_fleet_follows_whatever_changes_and_however_much() {
        let families = Families::new(&Registry::new(1));
        for seed in 0..20 {
            let mut rng = Rng::with_seed(seed);
            let discovery = Discovery::new(Clock::system(), Rng::with_seed(1));
            let sources = vec!["registry".parse().expect("a source")];
            let definition = ServiceDefinition { sources, ..ServiceDefinition::default() };
            discovery.apply(Definitions::from([("a".into(), definition)]));
            let targets = (0..rng.u16(..300)).map(|number| instance(number, 1)).collect();
            let confirmed = Clock::system().now();
            discovery.push("a", Pushed { targets, confirmed, failure: None });
            let service = discovery.service("a").expect("it is configured");
            let make = |endpoint: &LiveEndpoint| upstream(endpoint, &families);
            let mut latest = Latest::new(Policy::Maglev.into(), service.latest(), make);
            let mut behind = latest.clone();
            for _ in 0..20 {
                // One, a few, or too many to be made one by one.
                for _ in 0..rng.choice([1, 5, 300]).expect("there are some") {
                    let number = rng.u16(..300);
                    let change = match rng.bool() {
                        true => PushedChange::Put(instance(number, rng.u32(1..4))),
                        false => PushedChange::Gone(instance(number, 1).target.address),
                    };
                    discovery.push_one("a", change);
                }
                latest.follow(service.latest(), make);
                check(&latest, &service.latest());
            }
            // As after a table was built.
            behind.catch_up(&latest);
            check(&behind, &service.latest());
            let there = |id| latest.upstream(id).expect("it has an upstream");
            let are_same =
                behind.fleet.endpoints().iter().all(|upstream| Arc::ptr_eq(upstream, there(upstream.id())));
            assert!(are_same, "who counts requests of an endpoint is there once");
        }
    }
}
