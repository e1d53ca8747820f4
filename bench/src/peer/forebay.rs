//! Forebay as it comes: default retries, metrics and health checks stay on.

use std::path::Path;

use super::Setting;
use crate::traffic;

pub(crate) fn configuration(setting: &Setting<'_>) -> String {
    with(setting, "balance = \"round-robin\"")
}

/// With these lines for the service beside the health check.
pub(crate) fn with(setting: &Setting<'_>, service: &str) -> String {
    let Setting { port, admin, upstreams, .. } = setting;
    let endpoints: Vec<String> = upstreams.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let (endpoints, health) = (endpoints.join(", "), traffic::HEALTH);
    format!(
        r#"# Written by forebay-bench.
[gateway]
listen = "127.0.0.1:{port}"
workers = 1
access_log = "off"

[admin]
listen = "127.0.0.1:{admin}"

[service.origin]
endpoints = [{endpoints}]
{service}
health = {{ path = "{health}", every = "2s" }}

[[route]]
match = "/*"
service = "origin"
"#
    )
}

pub(crate) fn arguments(configuration: &Path) -> Vec<String> {
    vec!["serve".into(), "--config".into(), configuration.display().to_string()]
}
