//! Endpoints that fail their work are left alone, whatever their health checks say, and come back.

use forebay_testkit::{RunningGateway, Upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OOPS: &str = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";

fn before(upstreams: &[&Upstream], eject: &str) -> RunningGateway {
    let endpoints: Vec<String> =
        upstreams.iter().map(|upstream| format!("\"{}\"", upstream.address())).collect();
    RunningGateway::start(&format!(
        "[service.a]\nendpoints = [{}]\nbalance = \"round-robin\"\n{eject}\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        endpoints.join(", ")
    ))
}

/// How many of so many requests were answered with 500.
fn failures(gateway: &RunningGateway, requests: usize) -> usize {
    let mut client = gateway.client();
    (0..requests).filter(|_| client.ask(GET).status() == 500).count()
}

#[test]
fn an_endpoint_that_fails_its_work_is_left_alone_after_five_failures() {
    let (sick, well) = (Upstream::answering(OOPS), Upstream::answering(OK));
    let gateway = before(&[&sick, &well], "");
    assert_eq!(failures(&gateway, 100), 5);
    let service = gateway.surroundings().discovery.service("a").unwrap();
    let now = gateway.surroundings().clock.now();
    let set = service.latest();
    let ejected: Vec<_> = set.endpoints().iter().filter_map(|it| it.live.ejection(now)).collect();
    assert_eq!(ejected.len(), 1);
    assert_eq!(ejected[0].cause.to_string(), "5 error answers in a row");
}

#[test]
fn the_last_endpoint_is_never_left_alone() {
    let sick = [Upstream::answering(OOPS), Upstream::answering(OOPS)];
    let gateway = before(&sick.each_ref(), "eject = { share = \"100%\" }");
    assert_eq!(failures(&gateway, 40), 40, "a client hears what the service says");
    let [first, second] = sick.each_ref().map(|upstream| upstream.requests().len());
    assert_eq!((first.min(second), first.max(second)), (5, 35));
}

#[test]
fn an_endpoint_that_was_left_alone_comes_back() {
    let (sick, well) = (Upstream::answering(OOPS), Upstream::answering(OK));
    let gateway = before(&[&sick, &well], "eject = { base = \"100ms\", errors = 2 }");
    assert_eq!(failures(&gateway, 20), 2);
    // Two more each time it is tried again.
    while sick.requests().len() < 4 {
        failures(&gateway, 1);
    }
    let before = sick.requests().len();
    assert!(failures(&gateway, 20) <= 2 && sick.requests().len() <= before + 2);
}

#[test]
fn ejection_can_be_turned_off() {
    let (sick, well) = (Upstream::answering(OOPS), Upstream::answering(OK));
    let gateway = before(&[&sick, &well], "eject = { share = \"0%\" }");
    assert_eq!(failures(&gateway, 40), 20);
}

#[test]
fn a_client_that_leaves_no_time_has_nobody_ejected() {
    let silent = || {
        Upstream::start(|connection| {
            connection.request()?;
            connection.hang()
        })
    };
    let upstreams = [silent(), silent()];
    let gateway = before(&upstreams.each_ref(), "retry = { attempts = 1 }");
    for _ in 0..20 {
        let hurried = "GET / HTTP/1.1\r\nHost: a\r\nForebay-Timeout-Ms: 1\r\n\r\n";
        assert_eq!(gateway.client().ask(hurried).status(), 504);
    }
    let now = gateway.surroundings().clock.now();
    let set = gateway.surroundings().discovery.service("a").unwrap().latest();
    assert!(set.endpoints().iter().all(|endpoint| endpoint.live.ejection(now).is_none()));
}
