//! Envoy's form: a `ClusterLoadAssignment` (envoy.config.endpoint.v3), alone or in a `DiscoveryResponse`, as protobuf's
//! JSON mapping writes it, which may name fields in snake or camel case. Endpoints that are not to get requests are left
//! out. What concerns how Envoy itself balances (locality weights, overprovisioning) has no part here.

use serde_json::Value;

use super::{address, priority, weight};
use crate::endpoint::Target;

pub(super) fn targets(document: &Value) -> Result<Vec<Target>, String> {
    match field(document, "resources", "resources") {
        Some(resources) => {
            let mut targets = Vec::new();
            for (at, resource) in list(resources, "resources")?.iter().enumerate() {
                targets.extend(assignment(resource, &format!("resources[{at}]"))?);
            }
            Ok(targets)
        }
        None => assignment(document, ""),
    }
}

fn assignment(assignment: &Value, place: &str) -> Result<Vec<Target>, String> {
    let name = field(assignment, "cluster_name", "clusterName");
    if name.is_none() && field(assignment, "endpoints", "endpoints").is_none() {
        return Err(format!("{}has neither `cluster_name` nor `endpoints`", prefix(place)));
    }
    let mut targets = Vec::new();
    let Some(localities) = field(assignment, "endpoints", "endpoints") else { return Ok(targets) };
    for (at, locality) in list(localities, &format!("{}endpoints", dot(place)))?.iter().enumerate() {
        let place = format!("{}endpoints[{at}]", dot(place));
        let zone =
            field(locality, "locality", "locality").and_then(|locality| field(locality, "zone", "zone"));
        let zone = zone.and_then(Value::as_str).filter(|zone| !zone.is_empty());
        let tier = match field(locality, "priority", "priority") {
            Some(value) => priority(value, &place)?,
            None => 0,
        };
        let Some(endpoints) = field(locality, "lb_endpoints", "lbEndpoints") else { continue };
        for (at, endpoint) in list(endpoints, &format!("{place}.lb_endpoints"))?.iter().enumerate() {
            let place = format!("{place}.lb_endpoints[{at}]");
            if takes_requests(endpoint, &place)? {
                let target = target(endpoint, &place)?;
                targets.push(Target { priority: tier, zone: zone.map(Into::into), ..target });
            }
        }
    }
    Ok(targets)
}

/// By name or by number (envoy.config.core.v3.HealthStatus).
fn takes_requests(endpoint: &Value, place: &str) -> Result<bool, String> {
    match field(endpoint, "health_status", "healthStatus") {
        None => Ok(true),
        Some(status) => match (status.as_str(), status.as_u64()) {
            (Some("UNKNOWN" | "HEALTHY" | "DEGRADED"), _) | (_, Some(0 | 1 | 5)) => Ok(true),
            (Some("UNHEALTHY" | "DRAINING" | "TIMEOUT"), _) | (_, Some(2..=4)) => Ok(false),
            _ => Err(format!("{place}: {status} is no health status")),
        },
    }
}

fn target(endpoint: &Value, place: &str) -> Result<Target, String> {
    let missing = |what: &str| format!("{place} has no {what}");
    let socket = field(endpoint, "endpoint", "endpoint")
        .and_then(|endpoint| field(endpoint, "address", "address"))
        .and_then(|address| field(address, "socket_address", "socketAddress"))
        .ok_or_else(|| missing("`endpoint.address.socket_address`"))?;
    let host =
        field(socket, "address", "address").and_then(Value::as_str).ok_or_else(|| missing("address"))?;
    let port = field(socket, "port_value", "portValue").ok_or_else(|| missing("`port_value`"))?;
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    let port = port.ok_or_else(|| format!("{place}: the port is not a number from 1 to 65535"))?;
    let target = Target::new(address(host, port, place)?);
    match field(endpoint, "load_balancing_weight", "loadBalancingWeight") {
        Some(value) => Ok(Target { weight: weight(value, place)?, ..target }),
        None => Ok(target),
    }
}

fn field<'v>(value: &'v Value, snake: &str, camel: &str) -> Option<&'v Value> {
    value.get(snake).or_else(|| value.get(camel)).filter(|value| !value.is_null())
}

fn list<'v>(value: &'v Value, place: &str) -> Result<&'v [Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("{place} is no list"))
}

fn prefix(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!("{place} ") }
}

fn dot(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!("{place}.") }
}

#[cfg(test)]
mod tests {
    use super::super::targets;

    fn seen(text: &str) -> String {
        match targets(text.as_bytes()) {
            Ok(targets) => targets
                .iter()
                .map(|target| {
                    let zone = target.zone.as_deref().unwrap_or("-");
                    format!("{} p{} w{} {zone}", target.address, target.priority, target.weight)
                })
                .collect::<Vec<_>>()
                .join(", "),
            Err(problem) => problem,
        }
    }

    #[test]
    fn both_cases_of_names_and_both_wrappings_are_read() {
        let snake = r#"{"cluster_name": "orders", "endpoints": [
            {"locality": {"zone": "a"}, "lb_endpoints": [
                {"endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}}},
                 "health_status": "HEALTHY", "load_balancing_weight": 3},
                {"endpoint": {"address": {"socket_address": {"address": "10.0.0.2", "port_value": 80}}},
                 "health_status": "DRAINING"}]},
            {"priority": 1, "lb_endpoints": [
                {"endpoint": {"address": {"socket_address": {"address": "::1", "port_value": 81}}}}]}]}"#;
        let expected = "10.0.0.1:80 p0 w3 a, [::1]:81 p1 w1 -";
        assert_eq!(seen(snake), expected);
        let camel = [
            ("cluster_name", "clusterName"),
            ("lb_endpoints", "lbEndpoints"),
            ("socket_address", "socketAddress"),
            ("port_value", "portValue"),
            ("health_status", "healthStatus"),
            ("load_balancing_weight", "loadBalancingWeight"),
        ];
        let camel = camel.iter().fold(snake.to_owned(), |text, (from, to)| text.replace(from, to));
        assert_eq!(seen(&camel), expected);
        let response = format!("{{\"version_info\": \"1\", \"resources\": [{snake}]}}");
        assert_eq!(seen(&response), expected);
    }

    #[test]
    fn an_assignment_may_be_empty() {
        for text in [r#"{"cluster_name": "orders"}"#, r#"{"endpoints": []}"#, r#"{"resources": []}"#] {
            assert_eq!(seen(text), "", "{text}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let with = |endpoint: &str| format!(r#"{{"endpoints": [{{"lb_endpoints": [{endpoint}]}}]}}"#);
        let at = "endpoints[0].lb_endpoints[0]";
        let socket =
            |socket: &str| with(&format!(r#"{{"endpoint": {{"address": {{"socket_address": {socket}}}}}}}"#));
        for (text, problem) in [
            ("{}".to_owned(), "has neither `cluster_name` nor `endpoints`".to_owned()),
            (
                "7".to_owned(),
                "is neither an object (Envoy's form) nor a list (that of Prometheus)".to_owned(),
            ),
            (r#"{"endpoints": 3}"#.to_owned(), "endpoints is no list".to_owned()),
            (with("{}"), format!("{at} has no `endpoint.address.socket_address`")),
            (socket(r#"{"address": "10.0.0.1"}"#), format!("{at} has no `port_value`")),
            (
                socket(r#"{"address": "10.0.0.1", "port_value": 0}"#),
                format!("{at}: the port is not a number from 1 to 65535"),
            ),
            (
                socket(r#"{"address": "orders", "port_value": 80}"#),
                format!("{at}: \"orders\" is no IP address; names are found by a source \"dns:orders:80\""),
            ),
            (with(r#"{"health_status": "SICK"}"#), format!("{at}: \"SICK\" is no health status")),
            (
                r#"{"resources": [{}]}"#.to_owned(),
                "resources[0] has neither `cluster_name` nor `endpoints`".to_owned(),
            ),
        ] {
            assert_eq!(seen(&text), problem, "{text}");
        }
        assert!(
            seen("{\"endpoints\": [").starts_with("is not valid JSON: "),
            "{}",
            seen("{\"endpoints\": [")
        );
    }
}
