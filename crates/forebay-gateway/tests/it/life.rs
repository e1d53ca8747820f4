//! A gateway under load while things around it change: endpoints die, configurations change, the process stops.

use std::time::Duration;

use forebay_shutdown::End;
use forebay_testkit::{Gate, Load, Message, RunningGateway, Upstream, ask};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str =
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn configuration(upstreams: &[&Upstream]) -> String {
    let endpoints: Vec<String> =
        upstreams.iter().map(|upstream| format!("\"{}\"", upstream.address())).collect();
    format!(
        "[service.a]\nendpoints = [{}]\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        endpoints.join(", ")
    )
}

#[test]
fn an_endpoint_killed_among_three_fails_no_idempotent_request() {
    let mut upstreams = [Upstream::answering(OK), Upstream::answering(OK), Upstream::answering(OK)];
    let toml = configuration(&upstreams.each_ref());
    let gateway = RunningGateway::start_with(&toml, &[], 2);
    let load = Load::start(gateway.address(), &[GET, PUT, CHUNKED, GET, PUT, GET], false);
    load.wait_for_more(300);
    upstreams[0].kill();
    load.wait_for_more(1000);
    upstreams[1].kill();
    load.wait_for_more(1000);
    let report = load.stop();
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert!(
        !upstreams[0].requests().is_empty() && !upstreams[1].requests().is_empty(),
        "they had their share"
    );
}

#[test]
fn an_endpoint_that_says_it_is_unwell_gets_no_request() {
    let well = |status: &'static str| {
        Upstream::start(move |connection| {
            loop {
                // A health page may be as long as it likes: its status says it all.
                let (status, length) = if connection.request()?.start.starts_with("GET /healthz ") {
                    (status, 100_000)
                } else {
                    ("200 OK", 0)
                };
                let page = "x".repeat(length);
                connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{page}"))?;
            }
        })
    };
    let (healthy, unwell) = (well("200 OK"), well("500 Unwell"));
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = [\"{}\", \"{}\"]\n\
         health = {{ path = \"/healthz\", every = \"100ms\", timeout = \"100ms\", unhealthy_after = 1 }}\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        healthy.address(),
        unwell.address()
    ));
    gateway.wait(async {
        let mut changes = gateway.surroundings().discovery.subscribe();
        let is_out = || {
            let set = gateway.surroundings().discovery.service("a").map(|service| service.latest());
            set.is_some_and(|set| set.endpoints().iter().any(|it| !it.live.health().is_eligible()))
        };
        while !is_out() {
            // Having missed some is a reason to look again, too.
            let _ = changes.recv().await;
        }
    });
    for _ in 0..20 {
        assert_eq!(ask(gateway.address(), GET).status(), 200);
    }
    let is_probe = |request: &Message| request.start.starts_with("GET /healthz ");
    assert!(unwell.requests().iter().all(is_probe));
    assert_eq!(healthy.requests().iter().filter(|request| !is_probe(request)).count(), 20);
}

#[test]
fn a_stop_finishes_every_request() {
    let slow = Gate::new();
    let upstream = Upstream::start({
        let slow = slow.clone();
        move |connection| {
            loop {
                if connection.request()?.start.starts_with("GET /slow ") {
                    slow.wait();
                }
                connection.send(OK)?;
            }
        }
    });
    let gateway = RunningGateway::start_with(&configuration(&[&upstream]), &[], 2);
    let address = gateway.address();
    let load = Load::start(address, &[GET, PUT, GET, CHUNKED, GET, PUT, GET, GET], true);
    load.wait_for_more(200);
    let mut patient = gateway.client();
    patient.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    upstream.wait_for_bytes(b"GET /slow ");
    let mut idle = gateway.client();
    assert_eq!(idle.ask(GET).field("connection"), None);
    let stopping =
        std::thread::spawn(move || gateway.stop(Duration::from_millis(100), Duration::from_secs(8)));
    let report = load.join();
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert_eq!(report.closed, 8, "each client was told to go with its last answer");
    idle.expect_closed();
    slow.open();
    let answer = patient.response().unwrap();
    assert_eq!((answer.status(), answer.field("connection")), (200, Some("close")));
    patient.expect_closed();
    let summary = stopping.join().unwrap();
    assert_eq!((summary.end, summary.exit_code()), (End::Drained, 0), "{summary}");
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is free");
}

#[test]
fn a_stop_has_an_end() {
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection.hang()
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(GET).unwrap();
    upstream.wait_for_requests(1);
    let summary = gateway.stop(Duration::ZERO, Duration::from_millis(200));
    assert_eq!(summary.end, End::GracePassed);
    client.expect_closed();
    upstream.wait_for_ended(1);
}

#[test]
fn a_reload_drops_no_connection() {
    let first = Upstream::start(|connection| {
        loop {
            if connection.request()?.start.starts_with("GET /chat ") {
                connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")?;
                while let Ok(line) = connection.read_until(b"\n") {
                    connection.send(line)?;
                }
                return Ok(());
            }
            connection.send(OK)?;
        }
    });
    let second = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew");
    let gateway = RunningGateway::start_with(&configuration(&[&first]), &[], 2);
    let mut kept = gateway.client();
    assert_eq!(kept.ask(GET).body, b"ok");
    let mut tunnel = gateway.client();
    tunnel.send(ASK).unwrap();
    assert_eq!(tunnel.head().unwrap().status(), 101);
    let load = Load::start(gateway.address(), &[GET, PUT, GET, CHUNKED], false);
    for turn in 0..10 {
        load.wait_for_more(50);
        let upstream = if turn % 2 == 0 { &second } else { &first };
        assert_eq!(gateway.reload(&configuration(&[upstream])), turn + 2);
        tunnel.send("still here\n").unwrap();
        assert_eq!(tunnel.read_until(b"\n").unwrap(), b"still here\n");
    }
    gateway.reload(&configuration(&[&second]));
    load.wait_for_more(50);
    let report = load.stop();
    assert_eq!((report.failed, report.closed), (0, 0), "{:?}", report.failures);
    assert_eq!(kept.ask(GET).body, b"new", "the kept connection goes by the new configuration");
    assert_eq!(gateway.gateway().generation().number, 12);
}

#[test]
fn a_request_under_way_keeps_its_configuration() {
    let go = Gate::new();
    let slow = Upstream::start({
        let go = go.clone();
        move |connection| {
            connection.request()?;
            go.wait();
            connection.send(OK)
        }
    });
    let gateway = RunningGateway::before(slow.address());
    let mut client = gateway.client();
    client.send(GET).unwrap();
    slow.wait_for_requests(1);
    gateway.reload("[[route]]\nmatch = \"/*\"\nrespond = { status = 404 }\n");
    assert_eq!(ask(gateway.address(), GET).status(), 404);
    go.open();
    assert_eq!(client.response().unwrap().status(), 200);
    assert_eq!(client.ask(GET).status(), 404);
}
