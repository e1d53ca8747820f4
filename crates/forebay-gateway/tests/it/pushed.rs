//! Endpoints that a registry pushes, while requests go to them.

use std::net::SocketAddr;

use forebay_discovery::{Advertised, Pushed, PushedChange, PushedTarget, Target};
use forebay_testkit::{RunningGateway, Upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const TOML: &str = "[service.a]\nendpoints = \"registry\"\nbalance = \"round-robin\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n";

fn saying(text: &str) -> Upstream {
    Upstream::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
}

fn instance(address: SocketAddr, advertised: Advertised) -> PushedTarget {
    PushedTarget { target: Target::new(address), advertised }
}

fn critical() -> Advertised {
    Advertised::Critical { reason: "TTL expired".into() }
}

fn push(gateway: &RunningGateway, targets: Vec<PushedTarget>) {
    let confirmed = gateway.surroundings().clock.now();
    gateway.surroundings().discovery.push("a", Pushed { targets, confirmed, failure: None });
}

/// Who answers six requests, by name.
fn answers(gateway: &RunningGateway) -> String {
    let mut client = gateway.client();
    let mut seen: Vec<String> = (0..6).map(|_| client.ask(GET).text().to_owned()).collect();
    seen.sort();
    seen.dedup();
    seen.concat()
}

#[test]
fn requests_follow_what_a_registry_says() {
    let (a, b) = (saying("a"), saying("b"));
    let gateway = RunningGateway::start(TOML);
    let mut client = gateway.client();
    let refusal = client.ask(GET);
    assert_eq!((refusal.status(), refusal.field("retry-after")), (503, Some("1")));
    assert!(refusal.text().contains("no endpoint at present: the registry has not been heard from yet"));
    let pair = |first, second| vec![instance(a.address(), first), instance(b.address(), second)];
    push(&gateway, pair(Advertised::Ready, Advertised::Ready));
    assert_eq!(answers(&gateway), "ab");
    push(&gateway, pair(Advertised::Ready, critical()));
    assert_eq!(answers(&gateway), "a");
    push(&gateway, pair(critical(), critical()));
    assert_eq!(answers(&gateway), "ab", "that all are dead is less likely than that the checks are wrong");
    push(&gateway, pair(critical(), Advertised::Maintenance));
    assert_eq!(answers(&gateway), "a", "what was taken out on purpose stays out");
    let put = PushedChange::Put(instance(b.address(), Advertised::Ready));
    gateway.surroundings().discovery.push_one("a", put);
    assert_eq!(answers(&gateway), "b");
    push(&gateway, vec![instance(a.address(), Advertised::Draining)]);
    let refusal = client.ask(GET);
    assert_eq!(refusal.status(), 503);
    assert!(refusal.text().contains("all its registered instances are starting, draining or in maintenance"));
}

#[test]
fn a_reload_that_brings_a_service_finds_what_has_registered() {
    let a = saying("a");
    let gateway = RunningGateway::start("[[route]]\nmatch = \"/*\"\nrespond = { status = 404 }\n");
    push(&gateway, vec![instance(a.address(), Advertised::Ready)]);
    gateway.reload(TOML);
    assert_eq!(gateway.client().ask(GET).text(), "a");
}
