//! HAProxy. Beyond the defaults: upstream connections are shared as freely as nginx and Forebay share theirs
//! (`http-reuse always`), and health checks run as Forebay's do. `splice` stays off, as its manual advises for
//! small responses; buffers stay at 16 KiB, which its manual advises for throughput.

use std::path::Path;

use super::Setting;
use crate::traffic;

pub(crate) fn configuration(setting: &Setting<'_>) -> String {
    let Setting { port, upstreams: [first, second], .. } = setting;
    let health = traffic::HEALTH;
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
    balance roundrobin
    option httpchk
    http-check send meth GET uri {health} ver HTTP/1.1 hdr Host origin
    http-request set-header Via "1.1 haproxy"
    http-response set-header Via "1.1 haproxy"
    server first 127.0.0.1:{first} check inter 2s
    server second 127.0.0.1:{second} check inter 2s
"#
    )
}

/// In the foreground.
pub(crate) fn arguments(configuration: &Path) -> Vec<String> {
    vec!["-db".into(), "-f".into(), configuration.display().to_string()]
}
