//! Hands what is registered to service discovery: which state is what to the balancer, what an instance says of itself, and
//! of a change no more than what has changed. Refuses nothing; what cannot be an endpoint is told in the log, once.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use forebay_clock::Moment;
use forebay_discovery::{Advertised, Discovery, Pushed, PushedChange, PushedTarget, Target};
use forebay_gateway::plan::Plan;
use forebay_registry::{
    Changed, Found, Handle, InstanceState, Lease, Member, NODE_LEASE, Registry, Status, Subscription,
};
use tokio::time::interval;

use crate::registry::wanted;

/// From a registry to discovery. On the control thread alone, where nothing else pushes.
pub(crate) struct HandOver {
    handle: Handle,
    discovery: Discovery,
    /// What discovery was told last of each service, by folded name.
    told: RefCell<HashMap<Arc<str>, Told>>,
}

/// What discovery knows of a service's instances.
#[derive(Default)]
struct Told {
    /// Where each is; those that can be no endpoints are nowhere.
    places: HashMap<Member, Option<SocketAddr>>,
    /// Who is at each address: mostly one.
    at: HashMap<SocketAddr, BTreeSet<Member>>,
    /// It was told that the registry may not know better. Then a change of one does not say how old the others are.
    is_old: bool,
}

impl HandOver {
    pub(crate) fn new(handle: Handle, discovery: Discovery) -> HandOver {
        HandOver { handle, discovery, told: RefCell::default() }
    }

    /// Tells of all there is, and then of every change that the subscription has. Never ends.
    pub(crate) async fn run(&self, mut changes: Subscription) {
        // What other nodes vouch for grows old when the shared store is silent, and people want to see how old.
        let mut look = interval(NODE_LEASE);
        loop {
            tokio::select! {
                changed = changes.next() => {
                    changed.iter().for_each(|(service, changed)| self.push(service, changed));
                }
                _ = look.tick() => self.push_all(|found| found.node.lease != Lease::Own),
            }
        }
    }

    /// Tells what there is of each service that has such an instance.
    pub(crate) fn push_all(&self, wanted: impl Fn(&Found<'_>) -> bool) {
        let services: Vec<Arc<str>> = self.handle.read(|registry| {
            let names = registry.services().map(|(name, _)| Arc::clone(name));
            names.filter(|name| registry.instances_of(name).any(|found| wanted(&found))).collect()
        });
        services.iter().for_each(|service| self.push_whole(service));
    }

    /// Tells what there is under each name that a service of the plan asks for, be it nothing.
    pub(crate) fn push_wanted(&self, plan: &Plan) {
        wanted(plan).for_each(|name| self.push_whole(&name));
    }

    fn push(&self, service: &Arc<str>, changed: &Changed) {
        let is_old = self.told.borrow().get(service).is_none_or(|told| told.is_old);
        match changed {
            Changed::Instances(members) if !is_old => {
                members.iter().for_each(|member| self.push_one(service, member));
            }
            _ => self.push_whole(service),
        }
    }

    fn push_whole(&self, service: &Arc<str>) {
        let now = self.handle.clock().now();
        let folded: Arc<str> = service.to_ascii_lowercase().into();
        let mut all = self.told.borrow_mut();
        let mut before = all.remove(&folded).unwrap_or_default();
        let (pushed, told) = self.handle.read(|registry| whole(registry, service, now, &mut before));
        if !told.places.is_empty() {
            all.insert(folded, told);
        }
        self.discovery.push(service, pushed);
    }

    /// Tells what has become of one instance, and of the others at its address.
    fn push_one(&self, service: &Arc<str>, member: &Member) {
        let mut all = self.told.borrow_mut();
        let Some(told) = all.get_mut(service) else { return };
        let changes = self.handle.read(|registry| {
            let found = found(registry, service, member);
            let was = told.places.get(member).copied();
            let is = found.as_ref().map(|found| address(found));
            if is == Some(None) && was != Some(None) {
                warn(service, found.as_ref());
            }
            told.put(member, is);
            let addresses: BTreeSet<SocketAddr> = [was, is].into_iter().flatten().flatten().collect();
            let change = |address| told.change(registry, service, address);
            addresses.into_iter().map(change).collect::<Vec<_>>()
        });
        if told.places.is_empty() {
            all.remove(service);
        }
        changes.into_iter().for_each(|change| self.discovery.push_one(service, change));
    }
}

impl Told {
    /// This instance is there now; with nothing, it is no instance of the service any more.
    fn put(&mut self, member: &Member, is: Option<Option<SocketAddr>>) {
        let was = match is {
            Some(address) => self.places.insert(member.clone(), address),
            None => self.places.remove(member),
        };
        if let Some(was) = was.flatten()
            && let Some(members) = self.at.get_mut(&was)
        {
            members.remove(member);
            if members.is_empty() {
                self.at.remove(&was);
            }
        }
        if let Some(address) = is.flatten() {
            self.at.entry(address).or_default().insert(member.clone());
        }
    }

    /// What has become of an address.
    fn change(&self, registry: &Registry, service: &str, address: SocketAddr) -> PushedChange {
        let members = self.at.get(&address).into_iter().flatten();
        let there = members.filter_map(|member| found(registry, service, member));
        PushedChange::of(address, there.map(|found| pushed(&found, address)))
    }
}

/// An instance, as long as it is one of this service.
fn found<'r>(registry: &'r Registry, service: &str, member: &Member) -> Option<Found<'r>> {
    let found = registry.member(member)?;
    found.instance.registration.service.eq_ignore_ascii_case(service).then_some(found)
}

/// All that is registered under a name, as discovery takes it, and what it is told thereby.
fn whole(registry: &Registry, service: &Arc<str>, now: Moment, before: &mut Told) -> (Pushed, Told) {
    let (mut confirmed, mut targets, mut told) = (now, Vec::new(), Told::default());
    for (member, found) in registry.members_of(service) {
        if found.node.lease != Lease::Own {
            confirmed = confirmed.min(found.node.confirmed.unwrap_or(Moment::START));
        }
        let address = address(&found);
        match address {
            Some(address) => targets.push(pushed(&found, address)),
            None if before.places.get(member) == Some(&None) => {}
            None => warn(service, Some(&found)),
        }
        told.put(member, Some(address));
    }
    told.is_old = confirmed.until(now) > NODE_LEASE;
    let failure = told.is_old.then(|| "the store that nodes share has not been heard from".into());
    (Pushed { targets, confirmed, failure }, told)
}

fn warn(service: &str, found: Option<&Found<'_>>) {
    let Some(found) = found else { return };
    tracing::warn!(
        service,
        instance = &*found.instance.id,
        address = found.address(),
        port = found.instance.registration.port,
        "instance gets no requests: register it with an IP address and a port"
    );
}

/// Where requests reach it.
fn address(found: &Found<'_>) -> Option<SocketAddr> {
    let address: IpAddr = found.address().parse().ok()?;
    let port = found.instance.registration.port;
    (port != 0).then(|| SocketAddr::new(address, port))
}

/// An instance with its share by how it is.
fn pushed(found: &Found<'_>, address: SocketAddr) -> PushedTarget {
    let registration = &found.instance.registration;
    let text = |key: &str| registration.meta.get(key).filter(|text| !text.is_empty());
    let weight = match found.status() {
        Status::Warning => registration.weights.warning,
        _ => registration.weights.passing,
    };
    let target = Target {
        zone: text("zone").map(|zone| (&**zone).into()),
        version: text("version").map(|version| (&**version).into()),
        weight: weight.max(1),
        ..Target::new(address)
    };
    PushedTarget { target, advertised: advertised(found) }
}

fn advertised(found: &Found<'_>) -> Advertised {
    match found.state() {
        InstanceState::Ready
            if found.status() == Status::Warning && found.instance.registration.weights.warning == 0 =>
        {
            Advertised::Critical { reason: "a check warns, and its weight is 0 then".into() }
        }
        InstanceState::Ready => Advertised::Ready,
        InstanceState::Critical => {
            let reason = found.why().unwrap_or_else(|| "critical".into());
            Advertised::Critical { reason: reason.into() }
        }
        InstanceState::Starting => Advertised::Starting,
        InstanceState::Draining => Advertised::Draining,
        InstanceState::Maintenance => Advertised::Maintenance,
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use forebay_clock::Clock;
    use forebay_discovery::{Definitions, ServiceDefinition};
    use forebay_registry::{CheckKind, CheckSpec, Declared, Node, Registration, Weights};

    use super::*;

    const SERVICES: [&str; 2] = ["orders", "payments"];

    fn discovery() -> Discovery {
        let discovery = Discovery::new(Clock::system(), fastrand::Rng::with_seed(1));
        let sources = vec!["registry".parse().unwrap()];
        let definition = ServiceDefinition { sources, ..ServiceDefinition::default() };
        discovery.apply(Definitions::from(SERVICES.map(|name| (name.into(), definition.clone()))));
        discovery
    }

    /// Few names and few places, so that instances meet, move and change their services.
    fn registration(rng: &mut fastrand::Rng) -> Registration {
        let mut weights = Weights::default();
        weights.passing += rng.u32(..3);
        let version = ("version".into(), format!("{}", rng.u8(..2)).into());
        let lease = CheckKind::Ttl(std::time::Duration::from_secs(60));
        let status = if rng.bool() { Status::Critical } else { Status::Passing };
        let check = CheckSpec { status, ..CheckSpec::new(lease) };
        Registration {
            id: Some(format!("i-{}", rng.u8(..6)).into()),
            service: (*rng.choice(["orders", "Orders", "payments"]).unwrap()).into(),
            address: (*rng.choice(["", "10.0.0.1", "somewhere"]).unwrap()).into(),
            port: rng.u16(..4),
            tags: Vec::new(),
            tagged_addresses: Default::default(),
            meta: [version].into(),
            weights,
            enable_tag_override: false,
            declared: if rng.u8(..5) == 0 { Declared::Draining } else { Declared::Ready },
            checks: vec![check],
            replace_checks: true,
        }
    }

    fn seen(discovery: &Discovery) -> Vec<String> {
        let describe = |service: Arc<forebay_discovery::LiveService>| {
            let of = |one: &forebay_discovery::LiveEndpoint| {
                format!(
                    "{:?} {:?} {}",
                    one.endpoint.address,
                    (one.endpoint.weight, &one.endpoint.version),
                    one.live.is_critical()
                )
            };
            let endpoints: Vec<String> = service.latest().endpoints().iter().map(of).collect();
            let standings: Vec<_> =
                service.sources().into_iter().map(|source| (source.standing, source.targets)).collect();
            format!("{} {endpoints:?} {standings:?}", service.name())
        };
        discovery.services().into_iter().map(describe).collect()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn change_by_change_comes_to_the_same_as_all_at_once() {
        for seed in 0..40 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let handle = Handle::new(Registry::new(Node::own("web-1", "id", "127.0.0.1")), Clock::system());
            let mut changes = handle.subscribe();
            let stepwise = HandOver::new(handle.clone(), discovery());
            SERVICES.iter().for_each(|service| stepwise.push_whole(&(*service).into()));
            for _ in 0..60 {
                let id = format!("i-{}", rng.u8(..6));
                let reason = rng.bool().then_some("disk swap");
                // What is refused changes nothing.
                let _ = match rng.u8(..6) {
                    0 => handle.touch(|registry, now| registry.deregister(now, &id)),
                    1 => handle.touch(|registry, now| registry.maintain(now, Some(&id), reason)),
                    2 if rng.u8(..4) == 0 => {
                        handle.touch(|registry, now| registry.maintain(now, None, reason))
                    }
                    _ => {
                        let registration = registration(&mut rng);
                        handle.touch(|registry, now| registry.register(now, registration))
                    }
                };
                tokio::select! {
                    biased;
                    changed = changes.next() => {
                        changed.iter().for_each(|(service, changed)| stepwise.push(service, changed));
                    }
                    () = ready(()) => {}
                }
                let afresh = HandOver::new(handle.clone(), discovery());
                SERVICES.iter().for_each(|service| afresh.push_whole(&(*service).into()));
                assert_eq!(seen(&stepwise.discovery), seen(&afresh.discovery), "seed {seed}");
                let odd =
                    |of: &HandOver| of.told.borrow().values().flat_map(|told| told.places.clone()).count();
                assert_eq!(odd(&stepwise), odd(&afresh));
            }
        }
    }
}
