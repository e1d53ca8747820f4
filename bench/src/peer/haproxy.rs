//! HAProxy. Beyond the defaults: upstream connections are shared as freely as nginx and Forebay share theirs
//! (`http-reuse always`), and health checks run as Forebay's do. `splice` stays off, as its manual advises for
//! small responses; buffers stay at 16 KiB, which its manual advises for throughput.

use std::path::Path;

use super::Setting;
use crate::traffic;

pub(crate) fn configuration(setting: &Setting<'_>) -> String {
    with(setting, "balance roundrobin", "")
}

/// By the fewest connections, retrying what may be retried, and marking down at once what its checks or its
/// connections tell to be down: `observe layer4`, as its manual suggests beside checks.
pub(crate) fn spread(setting: &Setting<'_>) -> String {
    let retry = "retry-on conn-failure empty-response response-timeout 502 503 504";
    with(
        setting,
        &format!("balance leastconn\n    {retry}"),
        " observe layer7 error-limit 10 on-error fastinter",
    )
}

fn with(setting: &Setting<'_>, backend: &str, server: &str) -> String {
    let Setting { port, upstreams, .. } = setting;
    let servers = upstreams.iter().enumerate();
    let servers: Vec<String> = servers
        .map(|(number, port)| format!("    server origin{number} 127.0.0.1:{port} check inter 2s{server}"))
        .collect();
    let (servers, health) = (servers.join("\n"), traffic::HEALTH);
    format!(
        r#"# Written by forebay-bench.
global
    nbthread 1
    # Room for `bench idle`.
    maxconn 6000

defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
    timeout http-keep-alive 60s
    retries 3
    option redispatch
    option forwardfor
    http-reuse always

frontend gateway
    bind 127.0.0.1:{port}
    default_backend origin

backend origin
    {backend}
    option httpchk
    http-check send meth GET uri {health} ver HTTP/1.1 hdr Host origin
    http-request set-header Via "1.1 haproxy"
    http-response set-header Via "1.1 haproxy"
{servers}
"#
    )
}

/// In the foreground.
pub(crate) fn arguments(configuration: &Path) -> Vec<String> {
    vec!["-db".into(), "-f".into(), configuration.display().to_string()]
}
