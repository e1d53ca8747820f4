//! Instances as our own API shows them, to programs and to people.

use serde_json::{Value, json};

use crate::found::Found;

/// An instance for programs.
pub(crate) fn document(found: &Found<'_>) -> Value {
    let registration = &found.instance.registration;
    let checks = found.checks().map(|check| {
        json!({
            "id": *check.id,
            "kind": check.spec.kind.text(),
            "status": check.status.text(),
            "output": check.output,
        })
    });
    json!({
        "id": *found.instance.id,
        "service": *registration.service,
        "node": *found.node.name,
        "address": found.address(),
        "port": registration.port,
        "state": found.state().text(),
        "why": found.why(),
        "weight": registration.weights.passing,
        "tags": registration.tags,
        "meta": registration.meta,
        "checks": checks.collect::<Vec<_>>(),
    })
}

/// Instances for people, in aligned columns.
pub(crate) fn table(all: &[Found<'_>]) -> String {
    if all.is_empty() {
        return "no instance is registered\n".to_owned();
    }
    let mut rows = vec![["SERVICE", "INSTANCE", "NODE", "ADDRESS", "STATE", "WHY"].map(str::to_owned)];
    rows.extend(all.iter().map(|found| {
        let registration = &found.instance.registration;
        [
            registration.service.to_string(),
            found.instance.id.to_string(),
            found.node.name.to_string(),
            place(found.address(), registration.port),
            found.state().text().to_owned(),
            found.why().unwrap_or_default(),
        ]
    }));
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // What instances say of themselves must not reach into a terminal.
            let cell: String = cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn place(address: &str, port: u16) -> String {
    match (address.contains(':'), port) {
        (_, 0) => address.to_owned(),
        (true, port) => format!("[{address}]:{port}"),
        (false, port) => format!("{address}:{port}"),
    }
}
