//! `/v1/agent/…`: what this node knows of itself and of what is registered with it.

use serde_json::{Map, Value, json};

use super::checks;
use super::refused::Refused;
use super::routes::{Call, View};
use super::views;
use crate::check::Status;
use crate::instance::Instance;
use crate::node::{Lease, Node};
use crate::reply::Reply;

/// The version of Consul whose API this is; clients choose what they may ask by it.
const CONSUL_VERSION: &str = "1.22.0";

pub(crate) fn own(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    let me = view.registry.me();
    let document = json!({
        "Config": {
            "Datacenter": view.datacenter,
            "PrimaryDatacenter": view.datacenter,
            "NodeName": *me.name,
            "NodeID": *me.id,
            "Server": true,
            "Revision": "",
            "Version": CONSUL_VERSION,
        },
        "DebugConfig": { "Forebay": env!("CARGO_PKG_VERSION") },
        "Coord": null,
        "Member": member(me, view.datacenter),
        "Stats": {
            "agent": {
                "checks": me.instances.values().map(|instance| instance.checks.len()).sum::<usize>().to_string(),
                "services": me.instances.len().to_string(),
            },
            "forebay": { "version": env!("CARGO_PKG_VERSION") },
        },
        "Meta": me.meta,
    });
    Ok(answer(call, &document))
}

pub(crate) fn members(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    let members: Vec<Value> = view.registry.nodes().map(|node| member(node, view.datacenter)).collect();
    Ok(answer(call, &json!(members)))
}

/// A member as Serf has it. There is no gossip, so there is no port for it, and versions of it are all 0.
fn member(node: &Node, datacenter: &str) -> Value {
    // 1 is alive, 4 failed.
    let status = match node.lease {
        Lease::Own | Lease::Held => 1,
        Lease::Lapsed { .. } => 4,
    };
    json!({
        "Name": *node.name,
        "Addr": node.address,
        "Port": 0,
        "Tags": { "role": "consul", "dc": datacenter, "id": *node.id, "acls": "0", "build": CONSUL_VERSION },
        "Status": status,
        "ProtocolMin": 0,
        "ProtocolMax": 0,
        "ProtocolCur": 0,
        "DelegateMin": 0,
        "DelegateMax": 0,
        "DelegateCur": 0,
    })
}

pub(crate) fn services(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    let instances = view.registry.me().instances.values();
    let services: Map<String, Value> = instances
        .map(|instance| (instance.id.to_string(), views::agent_service(instance, view.datacenter)))
        .collect();
    Ok(answer(call, &Value::Object(services)))
}

pub(crate) fn service(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    match view.registry.me().instances.get(call.name.as_str()) {
        Some(instance) => Ok(answer(call, &views::agent_service(instance, view.datacenter))),
        None => Err(unknown_id(&call.name)),
    }
}

pub(crate) fn checks(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    let me = view.registry.me();
    let of_instances = me.instances.values().flat_map(|instance| checks::of_instance(me, instance));
    let all: Map<String, Value> =
        checks::of_node(me).chain(of_instances).map(|check| (check.id().to_owned(), check.json())).collect();
    Ok(answer(call, &Value::Object(all)))
}

/// An instance's health: how it stands, and the status of the answer, which load balancers go by.
struct Health {
    text: &'static str,
    /// The status of the HTTP answer.
    code: u16,
    document: Value,
}

pub(crate) fn health_by_id(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    let me = view.registry.me();
    let instance = me.instances.get(call.name.as_str()).ok_or_else(|| unknown_id(&call.name))?;
    let Health { text, code, document } = health(me, instance, view.datacenter);
    Ok(health_answer(call, text, code, &document))
}

pub(crate) fn health_by_name(view: &View<'_>, call: &Call<'_>) -> Result<Reply, Refused> {
    let me = view.registry.me();
    let named = me.instances.values().filter(|one| one.registration.service.eq_ignore_ascii_case(&call.name));
    let all: Vec<Health> = named.map(|instance| health(me, instance, view.datacenter)).collect();
    let Some(worst) = all.iter().max_by_key(|health| health.code) else {
        let text = format!("no instance of service {:?} is registered with this node", call.name);
        return Err(Refused::new(404, text));
    };
    let (text, code) = (worst.text, worst.code);
    let documents: Vec<Value> = all.into_iter().map(|health| health.document).collect();
    Ok(health_answer(call, text, code, &json!(documents)))
}

fn health(me: &Node, instance: &Instance, datacenter: &str) -> Health {
    let checks: Vec<_> = checks::of_node(me).chain(checks::of_instance(me, instance)).collect();
    let worst = checks.iter().map(|check| check.status).max().unwrap_or(Status::Passing);
    let is_out = me.maintenance.is_some() || instance.maintenance.is_some();
    let (text, code) = match worst {
        _ if is_out => ("maintenance", 503),
        Status::Passing => (Status::Passing.text(), 200),
        Status::Warning => (Status::Warning.text(), 429),
        Status::Critical => (Status::Critical.text(), 503),
    };
    let document = json!({
        "AggregatedStatus": text,
        "Service": views::agent_service(instance, datacenter),
        "Checks": checks.iter().map(checks::CheckView::json).collect::<Vec<_>>(),
    });
    Health { text, code, document }
}

fn health_answer(call: &Call<'_>, text: &str, code: u16, document: &Value) -> Reply {
    let wants_text = match call.asked.query.first("format") {
        Some(format) => format == "text",
        None => call.asked.wants_text,
    };
    if wants_text { Reply::text(code, text) } else { Reply::json(code, document, call.options.pretty) }
}

fn answer(call: &Call<'_>, document: &Value) -> Reply {
    Reply::json(200, document, call.options.pretty)
}

fn unknown_id(id: &str) -> Refused {
    let help = "an instance is known to the node that it registered with, by its id";
    Refused::new(404, format!("Unknown service ID {id:?}; {help}"))
}
