//! An instance that is killed while requests go to it.

use std::net::SocketAddr;
use std::time::Duration;

use forebay_discovery::{Change, Health};
use forebay_telemetry::metrics::Exposition;
use forebay_testkit::{Load, RunningGateway, Upstream};
use tokio::sync::broadcast::Receiver;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Longer than an endpoint that could not be reached is left alone without a check's verdict.
const LONG_AFTER: Duration = Duration::from_millis(1300);

/// Sends requests to the endpoint, as metrics count them.
fn attempts(gateway: &RunningGateway, endpoint: SocketAddr) -> String {
    let metrics = gateway.surroundings().registry.expose(Exposition::PrometheusText);
    let series = format!("http_upstream_attempts_total{{service=\"a\",endpoint=\"{endpoint}\"}}");
    metrics.lines().find(|line| line.starts_with(&series)).unwrap_or_default().to_owned()
}

/// Waits until the endpoint's check says so.
fn wait_for(gateway: &RunningGateway, changes: &mut Receiver<Change>, endpoint: SocketAddr, wanted: Health) {
    gateway.wait(async {
        loop {
            match changes.recv().await.expect("no change was missed") {
                Change::Health { address, health, .. } if address == endpoint && health == wanted => return,
                _ => {}
            }
        }
    });
}

#[test]
fn a_killed_instance_gets_nothing_after_one_failure_and_one_check_and_no_request_fails() {
    let mut upstreams = [(); 4].map(|()| Upstream::answering(OK));
    let addresses = upstreams.each_ref().map(Upstream::address);
    let endpoints = addresses.map(|address| format!("\"{address}\"")).join(", ");
    // Its turn comes in an hour: the check that finds the instance dead is the one that the failure asks for.
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = [{endpoints}]\nhealth = {{ every = \"1h\" }}\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
    ));
    let mut changes = gateway.surroundings().discovery.subscribe();
    let is_known = |health: Health| health == Health::Healthy;
    let set = gateway.surroundings().discovery.service("a").unwrap().latest();
    while !set.endpoints().iter().all(|endpoint| is_known(endpoint.live.health())) {
        std::thread::yield_now();
    }
    let load = Load::start(gateway.address(), &[GET, PUT, GET, PUT], true);
    load.wait_for_more(300);
    upstreams[2].kill();
    let clock = &gateway.surroundings().clock;
    let killed = clock.now();
    wait_for(&gateway, &mut changes, addresses[2], Health::Unhealthy);
    let noticed = clock.now() - killed;
    assert!(noticed < Duration::from_millis(500), "{noticed:?} is more than a failure and a check");
    load.wait_for_more(50);
    let before = attempts(&gateway, addresses[2]);
    while clock.now() - killed < LONG_AFTER {
        load.wait_for_more(50);
    }
    assert_eq!(attempts(&gateway, addresses[2]), before, "it got nothing more");
    let report = load.stop();
    assert_eq!(report.failed, 0, "{:?}", report.failures);
}
