//! What outlives an instance or comes from elsewhere: indexes, snapshots, other nodes.

use super::fixtures::{at, instance, other, registry, status, tcp, ttl, with};
use super::*;
use crate::absorbing::Snapshot;
use crate::check::Status;
use crate::instance::InstanceState;
use crate::node::Lease;

#[test]
fn a_service_that_is_gone_keeps_an_index_and_one_that_never_was_has_one() {
    let mut registry = registry();
    let (orders, never) = (Topic::Service("Orders".into()), Topic::Service("never".into()));
    let first = registry.index(&orders);
    assert!(first > 0 && registry.index(&never) > 0);
    registry.register(at(0), instance("orders", "a")).unwrap();
    let registered = registry.index(&orders);
    assert!(registered > first);
    registry.deregister(at(0), "a").unwrap();
    let gone = registry.index(&orders);
    assert!(gone > registered);
    registry.register(at(0), instance("payments", "b")).unwrap();
    assert_eq!(registry.index(&orders), gone, "others' services do not concern who waits for it");
    assert_eq!(
        (registry.awaited(&orders), registry.awaited(&never)),
        (Topic::Service("orders".into()), Topic::Services)
    );
}

#[test]
fn forgetting_services_never_sets_an_index_back() {
    let mut registry = registry();
    registry.register(at(0), instance("first", "x")).unwrap();
    registry.deregister(at(0), "x").unwrap();
    let first = Topic::Service("first".into());
    let before = registry.index(&first);
    for number in 0..crate::indexes::TOMBSTONES_MAX {
        registry.register(at(0), instance(&format!("s{number}"), "x")).unwrap();
        registry.deregister(at(0), "x").unwrap();
    }
    assert!(registry.index(&first) > before);
    assert_eq!(registry.awaited(&first), Topic::Services);
}

#[test]
fn a_snapshot_is_served_at_once_and_what_fell_silent_lapses_after_a_full_lease() {
    let mut registry = registry();
    registry.register(at(0), with(vec![ttl(10), tcp()])).unwrap();
    registry.report(at(0), "service:orders-1:1", Status::Passing, "fine").unwrap();
    registry.maintain(at(0), None, Some("moving")).unwrap();
    let count = registry.count() + 100;
    let snapshot = Snapshot { count, me: Some(registry.me().clone()), others: Vec::new() };
    let mut restored = fixtures::registry();
    restored.restore(at(1000), snapshot);
    assert_eq!(status(&restored, "service:orders-1:1"), Status::Passing);
    assert_eq!(restored.me().maintenance.as_deref(), Some("moving"));
    for topic in [Topic::Services, Topic::Service("orders".into()), Topic::Node("web-1".into()), Topic::Nodes]
    {
        assert!(restored.index(&topic) >= count, "{topic:?}");
    }
    assert_eq!(restored.take_effects(), Effects::default());
    assert_eq!(restored.next_due(), at(1010));
    assert!(restored.pop_probe(at(1010)).is_some());
    restored.lapse(at(1010));
    assert_eq!(status(&restored, "service:orders-1:1"), Status::Critical);
}

#[test]
fn an_instance_of_a_node_that_is_gone_is_critical_until_it_is_back() {
    let mut registry = registry();
    registry.absorb(other("web-2", Lease::Held, vec![instance("orders", "orders-2")]));
    let found = |registry: &Registry| {
        let found = registry.instances_of("orders").next().unwrap();
        (found.state(), found.why())
    };
    assert_eq!(found(&registry), (InstanceState::Ready, None));
    let orders = Topic::Service("orders".into());
    let before = registry.index(&orders);
    registry.confirm("WEB-2", Lease::Lapsed { since: at(9) }, at(9));
    assert_eq!(found(&registry).0, InstanceState::Critical);
    assert!(found(&registry).1.unwrap().contains("nobody vouches"));
    let lapsed = registry.index(&orders);
    assert!(lapsed > before);
    registry.confirm("web-2", Lease::Lapsed { since: at(12) }, at(12));
    assert_eq!(registry.index(&orders), lapsed, "it lapses once");
    assert_eq!(registry.node("web-2").unwrap().lease, Lease::Lapsed { since: at(9) });
    registry.absorb(other("web-2", Lease::Held, vec![instance("orders", "orders-2")]));
    assert_eq!(found(&registry), (InstanceState::Ready, None));
    registry.take_effects();
    registry.absorb(other("web-2", Lease::Held, vec![instance("orders", "orders-2")]));
    assert_eq!(registry.take_effects(), Effects::default(), "the same again is no change");
    registry.forget_node("web-2");
    assert_eq!((registry.instances_of("orders").count(), registry.nodes().count()), (0, 1));
}

#[test]
fn nobody_else_speaks_for_this_node() {
    let mut registry = registry();
    registry.register(at(0), instance("orders", "orders-1")).unwrap();
    registry.absorb(other("WEB-1", Lease::Held, vec![]));
    assert!(registry.instance("orders-1").is_some());
    assert_eq!(registry.me().address.as_ref(), "192.0.2.1");
}
