//! nginx. Beyond the defaults: upstream connections are kept (enough for every client at once, which is not its
//! default), keep-alive connections are not closed after some number of requests, and a whole 100 KiB response
//! fits the buffers, so that none goes to a file.

use std::path::Path;

use super::Setting;

pub(crate) fn configuration(setting: &Setting<'_>) -> String {
    with(setting, "", "")
}

/// By the fewest connections, and with another server on the errors that may be retried.
pub(crate) fn spread(setting: &Setting<'_>) -> String {
    let retry = "proxy_next_upstream error timeout http_502 http_503 http_504; proxy_next_upstream_tries 3;";
    with(setting, "least_conn;", retry)
}

fn with(setting: &Setting<'_>, upstream: &str, location: &str) -> String {
    let Setting { directory, port, upstreams, .. } = setting;
    let servers: Vec<String> =
        upstreams.iter().map(|port| format!("        server 127.0.0.1:{port};")).collect();
    let (directory, servers) = (directory.display(), servers.join("\n"));
    format!(
        r#"# Written by forebay-bench.
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;

events {{
    # Room for `bench idle`.
    worker_connections 16384;
}}

http {{
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 60s;
    keepalive_requests 1000000000;

    client_body_temp_path {directory}/client_body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;

    upstream origin {{
        {upstream}
{servers}
        keepalive 128;
        keepalive_requests 1000000000;
    }}

    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://origin;
            {location}
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Via "1.1 nginx";
            add_header Via "1.1 nginx";
            proxy_buffer_size 8k;
            proxy_buffers 16 16k;
            proxy_busy_buffers_size 32k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"#
    )
}

pub(crate) fn arguments(directory: &Path, configuration: &Path) -> Vec<String> {
    let early_errors = directory.join("error.log");
    let [prefix, errors, configuration] =
        [directory, &early_errors, configuration].map(|p| p.display().to_string());
    ["-p", &prefix, "-e", &errors, "-c", &configuration].map(str::to_owned).into()
}
