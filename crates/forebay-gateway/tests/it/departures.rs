//! Peers that leave in the middle, and messages that come in odd sizes: the other side learns it, and nothing is lost.

use std::time::Duration;

use forebay_testkit::{Client, Gate, RunningGateway, Upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn messages_may_come_byte_by_byte() {
    let upstream = Upstream::start(|connection| {
        loop {
            connection.request()?;
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            connection.drip(format!("{head}2\r\nok\r\n1;a=\"b\"\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"))?;
        }
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    for _ in 0..3 {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send_pieces(format!("{head}5;x\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 2\r\n\r\n"), 1).unwrap();
        let answer = client.response().unwrap();
        assert_eq!((answer.text().as_str(), answer.trailers.len()), ("ok!", 1));
    }
    assert!(upstream.requests().iter().all(|request| request.text() == "hello world"));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn heads_up_to_the_limit_pass_with_what_follows_them() {
    let large = format!("X-Large: {}\r\n", "a".repeat(30_000));
    let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{large}\r\nok"));
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n{large}\r\nhello");
    client.send(request.repeat(3)).unwrap();
    for _ in 0..3 {
        let answer = client.response().unwrap();
        assert_eq!((answer.text().as_str(), answer.field("x-large").map(str::len)), ("ok", Some(30_000)));
    }
    let whole = |request: &forebay_testkit::Message| {
        request.body == b"hello" && request.field("x-large").map(str::len) == Some(30_000)
    };
    assert!(upstream.requests().iter().all(whole));
}

#[test]
fn a_client_that_leaves_within_its_body_leaves_half_a_request() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    for body in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        for reset in [false, true] {
            let ended = upstream.connections() + 1;
            let mut client = gateway.client();
            client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\n{body}")).unwrap();
            upstream.wait_for_connections(ended);
            if reset {
                client.reset_on_close().unwrap();
            }
            drop(client);
            upstream.wait_for_ended(ended);
        }
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
}

#[test]
fn a_client_that_leaves_within_the_response_ends_it() {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\n\r\n")?;
        let taken = connection.flood(&PIECE, 1 << 30, Duration::from_secs(5));
        assert!(taken.is_err(), "the gateway goes on reading for nobody");
        Ok(())
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(GET).unwrap();
    client.read_exact(100_000).unwrap();
    client.reset_on_close().unwrap();
    drop(client);
    upstream.wait_for_ended(1);
}

#[test]
fn either_end_of_a_tunnel_may_break() {
    let leave = Gate::new();
    let upstream = Upstream::start({
        let leave = leave.clone();
        move |connection| {
            connection.request()?;
            connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhi")?;
            if connection.number == 0 {
                return connection.hang();
            }
            leave.wait();
            connection.reset()
        }
    });
    let gateway = RunningGateway::before(upstream.address());
    let tunnel = || -> Client {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").unwrap();
        client.read_until(b"\r\n\r\nhi").unwrap();
        client
    };
    let first = tunnel();
    first.reset_on_close().unwrap();
    drop(first);
    upstream.wait_for_ended(1);
    let mut second = tunnel();
    leave.open();
    second.end().unwrap();
    second.expect_closed();
    upstream.wait_for_ended(2);
}

#[test]
fn an_event_stream_reaches_the_client_event_by_event() {
    let next = Gate::new();
    let upstream = Upstream::start({
        let next = next.clone();
        move |connection| {
            connection.request()?;
            connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")?;
            next.wait();
            connection.send("data: 2\n\n")
        }
    });
    let gateway = RunningGateway::start(&format!(
        "[gateway]\ntimeout = \"100ms\"\n[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        upstream.address()
    ));
    let mut client = gateway.client();
    client.send(GET).unwrap();
    client.read_until(b"data: 1\n\n\r\n").unwrap();
    assert!(
        client.is_quiet_for(Duration::from_millis(300)),
        "silence is its nature, whatever the route's patience"
    );
    next.open();
    client.read_until(b"data: 2\n\n\r\n0\r\n\r\n").unwrap();
}
