//! Nodes and instances as Consul's API shows them, each shape in one place: names of fields, null or empty, present or
//! left out, as its own `api` package and answers have them.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::instance::{Instance, Registration};
use crate::node::Node;

/// A node in `/v1/catalog/nodes` and `/v1/health/service`.
pub(crate) fn node(node: &Node, datacenter: &str) -> Value {
    json!({
        "ID": *node.id,
        "Node": *node.name,
        "Address": node.address,
        "Datacenter": datacenter,
        "TaggedAddresses": node_addresses(&node.address),
        "Meta": node.meta,
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    })
}

/// An instance in `/v1/health/service` and `/v1/catalog/node`: Consul's `NodeService`.
pub(crate) fn node_service(instance: &Instance) -> Value {
    let registration = &instance.registration;
    let mut view = common(instance);
    // Consul's catalog has null where nothing was given, and its agent has an empty object.
    view.insert(
        "Meta".into(),
        if registration.meta.is_empty() { Value::Null } else { json!(registration.meta) },
    );
    view.insert("Proxy".into(), no_proxy());
    view.insert("Connect".into(), json!({}));
    view.insert("PeerName".into(), json!(""));
    Value::Object(view)
}

/// An instance in `/v1/agent/services`: Consul's `AgentService`.
pub(crate) fn agent_service(instance: &Instance, datacenter: &str) -> Value {
    let mut view = common(instance);
    view.insert("Meta".into(), json!(instance.registration.meta));
    view.insert("Datacenter".into(), json!(datacenter));
    Value::Object(view)
}

/// An instance in `/v1/catalog/service`: Consul's `ServiceNode`, flat.
pub(crate) fn catalog_service(on: &Node, instance: &Instance, datacenter: &str) -> Value {
    let registration = &instance.registration;
    let mut view = json!({
        "ID": *on.id,
        "Node": *on.name,
        "Address": on.address,
        "Datacenter": datacenter,
        "TaggedAddresses": node_addresses(&on.address),
        "NodeMeta": on.meta,
        "ServiceKind": "",
        "ServiceID": *instance.id,
        "ServiceName": *registration.service,
        "ServiceTags": registration.tags,
        "ServiceAddress": registration.address,
        "ServiceWeights": weights(registration),
        "ServiceMeta": registration.meta,
        "ServicePort": registration.port,
        "ServiceSocketPath": "",
        "ServiceEnableTagOverride": registration.enable_tag_override,
        "ServiceProxy": no_proxy(),
        "ServiceConnect": {},
        "CreateIndex": instance.create_index,
        "ModifyIndex": instance.modify_index,
    });
    if let Some(addresses) = service_addresses(registration) {
        view["ServiceTaggedAddresses"] = addresses;
    }
    view
}

/// What all shapes of an instance share.
fn common(instance: &Instance) -> Map<String, Value> {
    let registration = &instance.registration;
    let mut view = Map::new();
    view.insert("ID".into(), json!(*instance.id));
    view.insert("Service".into(), json!(*registration.service));
    view.insert("Tags".into(), json!(registration.tags));
    view.insert("Address".into(), json!(registration.address));
    view.insert("Port".into(), json!(registration.port));
    view.insert("Weights".into(), weights(registration));
    view.insert("EnableTagOverride".into(), json!(registration.enable_tag_override));
    view.insert("CreateIndex".into(), json!(instance.create_index));
    view.insert("ModifyIndex".into(), json!(instance.modify_index));
    if let Some(addresses) = service_addresses(registration) {
        view.insert("TaggedAddresses".into(), addresses);
    }
    view
}

fn weights(registration: &Registration) -> Value {
    json!({ "Passing": registration.weights.passing, "Warning": registration.weights.warning })
}

fn no_proxy() -> Value {
    json!({ "Mode": "", "MeshGateway": {}, "Expose": {} })
}

/// A node is at one address, in every network that Consul tells apart.
fn node_addresses(address: &str) -> Value {
    let mut addresses = json!({ "lan": address, "wan": address });
    if let Some(family) = family(address) {
        addresses[format!("lan_{family}")] = json!(address);
        addresses[format!("wan_{family}")] = json!(address);
    }
    addresses
}

/// What the instance said, and what Consul fills in besides for one that has an IP address of its own.
fn service_addresses(registration: &Registration) -> Option<Value> {
    let place = |address: &str, port: u16| json!({ "Address": address, "Port": port });
    let tagged = registration.tagged_addresses.iter();
    let mut addresses: Map<String, Value> =
        tagged.map(|(tag, tagged)| (tag.to_string(), place(&tagged.address, tagged.port))).collect();
    if let Some(family) = family(&registration.address) {
        for network in ["lan", "wan"] {
            let own = addresses.entry(format!("{network}_{family}"));
            own.or_insert_with(|| place(&registration.address, registration.port));
        }
    }
    (!addresses.is_empty()).then_some(Value::Object(addresses))
}

fn family(address: &str) -> Option<&'static str> {
    match address.parse().ok()? {
        IpAddr::V4(_) => Some("ipv4"),
        IpAddr::V6(_) => Some("ipv6"),
    }
}
