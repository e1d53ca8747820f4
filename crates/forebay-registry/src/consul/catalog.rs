//! `/v1/catalog/…` and `/v1/status/…`: every node and every instance that this node knows of, healthy or not.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::refused::Refused;
use super::routes::{Call, View};
use super::views;
use crate::found::Found;
use crate::node::Node;
use crate::reply::Reply;

pub(crate) fn datacenters(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    Ok(Reply::json(200, &json!([view.datacenter]), call.options.pretty))
}

/// Every node answers for itself, so each calls itself the leader.
pub(crate) fn leader(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    Ok(Reply::json(200, &json!(view.here), call.options.pretty))
}

pub(crate) fn peers(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    Ok(Reply::json(200, &json!([view.here]), call.options.pretty))
}

pub(crate) fn nodes(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    let own = &*view.registry.me().name;
    let mut nodes: Vec<&Node> = view.registry.nodes().filter(|node| call.options.wants_node(node)).collect();
    nodes.sort_by_key(|node| !call.options.is_near(&node.name, own));
    Ok(nodes.into_iter().map(|node| views::node(node, view.datacenter)).collect())
}

pub(crate) fn services(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    if call.options.node_meta.is_empty() {
        let services = view.registry.services().map(|(name, tags)| (name.to_string(), json!(tags)));
        return Ok(Value::Object(services.collect()));
    }
    let mut services: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in view.registry.nodes().filter(|node| call.options.wants_node(node)) {
        for instance in node.instances.values() {
            let tags = services.entry(&instance.registration.service).or_default();
            tags.extend(instance.registration.tags.iter().map(|tag| &**tag));
        }
    }
    Ok(json!(services))
}

pub(crate) fn service(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    let found = found(view, call);
    Ok(found.iter().map(|one| views::catalog_service(one.node, one.instance, view.datacenter)).collect())
}

/// The instances that a request is about, those on the near node first.
pub(crate) fn found<'r>(view: &View<'r>, call: &Call<'_>) -> Vec<Found<'r>> {
    let own = &*view.registry.me().name;
    let all = view.registry.instances_of(&call.name);
    let mut wanted: Vec<Found<'_>> = all
        .filter(|one| {
            call.options.wants_node(one.node) && call.options.wants_tags(&one.instance.registration.tags)
        })
        .collect();
    wanted.sort_by_key(|one| !call.options.is_near(&one.node.name, own));
    wanted
}

/// Null for a node that nobody knows, as Consul has it.
pub(crate) fn node(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    let Some(node) = named(view, &call.name) else { return Ok(Value::Null) };
    let services: Map<String, Value> = node
        .instances
        .values()
        .map(|instance| (instance.id.to_string(), views::node_service(instance)))
        .collect();
    Ok(json!({ "Node": views::node(node, view.datacenter), "Services": services }))
}

pub(crate) fn node_services(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    let Some(node) = named(view, &call.name) else { return Ok(json!({ "Node": null, "Services": [] })) };
    let services: Vec<Value> = node.instances.values().map(views::node_service).collect();
    Ok(json!({ "Node": views::node(node, view.datacenter), "Services": services }))
}

/// A node by its name or its id.
pub(crate) fn named<'r>(view: &View<'r>, name: &str) -> Option<&'r Node> {
    view.registry.node(name).or_else(|| view.registry.nodes().find(|node| node.id.eq_ignore_ascii_case(name)))
}
