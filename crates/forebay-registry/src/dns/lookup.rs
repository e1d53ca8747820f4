//! What the registry knows about a name, as records. Knows no message and no size but the number worth looking for.

use std::collections::HashSet;
use std::net::IpAddr;

use domain::base::Rtype;
use domain::rdata::{A, Aaaa, Cname, Ns, Srv};

use super::asked::Asked;
use super::zone::{Data, OwnName, Zone};
use crate::check::Status;
use crate::found::Found;
use crate::registry::Registry;

/// Names of services and nodes that stand for one another, in a row. Longer ones are a loop.
const ALIASES_MAX: usize = 8;
/// Consul's, of every SRV record: who wants an order of preference uses tags.
const PRIORITY: u16 = 1;

/// A record; its class and TTL are those of all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// `None` for the name in the question.
    pub(super) owner: Option<OwnName>,
    pub(super) data: Data,
}

/// What there is to say about a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Whether the name exists, with or without records of the type asked for.
    pub(super) exists: bool,
    /// Whether it stands for a name of ours that has no records of the type.
    pub(super) leads_nowhere: bool,
    pub(super) answer: Vec<Entry>,
    /// May be left out.
    pub(super) additional: Vec<Entry>,
}

/// One search, with all it needs.
pub(super) struct Lookup<'l> {
    pub(super) registry: &'l Registry,
    pub(super) zone: &'l Zone,
    pub(super) rng: &'l mut fastrand::Rng,
    /// More records than fit need not be found; one more shows that they do not.
    pub(super) records_max: usize,
}

/// Which records a type asks for.
#[derive(Clone, Copy)]
struct Wanted(Rtype);

/// Where an instance says it is.
enum Place {
    Ip(IpAddr),
    Host(OwnName),
}

impl Wanted {
    fn has(self, kind: Rtype) -> bool {
        self.0 == kind || self.0 == Rtype::ANY
    }

    fn addresses(self) -> bool {
        self.has(Rtype::A) || self.has(Rtype::AAAA)
    }

    /// An alias stands for every type but itself (RFC 1034 section 3.6.2); of those we have, for addresses.
    fn alias(self) -> bool {
        [Rtype::A, Rtype::AAAA, Rtype::CNAME].contains(&self.0)
    }

    fn address(self, ip: IpAddr) -> Option<Data> {
        match ip {
            IpAddr::V4(ip) => self.has(Rtype::A).then(|| A::new(ip).into()),
            IpAddr::V6(ip) => self.has(Rtype::AAAA).then(|| Aaaa::new(ip).into()),
        }
    }
}

impl Entry {
    fn of_question(data: impl Into<Data>) -> Entry {
        Entry { owner: None, data: data.into() }
    }

    fn of(owner: &OwnName, data: Data) -> Entry {
        Entry { owner: Some(owner.clone()), data }
    }
}

impl Known {
    fn empty() -> Known {
        Known { exists: true, ..Known::default() }
    }
}

impl Lookup<'_> {
    /// Everything of the type, in random order.
    pub(super) fn find(&mut self, asked: &Asked, kind: Rtype) -> Known {
        self.follow(asked, kind, &mut Vec::new())
    }

    /// `passed` are the names that led here.
    fn follow(&mut self, asked: &Asked, kind: Rtype, passed: &mut Vec<OwnName>) -> Known {
        let wanted = Wanted(kind);
        match asked {
            Asked::Apex => self.apex(wanted),
            Asked::Parent => Known::empty(),
            Asked::Service { name, tag } => self.service(wanted, name, tag.as_deref(), passed),
            Asked::Node(name) => self.node(wanted, name, passed),
            Asked::Address(ip) => {
                let answer = wanted.address(*ip).map(Entry::of_question).into_iter().collect();
                Known { answer, ..Known::empty() }
            }
            Asked::Unknown => Known::default(),
        }
    }

    fn apex(&self, wanted: Wanted) -> Known {
        let mut known = Known::empty();
        if wanted.has(Rtype::SOA) {
            known.answer.push(Entry::of_question(self.zone.soa(self.registry)));
        }
        if wanted.has(Rtype::NS) {
            let server = self.zone.server(self.registry);
            let place = self.registry.me().address.parse().ok();
            let place = place.and_then(|ip| Wanted(Rtype::ANY).address(ip));
            known.additional.extend(place.map(|data| Entry::of(&server, data)));
            known.answer.push(Entry::of_question(Ns::new(server)));
        }
        known
    }

    fn node(&mut self, wanted: Wanted, name: &str, passed: &mut Vec<OwnName>) -> Known {
        let Some(node) = self.registry.node(name) else {
            return Known { exists: self.is_part_of_node(name), ..Known::default() };
        };
        let mut known = Known::empty();
        match Place::parse(&node.address) {
            Some(Place::Ip(ip)) => known.answer.extend(wanted.address(ip).map(Entry::of_question)),
            Some(Place::Host(host)) => self.alias(&mut known, wanted, host, passed),
            None => {}
        }
        known
    }

    /// Names of nodes have dots where they are names of hosts.
    fn is_part_of_node(&self, name: &str) -> bool {
        self.registry.nodes().any(|node| {
            let dot = node.name.len().checked_sub(name.len() + 1);
            dot.and_then(|dot| node.name.split_at_checked(dot)).is_some_and(|(_, rest)| {
                rest.strip_prefix('.').is_some_and(|rest| rest.eq_ignore_ascii_case(name))
            })
        })
    }

    fn service(&mut self, wanted: Wanted, name: &str, tag: Option<&str>, passed: &mut Vec<OwnName>) -> Known {
        let registry = self.registry;
        let tagged = |found: &Found<'_>| {
            let mut tags = found.instance.registration.tags.iter();
            tag.is_none_or(|tag| tags.any(|own| own.eq_ignore_ascii_case(tag)))
        };
        // Of a thousand instances, only those that are drawn are looked at.
        let mut left: Vec<_> = registry.services.members(name).collect();
        let mut records = Records::new(self.zone, wanted, self.records_max);
        let mut exists = false;
        while !left.is_empty() && !records.is_full() {
            let (node, id) = left.swap_remove(self.rng.usize(..left.len()));
            let Some(found) = registry.found(node, id).filter(tagged) else { continue };
            exists = true;
            if self.zone.answers(&found) {
                records.add(&found);
            }
        }
        if !exists {
            // `_TAG` alone is the parent of every `_NAME._TAG`.
            return Known { exists: tag.is_none() && name.starts_with('_'), ..Known::default() };
        }
        let (mut known, host) = records.finish();
        if let Some(host) = host {
            self.alias(&mut known, wanted, host, passed);
        }
        known
    }

    /// An alias, and what it stands for where that is ours to know.
    fn alias(&mut self, known: &mut Known, wanted: Wanted, host: OwnName, passed: &mut Vec<OwnName>) {
        if !wanted.alias() || passed.contains(&host) {
            return;
        }
        known.answer.push(Entry::of_question(Cname::new(host.clone())));
        if wanted.0 == Rtype::CNAME || passed.len() >= ALIASES_MAX {
            return;
        }
        if let Some(asked) = self.zone.asked(&host) {
            passed.push(host.clone());
            let end = self.follow(&asked, wanted.0, passed);
            // The code is that of the last name (RFC 6604).
            known.exists = end.exists;
            known.leads_nowhere = end.leads_nowhere || end.answer.is_empty();
            let owned = |entry: Entry| Entry { owner: entry.owner.or_else(|| Some(host.clone())), ..entry };
            known.answer.extend(end.answer.into_iter().map(owned));
        }
    }
}

impl Place {
    /// `None` for what is neither an address nor a host's name.
    fn parse(address: &str) -> Option<Place> {
        if let Ok(ip) = address.parse() {
            return Some(Place::Ip(ip));
        }
        let host: OwnName = address.parse().ok()?;
        (!host.is_root()).then_some(Place::Host(host))
    }
}

/// Records of a service's instances, each once.
struct Records<'l> {
    zone: &'l Zone,
    wanted: Wanted,
    records_max: usize,
    services: Vec<Entry>,
    addresses: Vec<Entry>,
    additional: Vec<Entry>,
    seen_targets: HashSet<(OwnName, u16)>,
    seen_hosts: HashSet<OwnName>,
    seen_addresses: HashSet<IpAddr>,
    /// Whether an instance has an address of its own, of whichever family.
    has_address: bool,
    host: Option<OwnName>,
}

impl<'l> Records<'l> {
    fn new(zone: &'l Zone, wanted: Wanted, records_max: usize) -> Records<'l> {
        Records {
            zone,
            wanted,
            records_max,
            services: Vec::new(),
            addresses: Vec::new(),
            additional: Vec::new(),
            seen_targets: HashSet::new(),
            seen_hosts: HashSet::new(),
            seen_addresses: HashSet::new(),
            has_address: false,
            host: None,
        }
    }

    fn is_full(&self) -> bool {
        self.services.len() + self.addresses.len() > self.records_max
    }

    fn add(&mut self, found: &Found<'_>) {
        let Some(place) = Place::parse(found.address()) else { return };
        if self.wanted.has(Rtype::SRV) {
            self.add_service(found, &place);
        }
        match place {
            Place::Ip(ip) => {
                self.has_address = true;
                if self.wanted.addresses()
                    && let Some(data) = self.wanted.address(ip)
                    && self.seen_addresses.insert(ip)
                {
                    self.addresses.push(Entry::of_question(data));
                }
            }
            Place::Host(host) => self.host = self.host.take().or(Some(host)),
        }
    }

    /// The target is the host that the instance names, the name of the address that it names, or its node's.
    fn add_service(&mut self, found: &Found<'_>, place: &Place) {
        let target = match place {
            Place::Host(host) => Some(host.clone()),
            Place::Ip(ip) if !found.instance.registration.address.is_empty() => self.zone.address(*ip),
            Place::Ip(ip) => self.zone.node(&found.node.name).or_else(|| self.zone.address(*ip)),
        };
        let Some(target) = target else { return };
        let port = found.instance.registration.port;
        if !self.seen_targets.insert((target.clone(), port)) {
            return;
        }
        // Instances of one node share their target.
        if let Place::Ip(ip) = place
            && let Some(data) = Wanted(Rtype::ANY).address(*ip)
            && self.seen_hosts.insert(target.clone())
        {
            self.additional.push(Entry::of(&target, data));
        }
        let service = Srv::new(PRIORITY, weight(found), port, target);
        self.services.push(Entry::of_question(service));
    }

    /// What was found, and the host that all of it is an alias of, if nothing but hosts was.
    fn finish(self) -> (Known, Option<OwnName>) {
        let mut answer = self.services;
        answer.extend(self.addresses);
        let host = self.host.filter(|_| !self.has_address);
        (Known { answer, additional: self.additional, ..Known::empty() }, host)
    }
}

/// As the instance wants it while it stands as it does; SRV has 16 bits for it.
fn weight(found: &Found<'_>) -> u16 {
    let weights = found.instance.registration.weights;
    let weight = if found.status() == Status::Passing { weights.passing } else { weights.warning };
    u16::try_from(weight).unwrap_or(u16::MAX)
}
