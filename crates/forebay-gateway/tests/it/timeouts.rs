//! Waiting has an end, and whoever made the others wait is named.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use forebay_testkit::{Message, RunningGateway, Upstream};
use socket2::{Domain, Socket, Type};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A gateway with these settings before one endpoint.
fn gateway(settings: &str, endpoint: SocketAddr) -> RunningGateway {
    RunningGateway::start(&format!(
        "[gateway]\n{settings}\n[service.a]\nendpoints = \"{endpoint}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
    ))
}

fn outcome(answer: &Message) -> (u16, String) {
    (answer.status(), answer.problem())
}

#[test]
fn half_a_head_ends_in_408() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let gateway = gateway("head_timeout = \"100ms\"", upstream.address());
    for text in ["G", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut client = gateway.client();
        client.send(text).unwrap();
        let answer = client.response().unwrap();
        assert_eq!(outcome(&answer), (408, "request-timeout of client".into()));
        assert_eq!(answer.field("connection"), Some("close"));
        client.end().unwrap();
        client.expect_closed();
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_client_cannot_buy_time_byte_by_byte() {
    let upstream = Upstream::answering("");
    let gateway = gateway("head_timeout = \"100ms\"", upstream.address());
    let mut client = gateway.client();
    let begun = Instant::now();
    let mut refusal = Vec::new();
    while refusal.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(3), "it goes on reading");
        client.send("x").unwrap();
        refusal = client.arrives_within(Duration::from_millis(20)).unwrap();
    }
    assert!(refusal.starts_with(b"HTTP/1.1 408 "), "{:?}", String::from_utf8_lossy(&refusal));
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let gateway = gateway("idle_timeout = \"1s\"", upstream.address());
    let mut fresh = gateway.client();
    let mut used = gateway.client();
    assert_eq!(used.ask(GET).status(), 200);
    fresh.expect_closed();
    used.expect_closed();
}

#[test]
fn an_upstream_that_does_not_answer_ends_in_504() {
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection.hang()
    });
    let gateway = gateway("timeout = \"100ms\"", upstream.address());
    let mut client = gateway.client();
    assert_eq!(outcome(&client.ask(GET)), (504, "upstream-timeout of upstream".into()));
    assert_eq!(upstream.connections(), 1);
    upstream.wait_for_ended(1);
    let answer = client.ask(GET);
    assert_eq!(answer.status(), 504, "the client's connection goes on");
}

#[test]
fn half_a_response_head_ends_in_504() {
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-")?;
        connection.hang()
    });
    let gateway = gateway("timeout = \"100ms\"", upstream.address());
    assert_eq!(outcome(&gateway.client().ask(GET)), (504, "upstream-timeout of upstream".into()));
}

#[test]
fn a_response_that_stalls_is_broken_off() {
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")?;
        connection.hang()
    });
    let gateway = gateway("timeout = \"100ms\"", upstream.address());
    let mut client = gateway.client();
    client.send(GET).unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.rest(), b"hello");
    upstream.wait_for_ended(1);
}

#[test]
fn a_client_that_stops_sending_its_body_is_the_one_to_blame() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let gateway = gateway("timeout = \"100ms\"", upstream.address());
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").unwrap();
    let answer = client.response().unwrap();
    assert_eq!(outcome(&answer), (408, "request-timeout of client".into()));
    assert_eq!(answer.field("connection"), Some("close"));
    upstream.wait_for_ended(1);
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_connection_that_does_not_come_about_ends_in_504() {
    // A full queue: the kernel drops what asks to connect, and nobody refuses.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let waiting: Vec<Socket> =
        (0..2).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
    for socket in &waiting {
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address.into());
    }
    let gateway = gateway("connect_timeout = \"50ms\"", address);
    let begun = Instant::now();
    assert_eq!(outcome(&gateway.client().ask(GET)), (504, "upstream-connect-timeout of upstream".into()));
    assert!(begun.elapsed() >= Duration::from_millis(150), "three attempts of 50 ms");
}

#[test]
fn nobody_at_the_door_ends_in_502() {
    let mut upstream = Upstream::answering("");
    let address = upstream.address();
    upstream.kill();
    let gateway = gateway("", address);
    let answer = gateway.client().ask(GET);
    assert_eq!(outcome(&answer), (502, "upstream-unreachable of upstream".into()));
    assert!(
        !answer.text().contains(&address.to_string()),
        "addresses are nobody's business: {}",
        answer.text()
    );
}

#[test]
fn the_deadline_holds_for_all_attempts_together() {
    let mut upstream = Upstream::answering("");
    let address = upstream.address();
    upstream.kill();
    let gateway = RunningGateway::start(&format!(
        "[gateway]\ntimeout = \"200ms\"\n[service.a]\nendpoints = \"{address}\"\n\
         retry = {{ attempts = 8, backoff = {{ base = \"10s\", max = \"10s\" }} }}\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
    ));
    let begun = Instant::now();
    let answer = gateway.client().ask(GET);
    assert_eq!(answer.status(), 502, "rather at once than after the deadline: {answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
