//! How nodes and instances are written down, in JSON. Others get no secrets: what a check sends stays with the node that
//! sends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;
use forebay_store::StoreError;
use serde_json::{Map, Value, json};

use crate::check::{Check, CheckId, CheckKind, CheckSpec, HttpCheck, Status, TcpCheck};
use crate::instance::{Declared, Instance, Registration, TaggedAddress, Weights};
use crate::node::{Lease, Node};

/// Who reads what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// This node, after a restart.
    Own,
    /// Other nodes.
    Others,
}

/// Everything of a node but its instances and its lease.
pub(crate) fn write_node(node: &Node, reader: Reader) -> String {
    json!({
        "name": *node.name,
        "id": *node.id,
        "address": node.address,
        "meta": pairs(&node.meta),
        "maintenance": node.maintenance,
        "checks": checks(&node.checks, reader),
    })
    .to_string()
}

/// An instance with its checks.
pub(crate) fn write_instance(instance: &Instance, reader: Reader) -> String {
    let registration = &instance.registration;
    json!({
        "service": *registration.service,
        "address": registration.address,
        "port": registration.port,
        "tagged_addresses": tagged_addresses(registration),
        "tags": registration.tags,
        "meta": pairs(&registration.meta),
        "weights": [registration.weights.passing, registration.weights.warning],
        "enable_tag_override": registration.enable_tag_override,
        "declared": registration.declared.text(),
        "maintenance": instance.maintenance,
        "checks": checks(&instance.checks, reader),
        "index": [instance.create_index, instance.modify_index],
    })
    .to_string()
}

/// A node with the lease it is known to have, without instances.
pub(crate) fn read_node(text: &str, lease: Lease) -> Result<Node, StoreError> {
    let read = || {
        let value: Value = serde_json::from_str(text).ok()?;
        let mut node = Node::own(str_of(&value, "name")?, str_of(&value, "id")?, str_of(&value, "address")?);
        node.lease = lease;
        node.meta = read_pairs(&value["meta"])?;
        node.maintenance = value["maintenance"].as_str().map(Into::into);
        node.checks = read_checks(&value["checks"])?;
        Some(node)
    };
    read().ok_or(StoreError::Corrupt("node of the registry"))
}

/// An instance of this node.
pub(crate) fn read_instance(node: &Arc<str>, id: &str, text: &str) -> Result<Instance, StoreError> {
    let read = || {
        let value: Value = serde_json::from_str(text).ok()?;
        let id: Arc<str> = id.into();
        let weight = |at: usize| value["weights"][at].as_u64().and_then(|weight| u32::try_from(weight).ok());
        let tags = value["tags"].as_array()?.iter().map(|tag| tag.as_str().map(Into::into));
        let all = [Declared::Starting, Declared::Ready, Declared::Draining];
        let declared = str_of(&value, "declared")?;
        Some(Instance {
            node: Arc::clone(node),
            id: Arc::clone(&id),
            registration: Registration {
                id: Some(id),
                service: str_of(&value, "service")?.into(),
                address: str_of(&value, "address")?.into(),
                port: u16::try_from(value["port"].as_u64()?).ok()?,
                tagged_addresses: read_tagged_addresses(&value["tagged_addresses"])?,
                tags: tags.collect::<Option<_>>()?,
                meta: read_pairs(&value["meta"])?,
                weights: Weights { passing: weight(0)?, warning: weight(1)? },
                enable_tag_override: value["enable_tag_override"].as_bool()?,
                declared: all.into_iter().find(|one| one.text() == declared)?,
                checks: Vec::new(),
                replace_checks: false,
            },
            maintenance: value["maintenance"].as_str().map(Into::into),
            checks: read_checks(&value["checks"])?,
            create_index: value["index"][0].as_u64()?,
            modify_index: value["index"][1].as_u64()?,
        })
    };
    read().ok_or(StoreError::Corrupt("registered instance"))
}

fn tagged_addresses(registration: &Registration) -> Value {
    let tagged = registration.tagged_addresses.iter();
    tagged
        .map(|(tag, place)| (tag.to_string(), json!([place.address, place.port])))
        .collect::<Map<_, _>>()
        .into()
}

/// Absent in what was written before there were any.
fn read_tagged_addresses(value: &Value) -> Option<BTreeMap<Box<str>, TaggedAddress>> {
    if value.is_null() {
        return Some(BTreeMap::new());
    }
    let read = |(tag, place): (&String, &Value)| {
        let port = u16::try_from(place[1].as_u64()?).ok()?;
        Some((tag.as_str().into(), TaggedAddress { address: place[0].as_str()?.into(), port }))
    };
    value.as_object()?.iter().map(read).collect()
}

fn pairs(map: &BTreeMap<Box<str>, Box<str>>) -> Value {
    map.iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect::<Map<_, _>>().into()
}

fn read_pairs(value: &Value) -> Option<BTreeMap<Box<str>, Box<str>>> {
    let pairs = value.as_object()?.iter();
    pairs.map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into()))).collect()
}

fn checks(checks: &BTreeMap<CheckId, Check>, reader: Reader) -> Value {
    checks.values().map(|check| write_check(check, reader)).collect()
}

fn read_checks(value: &Value) -> Option<BTreeMap<CheckId, Check>> {
    value
        .as_array()?
        .iter()
        .map(|value| read_check(value).map(|check| (Arc::clone(&check.id), check)))
        .collect()
}

fn write_check(check: &Check, reader: Reader) -> Value {
    let spec = &check.spec;
    json!({
        "id": *check.id,
        "name": spec.name,
        "notes": spec.notes,
        "kind": write_kind(&spec.kind, reader),
        "at_first": spec.status.text(),
        "deregister_after_ms": spec.deregister_after.map(milliseconds),
        "thresholds": [spec.successes_before_passing, spec.failures_before_warning, spec.failures_before_critical],
        "status": check.status.text(),
        "output": check.output,
        "index": [check.create_index, check.modify_index],
    })
}

fn read_check(value: &Value) -> Option<Check> {
    let id: CheckId = str_of(value, "id")?.into();
    let threshold = |at: usize| u16::try_from(value["thresholds"][at].as_u64()?).ok();
    let spec = CheckSpec {
        id: Some(Arc::clone(&id)),
        name: str_of(value, "name")?.into(),
        notes: str_of(value, "notes")?.into(),
        kind: read_kind(&value["kind"])?,
        status: Status::parse(str_of(value, "at_first")?)?,
        deregister_after: value["deregister_after_ms"].as_u64().map(Duration::from_millis),
        successes_before_passing: threshold(0)?,
        failures_before_warning: threshold(1)?,
        failures_before_critical: threshold(2)?,
    };
    Some(Check {
        id,
        spec,
        status: Status::parse(str_of(value, "status")?)?,
        output: str_of(value, "output")?.into(),
        // Whoever takes it sets what has to do with time.
        due: Moment::NEVER,
        answered: None,
        critical_since: None,
        streak: 0,
        quiet_until: Moment::START,
        untold: false,
        create_index: value["index"][0].as_u64()?,
        modify_index: value["index"][1].as_u64()?,
    })
}

fn write_kind(kind: &CheckKind, reader: Reader) -> Value {
    match kind {
        CheckKind::Ttl(ttl) => json!({ "ttl_ms": milliseconds(*ttl) }),
        CheckKind::Tcp(tcp) => json!({
            "tcp": tcp.address,
            "interval_ms": milliseconds(tcp.interval),
            "timeout_ms": milliseconds(tcp.timeout),
        }),
        CheckKind::Http(http) => {
            let is_own = reader == Reader::Own;
            let url = if is_own { &*http.url } else { http.url.split(['?', '#']).next().unwrap_or_default() };
            let header: Map<String, Value> = http
                .header
                .iter()
                .filter(|_| is_own)
                .map(|(name, values)| (name.to_string(), json!(values)))
                .collect();
            json!({
                "http": url,
                "method": http.method,
                "header": header,
                "body": if is_own { &*http.body } else { "" },
                "interval_ms": milliseconds(http.interval),
                "timeout_ms": milliseconds(http.timeout),
                "follows_redirects": http.follows_redirects,
                "tls_skip_verify": http.tls_skip_verify,
                "tls_server_name": http.tls_server_name,
            })
        }
    }
}

fn read_kind(value: &Value) -> Option<CheckKind> {
    let time = |key: &str| value[key].as_u64().map(Duration::from_millis);
    if let Some(ttl) = time("ttl_ms") {
        return Some(CheckKind::Ttl(ttl));
    }
    let (interval, timeout) = (time("interval_ms")?, time("timeout_ms")?);
    if let Some(address) = value["tcp"].as_str() {
        return Some(CheckKind::Tcp(TcpCheck { address: address.into(), interval, timeout }));
    }
    let values = |values: &Value| -> Option<Vec<Box<str>>> {
        values.as_array()?.iter().map(|value| value.as_str().map(Into::into)).collect()
    };
    let header = value["header"].as_object()?.iter();
    Some(CheckKind::Http(HttpCheck {
        url: str_of(value, "http")?.into(),
        method: str_of(value, "method")?.into(),
        header: header
            .map(|(name, all)| Some((name.as_str().into(), values(all)?)))
            .collect::<Option<_>>()?,
        body: str_of(value, "body")?.into(),
        interval,
        timeout,
        // Absent in what was written before there was one, as is the name below.
        follows_redirects: value["follows_redirects"].as_bool().unwrap_or(true),
        tls_skip_verify: value["tls_skip_verify"].as_bool()?,
        tls_server_name: value["tls_server_name"].as_str().unwrap_or_default().into(),
    }))
}

fn str_of<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value[key].as_str()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_a_field_was_there_is_read() {
        let written = r#"{"service":"orders","address":"","port":9001,"tags":[],"meta":{},"weights":[1,1],
            "enable_tag_override":false,"declared":"ready","maintenance":null,"index":[7,8],"checks":[
            {"id":"c","name":"c","notes":"","kind":{"http":"https://127.0.0.1/","method":"GET","header":{},"body":"",
            "interval_ms":1000,"timeout_ms":1000,"tls_skip_verify":false},"at_first":"critical","thresholds":[0,0,0],
            "deregister_after_ms":null,"status":"passing","output":"","index":[7,8]}]}"#;
        let read = read_instance(&"web-1".into(), "orders-1", written).unwrap();
        assert_eq!(read.registration.tagged_addresses, BTreeMap::new());
        let CheckKind::Http(check) = &read.checks["c"].spec.kind else { panic!("it is asked over HTTP") };
        assert_eq!((&*check.tls_server_name, check.follows_redirects), ("", true));
    }
}
