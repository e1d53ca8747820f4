//! What holds whatever happens: indexes, leases, and that nothing is left behind.

use std::fmt::Write;
use std::time::Duration;

use proptest::prelude::*;

use super::fixtures::{at, instance, other, registry, ttl};
use super::*;
use crate::check::{CheckKind, CheckSpec, Status, TcpCheck};
use crate::instance::{Declared, Registration};
use crate::node::Lease;
use crate::probing::ProbeAnswer;

const SERVICES: [&str; 3] = ["orders", "Orders", "payments"];
const STATUSES: [Status; 3] = [Status::Passing, Status::Warning, Status::Critical];

#[derive(Clone, Debug)]
enum Act {
    Register { id: u8, service: usize, tags: u8, checks: u8, port: u16, replace: bool },
    Deregister(u8),
    NodeCheck(u8),
    DropCheck(u8, u8),
    Report { id: u8, check: u8, status: usize, output: u8 },
    Declare(u8, bool),
    Maintain(Option<u8>, bool),
    Wait(u64),
    Probe(usize),
    Other { instances: u8, tags: u8, gone: bool },
    ForgetOther,
}

fn act() -> impl Strategy<Value = Act> {
    let id = 0..3u8;
    prop_oneof![
        4 => (id.clone(), 0..3usize, 0..4u8, 0..8u8, 1..3u16, any::<bool>()).prop_map(
            |(id, service, tags, checks, port, replace)| Act::Register { id, service, tags, checks, port, replace }
        ),
        2 => id.clone().prop_map(Act::Deregister),
        1 => (0..2u8).prop_map(Act::NodeCheck),
        1 => (id.clone(), 0..3u8).prop_map(|(id, check)| Act::DropCheck(id, check)),
        6 => (id.clone(), 0..3u8, 0..3usize, 0..2u8)
            .prop_map(|(id, check, status, output)| Act::Report { id, check, status, output }),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, draining)| Act::Declare(id, draining)),
        1 => (proptest::option::of(id), any::<bool>()).prop_map(|(id, on)| Act::Maintain(id, on)),
        4 => (1..90u64).prop_map(Act::Wait),
        2 => (0..3usize).prop_map(Act::Probe),
        2 => (0..4u8, 0..3u8, any::<bool>())
            .prop_map(|(instances, tags, gone)| Act::Other { instances, tags, gone }),
        1 => Just(Act::ForgetOther),
    ]
}

fn check_id(id: u8, check: u8) -> String {
    match check {
        2 => "disk0".into(),
        check => format!("c{id}-{check}"),
    }
}

fn registration(id: u8, service: usize, tags: u8, checks: u8) -> Registration {
    let named = |number: u8, spec: CheckSpec| CheckSpec { id: Some(check_id(id, number).into()), ..spec };
    let mut specs = Vec::new();
    if checks & 1 != 0 {
        specs.push(named(0, CheckSpec { deregister_after: Some(Duration::from_secs(100)), ..ttl(30) }));
    }
    if checks & 2 != 0 {
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(1));
        let tcp = TcpCheck { address: "127.0.0.1:1".into(), interval, timeout };
        specs.push(named(1, CheckSpec { kind: CheckKind::Tcp(tcp), failures_before_critical: 2, ..ttl(1) }));
    }
    let tags = (0..2u8).filter(|tag| tags & (1 << tag) != 0).map(|tag| format!("t{tag}").into()).collect();
    Registration { tags, checks: specs, ..instance(SERVICES[service], &format!("i{id}")) }
}

fn perform(registry: &mut Registry, now: &mut Moment, rng: &mut fastrand::Rng, act: &Act) {
    let reason = |on: bool| on.then_some("why");
    // Refusals are part of it: what is refused must change nothing.
    let _ = match act {
        Act::Register { id, service, tags, checks, port, replace } => {
            let registration = registration(*id, *service, *tags, *checks);
            registry.register(*now, Registration { port: *port, replace_checks: *replace, ..registration })
        }
        Act::Deregister(id) => registry.deregister(*now, &format!("i{id}")),
        Act::NodeCheck(number) => {
            let spec = CheckSpec { id: Some(format!("disk{number}").into()), ..ttl(20) };
            registry.register_check(*now, spec, None).map(drop)
        }
        Act::DropCheck(id, check) => registry.deregister_check(*now, &check_id(*id, *check)),
        Act::Report { id, check, status, output } => {
            registry.report(*now, &check_id(*id, *check), STATUSES[*status], &format!("{output}"))
        }
        Act::Declare(id, draining) => {
            let declared = if *draining { Declared::Draining } else { Declared::Ready };
            registry.declare(*now, &format!("i{id}"), declared)
        }
        Act::Maintain(id, on) => {
            let id = id.map(|id| format!("i{id}"));
            registry.maintain(*now, id.as_deref(), reason(*on))
        }
        Act::Wait(seconds) => {
            *now = *now + Duration::from_secs(*seconds);
            registry.lapse(*now);
            Ok(())
        }
        Act::Probe(status) => {
            if let Some(order) = registry.pop_probe(*now) {
                let answer = ProbeAnswer { status: STATUSES[*status], output: "probed".into() };
                registry.probed(*now, &order.id, answer, rng);
            }
            Ok(())
        }
        Act::Other { instances, tags, gone } => {
            let lease = if *gone { Lease::Lapsed { since: *now } } else { Lease::Held };
            let theirs = (0..*instances).map(|id| registration(id, usize::from(id), *tags, 1)).collect();
            registry.absorb(other("web-2", lease, theirs));
            Ok(())
        }
        Act::ForgetOther => {
            registry.forget_node("web-2");
            Ok(())
        }
    };
}

/// What a topic covers, written down. Words that are yet to be told are left out by taking those told before.
fn view(registry: &Registry, topic: &Topic, told: &HashMap<CheckId, Box<str>>) -> String {
    let mut text = String::new();
    let checks = |node: &Node, checks: &BTreeMap<CheckId, Check>| {
        let mut text = String::new();
        for check in checks.values() {
            let output = told.get(&check.id).filter(|_| check.untold && node.lease == Lease::Own);
            let _ = write!(text, "{:?} {} {};", check.spec, check.status, output.unwrap_or(&check.output));
        }
        text
    };
    let of_node = |node: &Node| (matches!(node.lease, Lease::Lapsed { .. }), node.maintenance.clone());
    let plain = |found: &Instance| (found.registration.clone(), found.maintenance.clone());
    match topic {
        Topic::Services => text = format!("{:?}", registry.services().collect::<Vec<_>>()),
        Topic::Nodes => {
            for node in registry.nodes() {
                let _ = writeln!(text, "{} {} {} {:?}", node.name, node.id, node.address, node.meta);
            }
        }
        Topic::Node(name) => {
            if let Some(node) = registry.node(name) {
                let _ = writeln!(text, "{:?} {}", of_node(node), checks(node, &node.checks));
                for found in node.instances.values() {
                    let _ = writeln!(text, "{:?} {}", plain(found), checks(node, &found.checks));
                }
            }
        }
        Topic::Service(name) => {
            for found in registry.instances_of(name) {
                let (node, found) = (found.node, found.instance);
                let _ = writeln!(text, "{} {:?} {}", node.name, of_node(node), checks(node, &node.checks));
                let _ = writeln!(text, "{:?} {}", plain(found), checks(node, &found.checks));
            }
        }
        Topic::Checks => {
            for node in registry.nodes() {
                let _ = writeln!(text, "{} {:?} {}", node.name, of_node(node), checks(node, &node.checks));
                for found in node
                    .instances
                    .values()
                    .filter(|found| !found.checks.is_empty() || found.maintenance.is_some())
                {
                    let _ = writeln!(
                        text,
                        "{} {:?} {}",
                        found.id,
                        found.maintenance,
                        checks(node, &found.checks)
                    );
                }
            }
        }
    }
    text
}

fn all_checks(registry: &Registry) -> impl Iterator<Item = &Check> {
    let instances = registry.me.instances.values();
    registry.me.checks.values().chain(instances.flat_map(|instance| instance.checks.values()))
}

fn topics() -> Vec<Topic> {
    let mut topics = vec![Topic::Services, Topic::Nodes, Topic::Checks];
    topics.extend(["web-1", "web-2"].map(|name| Topic::Node(name.into())));
    topics.extend(["orders", "payments"].map(|name| Topic::Service(name.into())));
    topics
}

proptest! {
    #[test]
    fn an_index_moves_when_what_it_covers_changes_and_only_then(acts in proptest::collection::vec(act(), 1..60)) {
        let (mut registry, mut now, mut rng) = (registry(), at(0), fastrand::Rng::with_seed(1));
        let mut told = HashMap::new();
        for act in &acts {
            let before: Vec<_> = topics()
                .into_iter()
                .map(|topic| {
                    let (index, view) = (registry.index(&topic), view(&registry, &topic, &told));
                    let stands_alone = registry.awaited(&topic) == topic;
                    (topic, index, view, stands_alone)
                })
                .collect();
            let had_untold = all_checks(&registry).any(|check| check.untold);
            perform(&mut registry, &mut now, &mut rng, act);
            for check in all_checks(&registry).filter(|check| !check.untold) {
                told.insert(Arc::clone(&check.id), check.output.clone());
            }
            let effects = registry.take_effects();
            for (topic, index, was, stood_alone) in before {
                let (new_index, is) = (registry.index(&topic), view(&registry, &topic, &told));
                prop_assert!(index > 0 && new_index >= index, "{topic:?} went back");
                prop_assert!(new_index <= registry.count(), "{topic:?} is ahead");
                if is != was {
                    prop_assert!(new_index > index, "{act:?} changed {topic:?} in silence: {was} {is}");
                    prop_assert!(effects.topics.contains(&topic), "nobody is told of {topic:?}");
                } else if stood_alone && registry.awaited(&topic) == topic && !had_untold {
                    prop_assert_eq!(new_index, index, "{:?} changed nothing of {:?}: {}", act, topic, is);
                }
            }
        }
    }

    #[test]
    fn every_check_is_written_down_where_it_is_and_nothing_else(acts in proptest::collection::vec(act(), 1..60)) {
        let (mut registry, mut now, mut rng) = (registry(), at(0), fastrand::Rng::with_seed(1));
        for act in &acts {
            perform(&mut registry, &mut now, &mut rng, act);
            prop_assert_eq!(registry.places.len(), all_checks(&registry).count());
            for check in all_checks(&registry) {
                prop_assert_eq!(registry.check(&check.id).map(|found| &found.0.id), Some(&check.id));
                prop_assert_eq!(check.status == Status::Critical, check.critical_since.is_some());
            }
            let by_service: usize = registry.services.iter().map(|(name, _)| registry.instances_of(name).count()).sum();
            prop_assert_eq!(by_service, registry.instances().count());
            let addressed: usize = registry.addresses.values().map(BTreeSet::len).sum();
            prop_assert_eq!(addressed, registry.me.instances.len());
        }
        let ids: Vec<_> = registry.me.instances.keys().cloned().collect();
        ids.iter().for_each(|id| registry.deregister(now, id).unwrap());
        let ids: Vec<_> = registry.me.checks.keys().cloned().collect();
        ids.iter().for_each(|id| registry.deregister_check(now, id).unwrap());
        prop_assert_eq!((registry.next_due(), registry.next_probe()), (Moment::NEVER, Moment::NEVER));
        prop_assert!(registry.places.is_empty() && registry.addresses.is_empty() && registry.probing.is_empty());
    }

    #[test]
    fn a_lease_lapses_exactly_once_and_never_early(gaps in proptest::collection::vec(1..40u64, 1..40)) {
        let (mut registry, mut now) = (registry(), at(0));
        registry.register(now, registration(0, 0, 0, 1)).unwrap();
        let mut reported = now;
        let mut status = Status::Critical;
        for gap in gaps {
            let next = now + Duration::from_secs(gap);
            // Lapses are seen whenever somebody looks, as often as that may be.
            for part in [2, 1] {
                let look = now + (next - now) / part;
                registry.lapse(look);
                let Some((check, _)) = registry.check("c0-0") else { return Ok(()) };
                let should = if reported.until(look) >= Duration::from_secs(30) { Status::Critical } else { status };
                prop_assert_eq!(check.status, should);
            }
            now = next;
            registry.report(now, "c0-0", Status::Passing, "").unwrap();
            (reported, status) = (now, Status::Passing);
        }
    }
}
