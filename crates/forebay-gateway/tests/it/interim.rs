//! Before the answer: `Expect: 100-continue`, early hints, and upstreams that answer before they have read.

use forebay_testkit::{Gate, RunningGateway, Upstream};

const EXPECTING: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn the_upstreams_100_lets_the_client_send() {
    let upstream = Upstream::start(|connection| {
        let head = connection.head()?;
        assert_eq!(head.field("expect"), Some("100-continue"));
        assert!(!connection.has_bytes(), "the body waits for the 100");
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        assert_eq!(connection.read_exact(5)?, b"hello");
        connection.send(OK)
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(EXPECTING).unwrap();
    assert_eq!(client.response().unwrap().status(), 100);
    client.send("hello").unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status(), answer.field("connection")), (200, None));
}

#[test]
fn an_upstream_that_never_says_100_gets_the_body_all_the_same() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(EXPECTING).unwrap();
    assert_eq!(client.response().unwrap().status(), 100, "in the end the gateway says it");
    client.send("hello").unwrap();
    assert_eq!(client.response().unwrap().status(), 200);
    assert_eq!(upstream.only_request().body, b"hello");
}

#[test]
fn a_body_that_was_sent_is_not_asked_for_again() {
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        // The first connection breaks with the whole body on its way.
        if connection.number == 0 { Ok(()) } else { connection.send(OK) }
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(EXPECTING).unwrap();
    assert_eq!(client.response().unwrap().status(), 100);
    client.send("hello").unwrap();
    assert_eq!(client.response().unwrap().status(), 200, "without another 100, and without waiting for one");
    assert_eq!(upstream.requests()[1].body, b"hello");
}

#[test]
fn a_refusal_in_place_of_the_100_reaches_the_client_at_once() {
    for status in ["417 Expectation Failed", "413 Content Too Large"] {
        let upstream = Upstream::start(move |connection| {
            connection.head()?;
            connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))?;
            connection.hang()
        });
        let gateway = RunningGateway::before(upstream.address());
        let mut client = gateway.client();
        client.send(EXPECTING).unwrap();
        let answer = client.response().unwrap();
        assert!(answer.start.contains(status));
        // Whether the client still sends its body cannot be known, so nothing that follows can be understood.
        assert_eq!(answer.field("connection"), Some("close"));
        client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        client.expect_closed();
        assert_eq!(upstream.connections(), 1);
    }
}

#[test]
fn the_gateways_own_refusal_in_place_of_the_100_closes_too() {
    let gateway = RunningGateway::start("[[route]]\nmatch = \"/known\"\nrespond = {}\n");
    let mut client = gateway.client();
    client.send(EXPECTING).unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status(), answer.field("connection")), (404, Some("close")));
    client.end().unwrap();
    client.expect_closed();
}

#[test]
fn an_old_clients_expectation_is_ignored() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let request = "PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
    assert_eq!(gateway.client().ask(request).status(), 200);
    assert_eq!(upstream.only_request().field("expect"), None);
}

#[test]
fn an_expectation_without_a_body_is_dropped() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let answer = gateway.client().ask("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!((answer.status(), answer.field("connection")), (200, None));
    assert_eq!(upstream.only_request().field("expect"), None);
}

#[test]
fn early_hints_are_passed_on_and_an_unwanted_100_is_not() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\nX: 1\r\n\r\n";
    let upstream = Upstream::answering(format!("HTTP/1.1 100 Continue\r\n\r\n{hints}{OK}"));
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let early = client.response().unwrap();
    assert_eq!((early.status(), early.field("link")), (103, Some("</a.css>; rel=preload")));
    assert_eq!((early.field("connection"), early.field("x")), (None, None));
    assert_eq!(client.response().unwrap().status(), 200);
    let mut old = gateway.client();
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(old.response().unwrap().status(), 200, "HTTP/1.0 knows no interim responses");
}

#[test]
fn an_early_answer_reaches_the_client_while_it_still_sends() {
    let answered = Gate::new();
    let upstream = Upstream::start({
        let answered = answered.clone();
        move |connection| {
            connection.head()?;
            connection.read_exact(5)?;
            connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?;
            answered.wait();
            // The rest arrives behind the answer.
            connection.read_exact(5).map(drop)
        }
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst").unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
    client.send("other").unwrap();
    answered.open();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst").unwrap();
    assert_eq!(client.response().unwrap().status(), 403, "a small rest is read, and the connection goes on");
}

#[test]
fn an_early_answer_to_a_long_body_ends_the_connection() {
    let upstream = Upstream::start(|connection| {
        connection.head()?;
        connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n").unwrap();
    let mut sent = Ok(());
    for _ in 0..20 {
        sent = sent.and_then(|()| client.send([b'x'; 10_000]));
    }
    let answer = client.response().unwrap();
    assert_eq!(answer.status(), 403, "though its connection to the upstream broke");
    client.end().unwrap();
    client.rest();
}
