//! `/v1/health/…`: checks, and the instances that pass them.

use serde_json::{Value, json};

use super::catalog::{found, named, wanted_nodes};
use super::checks::{self, CheckView};
use super::refused::Refused;
use super::routes::{Call, View};
use super::views;
use crate::check::Status;

pub(crate) fn node(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    let node = named(view, &call.name);
    Ok(node.into_iter().flat_map(checks::on_node).map(|check| check.json()).collect())
}

pub(crate) fn checks(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    let found = found(view, call, &[]);
    let checks = found.iter().flat_map(|one| checks::of_instance(one.node, one.instance));
    Ok(checks.map(|check| check.json()).collect())
}

pub(crate) fn service(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    let mut entries = Vec::new();
    for one in found(view, call, &call.options.tags) {
        let checks: Vec<CheckView<'_>> = checks::bearing_on(one.node, one.instance).collect();
        if call.options.passing && checks.iter().any(|check| check.status != Status::Passing) {
            continue;
        }
        entries.push(json!({
            "Node": views::node(one.node, view.datacenter),
            "Service": views::node_service(one.instance),
            "Checks": checks.iter().map(CheckView::json).collect::<Vec<_>>(),
        }));
    }
    Ok(Value::Array(entries))
}

pub(crate) fn state(view: &View<'_>, call: &Call<'_>) -> Result<Value, Refused> {
    let wanted = match call.name.as_str() {
        "any" => None,
        name => Some(Status::parse(name).ok_or_else(|| {
            Refused::bad(format!("{name:?} is no state; ask for any, passing, warning or critical"))
        })?),
    };
    let checks = wanted_nodes(view, call).into_iter().flat_map(checks::on_node);
    Ok(checks
        .filter(|check| wanted.is_none_or(|wanted| check.status == wanted))
        .map(|check| check.json())
        .collect())
}
