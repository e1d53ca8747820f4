//! Envoy, for spreading alone: one worker, least request, health checks as Forebay's, outlier detection as it comes, retries
//! on another host within a budget as Forebay's, connect timeout of a second.

use std::path::Path;

use serde_json::{Value, json};

use super::Setting;
use crate::traffic;

pub(crate) fn spread(setting: &Setting<'_>) -> String {
    let Setting { port, upstreams, .. } = setting;
    let socket = |port: &u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let endpoints: Vec<Value> =
        upstreams.iter().map(|port| json!({ "endpoint": { "address": socket(port) } })).collect();
    let typed = "type.googleapis.com/envoy.extensions";
    let retry = json!({
        "retry_on": "5xx,reset,connect-failure",
        "num_retries": 2,
        "retry_host_predicate": [{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": { "@type": format!("{typed}.retry.host.previous_hosts.v3.PreviousHostsPredicate") },
        }],
        "host_selection_retry_max_attempts": 3,
    });
    let manager = json!({
        "@type": format!("{typed}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "gateway",
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{
                "match": { "prefix": "/" },
                "route": { "cluster": "origin", "timeout": "15s", "retry_policy": retry },
            }],
        }] },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": format!("{typed}.filters.http.router.v3.Router") },
        }],
    });
    let configuration = json!({ "static_resources": {
        "listeners": [{
            "name": "gateway",
            "address": socket(port),
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }] }],
        }],
        "clusters": [{
            "name": "origin",
            "type": "STATIC",
            "connect_timeout": "1s",
            "lb_policy": "LEAST_REQUEST",
            "load_assignment": {
                "cluster_name": "origin",
                "endpoints": [{ "lb_endpoints": endpoints }],
            },
            "health_checks": [{
                "timeout": "1s",
                "interval": "2s",
                "unhealthy_threshold": 3,
                "healthy_threshold": 2,
                "http_health_check": { "path": traffic::HEALTH },
            }],
            "outlier_detection": {},
            "circuit_breakers": { "thresholds": [{
                "retry_budget": { "budget_percent": { "value": 20 }, "min_retry_concurrency": 10 },
            }] },
        }],
    } });
    // JSON is YAML.
    format!("{configuration:#}")
}

/// One worker, and no file in shared memory that two instances would fight for.
pub(crate) fn arguments(configuration: &Path) -> Vec<String> {
    let path = configuration.display().to_string();
    ["-c", &path, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"]
        .map(str::to_owned)
        .into()
}
