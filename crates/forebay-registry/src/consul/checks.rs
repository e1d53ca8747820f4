//! Checks as Consul shows them, those included that nobody registered: that a node is there, that somebody took an
//! instance or a node out, that an instance says itself that it wants no requests.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::check::{Check, CheckKind, Status};
use crate::go_duration;
use crate::instance::{Declared, Instance};
use crate::node::{Lease, Node};

/// One check of a node, or of an instance on it.
pub(crate) struct CheckView<'r> {
    node: &'r Node,
    instance: Option<&'r Instance>,
    id: Cow<'r, str>,
    name: Cow<'r, str>,
    pub(crate) status: Status,
    notes: &'r str,
    output: Cow<'r, str>,
    kind: &'static str,
    /// What was registered, if anything was.
    registered: Option<&'r CheckKind>,
    create_index: u64,
    modify_index: u64,
}

/// What vouches for a node: that its Forebay is there.
pub(crate) fn presence(node: &Node) -> CheckView<'_> {
    let (status, output) = match node.lease {
        Lease::Own | Lease::Held => (Status::Passing, "Agent alive and reachable"),
        Lease::Lapsed { .. } => (Status::Critical, "Agent not live or unreachable"),
    };
    CheckView { output: output.into(), status, ..made(node, None, "serfHealth", "Serf Health Status", "") }
}

/// Checks of the node itself, as its agent knows them.
pub(crate) fn of_node(node: &Node) -> impl Iterator<Item = CheckView<'_>> {
    let maintenance = node.maintenance.as_deref().map(|reason| CheckView {
        notes: reason,
        ..made(node, None, "_node_maintenance", "Node Maintenance Mode", "maintenance")
    });
    maintenance.into_iter().chain(node.checks.values().map(|check| registered(node, None, check)))
}

/// Checks of an instance.
pub(crate) fn of_instance<'r>(node: &'r Node, instance: &'r Instance) -> impl Iterator<Item = CheckView<'r>> {
    let synthetic = |prefix: &str, name, kind| {
        let id = format!("{prefix}:{}", instance.id);
        made(node, Some(instance), id, name, kind)
    };
    let maintenance = instance.maintenance.as_deref().map(|reason| CheckView {
        notes: reason,
        ..synthetic("_service_maintenance", "Service Maintenance Mode", "maintenance")
    });
    let declared = (instance.registration.declared != Declared::Ready).then(|| CheckView {
        output: format!("the instance says that it is {}", instance.registration.declared.text()).into(),
        ..synthetic("_forebay_state", "Instance State", "state")
    });
    let checks = instance.checks.values().map(move |check| registered(node, Some(instance), check));
    maintenance.into_iter().chain(declared).chain(checks)
}

/// Everything that bears on an instance, whoever asks: its node's and its own.
pub(crate) fn bearing_on<'r>(node: &'r Node, instance: &'r Instance) -> impl Iterator<Item = CheckView<'r>> {
    [presence(node)].into_iter().chain(of_node(node)).chain(of_instance(node, instance))
}

/// Everything on a node, its instances' included.
pub(crate) fn on_node(node: &Node) -> impl Iterator<Item = CheckView<'_>> {
    let instances = node.instances.values().flat_map(move |instance| of_instance(node, instance));
    [presence(node)].into_iter().chain(of_node(node)).chain(instances)
}

/// A check that nobody registered; critical, because most of them are there only then.
fn made<'r>(
    node: &'r Node,
    instance: Option<&'r Instance>,
    id: impl Into<Cow<'r, str>>,
    name: &'r str,
    kind: &'static str,
) -> CheckView<'r> {
    let (create_index, modify_index) = match instance {
        Some(instance) => (instance.create_index, instance.modify_index),
        None => (node.create_index, node.modify_index),
    };
    CheckView {
        node,
        instance,
        id: id.into(),
        name: name.into(),
        status: Status::Critical,
        notes: "",
        output: "".into(),
        kind,
        registered: None,
        create_index,
        modify_index,
    }
}

fn registered<'r>(node: &'r Node, instance: Option<&'r Instance>, check: &'r Check) -> CheckView<'r> {
    CheckView {
        node,
        instance,
        id: (&*check.id).into(),
        name: (&*check.spec.name).into(),
        status: check.status,
        notes: &check.spec.notes,
        output: (&*check.output).into(),
        kind: check.spec.kind.text(),
        registered: Some(&check.spec.kind),
        create_index: check.create_index,
        modify_index: check.modify_index,
    }
}

impl CheckView<'_> {
    /// The check's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The `HealthCheck` of Consul's API.
    pub(crate) fn json(&self) -> Value {
        let (interval, timeout) = match self.registered {
            Some(CheckKind::Http(check)) => (Some(check.interval), Some(check.timeout)),
            Some(CheckKind::Tcp(check)) => (Some(check.interval), Some(check.timeout)),
            Some(CheckKind::Ttl(_)) | None => (None, None),
        };
        let registration = self.instance.map(|instance| &instance.registration);
        json!({
            "Node": *self.node.name,
            "CheckID": self.id,
            "Name": self.name,
            "Status": self.status.text(),
            "Notes": self.notes,
            "Output": self.output,
            "ServiceID": self.instance.map_or("", |instance| &instance.id),
            "ServiceName": registration.map_or("", |registration| &registration.service),
            "ServiceTags": registration.map_or(&[][..], |registration| &registration.tags),
            "Type": self.kind,
            "Interval": interval.map(go_duration::write).unwrap_or_default(),
            "Timeout": timeout.map(go_duration::write).unwrap_or_default(),
            "ExposedPort": 0,
            "Definition": {},
            "CreateIndex": self.create_index,
            "ModifyIndex": self.modify_index,
        })
    }
}
