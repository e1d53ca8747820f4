//! What registries push. A change of few among many touches those few: neither states nor sets are put together anew.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use forebay_clock::Moment;

use super::{Catalog, Listed, Service, Supply};
use crate::change::{Change, is_turn};
use crate::endpoint::Endpoint;
use crate::merge::ENDPOINTS_MAX;
use crate::pushed::{Advertised, Listing, Pushed, PushedChange, Shift, UNCLAIMED_MAX};
use crate::service::{EndpointSet, LiveEndpoint};

/// More changes than that at once, and putting the set together anew is no more work.
const SHIFTS_MAX: usize = 64;

impl Catalog {
    /// Takes all that a registry has under a name.
    pub fn push(&mut self, now: Moment, name: &str, pushed: Pushed) {
        self.listen(now, name, |listing| listing.take(pushed));
    }

    /// Takes one instance's change, known to be true now.
    pub fn push_one(&mut self, now: Moment, name: &str, change: PushedChange) {
        self.listen(now, name, |listing| listing.take_one(now, change).into_iter().collect());
    }

    fn listen(&mut self, now: Moment, name: &str, take: impl FnOnce(&mut Listing) -> Vec<Shift>) {
        // Registries know services by name without case.
        let name = &*name.to_ascii_lowercase();
        let known = self.listings.get_key_value(name).map(|(known, _)| Arc::clone(known));
        let name = known.unwrap_or_else(|| name.into());
        let listed = self.listings.entry(Arc::clone(&name)).or_default();
        let before = listed.listing.standing();
        let shifts = take(&mut listed.listing);
        let turned = is_turn(&before, &listed.listing.standing());
        let claimed_by = listed.claimed_by.clone();
        if claimed_by.is_empty() {
            return self.bound_unclaimed(&name);
        }
        for service in claimed_by {
            if !shifts.is_empty() && !self.shift(now, &service, &name, &shifts) {
                self.refresh(now, &service);
            }
            self.report_pushed(&service, &name);
            if turned {
                self.tell_standing(&service, |supply| is_pushed(supply, &name));
            }
        }
    }

    /// Forgets what was said under the name if too much is kept of what nobody has asked for.
    fn bound_unclaimed(&mut self, name: &Arc<str>) {
        let unclaimed = self.listings.values().filter(|listed| listed.claimed_by.is_empty());
        let kept: usize = unclaimed.map(|listed| 1 + listed.listing.instances().all()).sum();
        if kept > UNCLAIMED_MAX {
            self.listings.remove(name);
        }
    }

    /// Forgets the names of services that are gone, as far as nothing was said and too much is kept.
    pub(super) fn forget_unclaimed(&mut self) {
        let mut kept = 0;
        self.listings.retain(|_, Listed { listing, claimed_by }| {
            if !claimed_by.is_empty() {
                return true;
            }
            kept += 1 + listing.instances().all();
            listing.is_heard() && kept <= UNCLAIMED_MAX
        });
    }

    fn report_pushed(&self, service: &str, name: &Arc<str>) {
        let Some(service) = self.services.get(service) else { return };
        let sources = service.definition.sources.iter().zip(&service.supplies).enumerate();
        for (place, (source, supply)) in sources.filter(|(_, (_, supply))| is_pushed(supply, name)) {
            service.live.report_one(place, self.source_report(source, supply));
        }
    }

    /// Brings a service's endpoints up to date with a few changes of one source; false when that takes more than this.
    fn shift(&mut self, now: Moment, name: &Arc<str>, listed: &Arc<str>, shifts: &[Shift]) -> bool {
        let Some(service) = self.services.get(name) else { return true };
        let Some(place) = service.supplies.iter().position(|supply| is_pushed(supply, listed)) else {
            return true;
        };
        let set = service.live.latest();
        let is_set = |shift: &&Shift| matches!(shift, Shift::Set(_));
        let addresses: Vec<SocketAddr> = shifts.iter().filter(is_set).map(Shift::address).collect();
        if shifts.len() > SHIFTS_MAX
            || (!addresses.is_empty() && !self.stand_alone(service, place, &addresses))
        {
            return false;
        }
        if addresses.is_empty() {
            let ours = &set.endpoints()[service.runs[place].clone()];
            shifts.iter().for_each(|shift| self.advertise_one(now, listed, ours, shift.address()));
            return true;
        }
        let mut draft = Draft { endpoints: set.endpoints().to_vec(), run: service.runs[place].clone() };
        for &address in &addresses {
            self.splice(now, name, place, listed, &mut draft, address);
        }
        for shift in shifts {
            self.advertise_one(now, listed, draft.ours(), shift.address());
        }
        self.put_in_force(now, name, place, draft, &addresses);
        true
    }

    /// Whether no other source has a say in what becomes of these addresses, nor the bound on all endpoints.
    fn stand_alone(&self, service: &Service, place: usize, addresses: &[SocketAddr]) -> bool {
        let set = service.live.latest();
        let sources = service.definition.sources.iter().zip(&service.supplies).enumerate();
        let mut others = sources
            .filter(|(other, (source, _))| {
                *other != place && source.tls == service.definition.sources[place].tls
            })
            .map(|(_, (_, supply))| supply);
        let ours = &set.endpoints()[service.runs[place].clone()];
        let is_new = |address: &&SocketAddr| find(ours, **address).is_err();
        let newcomers = addresses.iter().filter(is_new).count();
        let has_room = set.left_out() == 0 && set.endpoints().len() + newcomers <= ENDPOINTS_MAX;
        has_room && others.all(|supply| addresses.iter().all(|address| !self.supplies(supply, *address)))
    }

    fn supplies(&self, supply: &Supply, address: SocketAddr) -> bool {
        match supply {
            Supply::Written(target) => target.address == address,
            Supply::LookedUp(id) => self.feeds.get(id).is_some_and(|feed| {
                feed.machine.targets().binary_search_by_key(&address, |target| target.address).is_ok()
            }),
            Supply::Pushed(name) => {
                self.listings.get(name).is_some_and(|listed| listed.listing.endpoint(address).is_some())
            }
        }
    }

    /// Puts the endpoint at this address in, out, or in another's place.
    fn splice(
        &mut self,
        now: Moment,
        name: &Arc<str>,
        place: usize,
        listed: &Arc<str>,
        draft: &mut Draft,
        address: SocketAddr,
    ) {
        let found = find(draft.ours(), address);
        let source = self.services.get(name).map(|service| &service.definition.sources[place]);
        let pushed = self.listings.get(listed).and_then(|listed| listed.listing.endpoint(address));
        let endpoint = source.zip(pushed).map(|(source, pushed)| Endpoint::new(name, source, &pushed.target));
        match (found, endpoint) {
            (Ok(at), Some(endpoint)) => {
                draft.endpoints[draft.run.start + at].endpoint = Arc::new(endpoint);
            }
            (Ok(at), None) => {
                let gone = draft.endpoints.remove(draft.run.start + at);
                draft.run.end -= 1;
                self.unwatch(&gone.live);
            }
            (Err(at), Some(endpoint)) => {
                let newcomer = self.newcomer(now, endpoint);
                draft.endpoints.insert(draft.run.start + at, newcomer);
                draft.run.end += 1;
            }
            (Err(_), None) => {}
        }
    }

    fn advertise_one(&mut self, now: Moment, listed: &str, ours: &[LiveEndpoint], address: SocketAddr) {
        // Not ours: a source before this one has the address too, and its word counts.
        let Ok(at) = find(ours, address) else { return };
        let LiveEndpoint { endpoint, live } = &ours[at];
        let pushed = self.listings.get(listed).and_then(|listed| listed.listing.endpoint(address));
        let word = pushed.map(|pushed| &pushed.advertised);
        if live.advertise(now, word) {
            self.changes.push(Change::advertised(endpoint, word.and_then(Advertised::reason)));
        }
    }

    fn put_in_force(
        &mut self,
        now: Moment,
        name: &Arc<str>,
        place: usize,
        draft: Draft,
        addresses: &[SocketAddr],
    ) {
        let Some(service) = self.services.get_mut(name) else { return };
        let live = Arc::clone(&service.live);
        let check = service.definition.health.clone();
        let moved_from = std::mem::replace(&mut service.runs[place], draft.run.clone()).end;
        for run in &mut service.runs[place + 1..] {
            let moved = |at: usize| at - moved_from + draft.run.end;
            *run = moved(run.start)..moved(run.end);
        }
        for address in addresses {
            if let Ok(at) = find(draft.ours(), *address) {
                self.watch(now, &draft.ours()[at], check.as_ref());
            }
        }
        live.publish(EndpointSet::new(live.version() + 1, draft.endpoints, 0));
        self.changes.push(Change::Endpoints { service: Arc::clone(name), set: live.latest() });
    }
}

/// A set in the making, and which of its endpoints the source at hand gave.
struct Draft {
    endpoints: Vec<LiveEndpoint>,
    run: Range<usize>,
}

impl Draft {
    fn ours(&self) -> &[LiveEndpoint] {
        &self.endpoints[self.run.clone()]
    }
}

/// Among endpoints that a registry gave, which come in the order of their addresses.
fn find(ours: &[LiveEndpoint], address: SocketAddr) -> Result<usize, usize> {
    ours.binary_search_by_key(&address, |ours| ours.endpoint.address)
}

fn is_pushed(supply: &Supply, listed: &Arc<str>) -> bool {
    matches!(supply, Supply::Pushed(name) if name == listed)
}
