//! Registries, registrations and checks for the tests of the machine.

use std::time::Duration;

use super::*;
use crate::check::{CheckKind, CheckSpec, Status, TcpCheck};
use crate::instance::{Declared, InstanceState, Registration, Weights};
use crate::node::Lease;

pub(super) fn registry() -> Registry {
    Registry::new(Node::own("Web-1", "id-1", "192.0.2.1"))
}

pub(super) fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

pub(super) fn instance(service: &str, id: &str) -> Registration {
    Registration {
        id: Some(id.into()),
        service: service.into(),
        address: "127.0.0.1".into(),
        port: 9001,
        tags: Vec::new(),
        meta: BTreeMap::new(),
        weights: Weights::default(),
        tagged_addresses: BTreeMap::new(),
        enable_tag_override: false,
        declared: Declared::Ready,
        checks: Vec::new(),
        replace_checks: false,
    }
}

pub(super) fn ttl(seconds: u64) -> CheckSpec {
    CheckSpec::new(CheckKind::Ttl(Duration::from_secs(seconds)))
}

pub(super) fn tcp() -> CheckSpec {
    let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(1));
    CheckSpec::new(CheckKind::Tcp(TcpCheck { address: "127.0.0.1:9001".into(), interval, timeout }))
}

pub(super) fn with(checks: Vec<CheckSpec>) -> Registration {
    Registration { checks, ..instance("orders", "orders-1") }
}

pub(super) fn state(registry: &Registry) -> InstanceState {
    registry.instance("orders-1").unwrap().state()
}

pub(super) fn status(registry: &Registry, check: &str) -> Status {
    registry.check(check).unwrap().0.status
}

pub(super) fn other(name: &str, lease: Lease, instances: Vec<Registration>) -> Node {
    let mut node = Node { lease, ..Node::own(name, "id-2", "192.0.2.2") };
    let mut source = Registry::new(Node::own(name, "id-2", "192.0.2.2"));
    for registration in instances {
        source.register(at(0), registration).unwrap();
    }
    node.instances = source.me.instances;
    node
}
