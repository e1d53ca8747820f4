//! Forebay as it comes: default retries, metrics and health checks stay on.

use std::path::Path;

use super::Setting;
use crate::traffic;

pub(crate) fn configuration(setting: &Setting<'_>, admin: u16) -> String {
    let Setting { port, upstreams: [first, second], .. } = setting;
    let health = traffic::HEALTH;
    format!(
        r#"# Written by forebay-bench.
[gateway]
listen = "127.0.0.1:{port}"
workers = 1
access_log = "off"

[admin]
listen = "127.0.0.1:{admin}"

[service.origin]
endpoints = ["127.0.0.1:{first}", "127.0.0.1:{second}"]
balance = "round-robin"
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
