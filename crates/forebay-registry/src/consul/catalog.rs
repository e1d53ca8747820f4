//! `/v1/catalog/…` and `/v1/status/…`: every node and every instance that this node knows of, healthy or not.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::options::has_tags;
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
    let nodes = wanted_nodes(view, call);
    Ok(nodes.into_iter().map(|node| views::node(node, view.datacenter)).collect())
}

/// The nodes that a request is about, the near one first.
pub(crate) fn wanted_nodes<'r>(view: &View<'r>, call: &Call<'_>) -> Vec<&'r Node> {
    let own = &*view.registry.me().name;
    let mut nodes: Vec<&Node> = view.registry.nodes().filter(|node| call.options.wants_node(node)).collect();
    nodes.sort_by_key(|node| !call.options.is_near(&node.name, own));
    nodes
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
    let found = found(view, call, &call.options.tags);
    Ok(found.iter().map(|one| views::catalog_service(one.node, one.instance, view.datacenter)).collect())
}

/// The instances that a request is about, with these tags, those on the near node first.
pub(crate) fn found<'r>(view: &View<'r>, call: &Call<'_>, tags: &[String]) -> Vec<Found<'r>> {
    let own = &*view.registry.me().name;
    let all = view.registry.instances_of(&call.name);
    let mut wanted: Vec<Found<'_>> = all
        .filter(|one| call.options.wants_node(one.node) && has_tags(&one.instance.registration.tags, tags))
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

#[cfg(test)]
mod tests {
    use forebay_http::Method;

    use super::*;
    use crate::asked::Asked;
    use crate::consul::health;
    use crate::consul::options::Options;
    use crate::node::Lease;
    use crate::query::Query;
    use crate::registry::Registry;

    #[test]
    fn what_is_on_the_near_node_comes_first_wherever_nodes_are_listed() {
        let mut registry = Registry::new(Node::own("web-b", "id-b", "10.0.0.2"));
        for name in ["web-a", "web-c"] {
            registry.absorb(Node { lease: Lease::Held, ..Node::own(name, name, "10.0.0.1") });
        }
        let view = View { registry: &registry, datacenter: "dc1", here: "here" };
        let order = |near: &str, list: fn(&View<'_>, &Call<'_>) -> Result<Value, Refused>| {
            let query = Query::parse(&format!("near={near}")).unwrap();
            let options = Options::read(&query, "dc1").unwrap();
            let (path, places, body) = (String::new(), Default::default(), Vec::new());
            let asked = Asked { method: Method::Get, path, query, wants_text: false, places, body };
            let found = list(&view, &Call { asked: &asked, name: "any".into(), options }).unwrap();
            let names = found.as_array().unwrap().iter().map(|one| one["Node"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        for list in [nodes, health::state] {
            assert_eq!(order("", list), ["web-a", "web-b", "web-c"]);
            assert_eq!(order("WEB-C", list), ["web-c", "web-a", "web-b"]);
            assert_eq!(order("_agent", list), ["web-b", "web-a", "web-c"]);
        }
    }
}
