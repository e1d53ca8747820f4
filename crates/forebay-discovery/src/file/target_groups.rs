//! The form of Prometheus' `file_sd`: a list of groups, each with targets and labels. Of the labels `zone`, `version`,
//! `weight` and `priority` mean something here; the others are for whoever else reads the file.

use serde_json::Value;

use super::{address, priority, weight};
use crate::endpoint::Target;

pub(super) fn targets(groups: &[Value]) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let place = format!("[{at}]");
        let listed = group.get("targets").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| format!("{place} has no list `targets`"))?;
        let label = |name: &str| group.get("labels").and_then(|labels| labels.get(name));
        let text = |name| label(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(Into::into);
        let common = (
            label("weight").map(|value| weight(value, &place)).transpose()?,
            label("priority").map(|value| priority(value, &place)).transpose()?,
        );
        for (at, listed) in listed.iter().enumerate() {
            let place = format!("{place}.targets[{at}]");
            targets.push(Target {
                weight: common.0.unwrap_or(1),
                priority: common.1.unwrap_or(0),
                zone: text("zone"),
                version: text("version"),
                ..target(listed, &place)?
            });
        }
    }
    Ok(targets)
}

fn target(listed: &Value, place: &str) -> Result<Target, String> {
    let text = listed.as_str().ok_or_else(|| format!("{place} is no text"))?;
    if let Ok(address) = text.parse::<std::net::SocketAddr>()
        && address.port() != 0
    {
        return Ok(Target::new(address));
    }
    let named = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match named.filter(|(_, port)| *port != 0) {
        // It is none, or it would have been read above.
        Some((host, port)) => Ok(Target::new(address(host, port, place)?)),
        None => Err(format!("{place}: {text:?} is no address with a port")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::targets;

    #[test]
    fn groups_share_their_labels() {
        let text = r#"[
            {"targets": ["10.0.0.1:9001", "[::1]:9001"],
             "labels": {"zone": "b", "version": "2026-11-01", "weight": "5", "priority": 1, "job": "orders"}},
            {"targets": ["10.0.0.2:9001"]}, {"targets": []}]"#;
        let read = targets(text.as_bytes()).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!((read[1].weight, read[1].priority), (5, 1));
        assert_eq!((read[1].zone.as_deref(), read[1].version.as_deref()), (Some("b"), Some("2026-11-01")));
        assert_eq!((read[2].weight, read[2].priority, read[2].zone.as_deref()), (1, 0, None));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, problem) in [
            ("[{}]", "[0] has no list `targets`"),
            (r#"[{"targets": [1]}]"#, "[0].targets[0] is no text"),
            (r#"[{"targets": ["10.0.0.1"]}]"#, "[0].targets[0]: \"10.0.0.1\" is no address with a port"),
            (
                r#"[{"targets": ["a:80"]}]"#,
                "[0].targets[0]: \"a\" is no IP address; names are found by a source \"dns:a:80\"",
            ),
            (
                r#"[{"targets": ["10.0.0.1:1"], "labels": {"weight": "0"}}]"#,
                "[0]: \"0\" is no weight from 1 to 1000000",
            ),
        ] {
            assert_eq!(targets(text.as_bytes()).unwrap_err(), problem, "{text}");
        }
    }
}
