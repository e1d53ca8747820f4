//! Where the targets of each source come from, and what is shown of it.

use std::sync::Arc;

use forebay_clock::Moment;

use super::{Catalog, Feed, LookupId, Service, Supply};
use crate::change::Change;
use crate::definition::ServiceDefinition;
use crate::endpoint::Target;
use crate::live::LiveState;
use crate::resolution::{Resolution, ResolutionSettings};
use crate::service::{LiveService, SourceReport};
use crate::source::{Place, Source};
use crate::standing::Standing;

impl Catalog {
    pub(super) fn remove(&mut self, name: &Arc<str>) {
        let Some(service) = self.services.remove(name) else { return };
        service.supplies.into_iter().for_each(|supply| self.drop_supply(supply));
        for endpoint in service.live.latest().endpoints() {
            self.unwatch(&endpoint.live);
        }
    }

    fn drop_supply(&mut self, supply: Supply) {
        if let Supply::LookedUp(id) = supply {
            self.feeds.remove(&id);
            self.lookups_due.cancel(&id);
        }
    }

    pub(super) fn unwatch(&mut self, live: &LiveState) {
        self.watches.remove(&live.id());
        self.probes_due.cancel(&live.id());
    }

    /// Takes the definition, with the feeds of those sources that it shares with the one before.
    pub(super) fn define(&mut self, now: Moment, name: &Arc<str>, definition: ServiceDefinition) {
        let (live, mut old, runs) = match self.services.remove(name) {
            Some(service) => (service.live, service.supplies, service.runs),
            None => {
                let live = LiveService::new(Arc::clone(name), self.suspects.clone());
                (Arc::new(live), Vec::new(), Vec::new())
            }
        };
        let supplies = definition.sources.iter().map(|source| self.supply(now, name, source, &mut old));
        let supplies: Vec<_> = supplies.collect();
        old.into_iter().for_each(|supply| self.drop_supply(supply));
        for supply in &supplies {
            if let Supply::LookedUp(id) = supply
                && let Some(feed) = self.feeds.get_mut(id)
            {
                feed.machine.configure(definition.resolution.clone());
            }
        }
        self.services.insert(Arc::clone(name), Service { live, definition, supplies, runs });
    }

    fn supply(&mut self, now: Moment, name: &Arc<str>, source: &Source, old: &mut Vec<Supply>) -> Supply {
        match &source.place {
            Place::Address(address) => Supply::Written(Target::new(*address)),
            Place::Registry { name: other } => {
                let listed: Arc<str> = other.as_ref().unwrap_or(name).to_ascii_lowercase().into();
                let claims = &mut self.listings.entry(Arc::clone(&listed)).or_default().claimed_by;
                if !claims.contains(name) {
                    claims.push(Arc::clone(name));
                }
                Supply::Pushed(listed)
            }
            place => {
                let same = |supply: &Supply| match supply {
                    Supply::LookedUp(id) => self.feeds.get(id).is_some_and(|feed| feed.place == *place),
                    _ => false,
                };
                match old.iter().position(same) {
                    Some(found) => old.swap_remove(found),
                    None => Supply::LookedUp(self.add_feed(now, name, place.clone())),
                }
            }
        }
    }

    fn add_feed(&mut self, now: Moment, service: &Arc<str>, place: Place) -> LookupId {
        let id = LookupId(self.lookup_next);
        self.lookup_next += 1;
        let machine = Resolution::new(ResolutionSettings::default());
        self.feeds.insert(id, Feed { service: Arc::clone(service), place, machine });
        self.lookups_due.set(id, now);
        id
    }

    /// The targets that hold at present.
    pub(super) fn targets<'a>(&'a self, supply: &'a Supply) -> Box<dyn Iterator<Item = &'a Target> + 'a> {
        match supply {
            Supply::Written(target) => Box::new(std::iter::once(target)),
            Supply::LookedUp(id) => {
                Box::new(self.feeds.get(id).into_iter().flat_map(|feed| feed.machine.targets()))
            }
            Supply::Pushed(name) => {
                Box::new(self.listings.get(name).into_iter().flat_map(|listed| listed.listing.targets()))
            }
        }
    }

    /// Brings what is shown of a service's sources up to date.
    pub(super) fn report(&self, name: &str) {
        let Some(service) = self.services.get(name) else { return };
        let sources = service.definition.sources.iter().zip(&service.supplies);
        service.live.report(sources.map(|(source, supply)| self.source_report(source, supply)).collect());
    }

    pub(super) fn source_report(&self, source: &Source, supply: &Supply) -> SourceReport {
        let feed = |id| self.feeds.get(id).map(|feed| &feed.machine);
        let (standing, targets) = match supply {
            Supply::Written(_) => (Standing::Static, 1),
            Supply::LookedUp(id) => feed(id)
                .map_or((Standing::Static, 0), |machine| (machine.standing(), machine.targets().len())),
            Supply::Pushed(name) => self.listings.get(name).map_or((Standing::Unheard, 0), |listed| {
                (listed.listing.standing(), listed.listing.instances().endpoints())
            }),
        };
        SourceReport { source: source.clone(), standing, targets }
    }

    pub(super) fn tell_standing(&mut self, name: &Arc<str>, is_it: impl Fn(&Supply) -> bool) {
        let Some(service) = self.services.get(name) else { return };
        let mut sources = service.definition.sources.iter().zip(&service.supplies);
        if let Some((source, supply)) = sources.find(|(_, supply)| is_it(supply)) {
            let report = self.source_report(source, supply);
            self.changes.push(Change::Standing { service: Arc::clone(name), report });
        }
    }
}
