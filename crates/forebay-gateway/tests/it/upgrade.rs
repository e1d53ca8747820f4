//! Switched protocols: a tunnel in both directions, and nothing switched that nobody asked for.

use forebay_testkit::{RunningGateway, Upstream};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n";

/// Switches, greets, and repeats lines until the client has ended; then says goodbye.
fn echo() -> Upstream {
    Upstream::start(|connection| {
        connection.request()?;
        connection.send(format!("{SWITCH}hello\n"))?;
        while let Ok(line) = connection.read_until(b"\n") {
            connection.send(line)?;
        }
        connection.send("bye\n")
    })
}

#[test]
fn a_tunnel_carries_both_directions_and_their_ends() {
    let upstream = echo();
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(ASK).unwrap();
    let head = client.head().unwrap();
    assert_eq!((head.status(), head.field("x-a")), (101, Some("1")));
    assert_eq!((head.field("connection"), head.field("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!((head.field("content-length"), head.field("transfer-encoding")), (None, None));
    assert_eq!(client.read_exact(6).unwrap(), b"hello\n", "sent in one segment with the head");
    for line in ["one\n", "two\n", "GET / HTTP/1.1\r\n"] {
        client.send(line).unwrap();
        assert_eq!(client.read_until(b"\n").unwrap(), line.as_bytes());
    }
    client.end().unwrap();
    assert_eq!(client.read_to_end().unwrap(), b"bye\n", "the other direction outlives the first");
    let request = upstream.only_request();
    assert_eq!((request.field("connection"), request.field("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!(request.field("sec-websocket-version"), Some("13"));
    upstream.wait_for_ended(1);
}

#[test]
fn bytes_behind_the_request_belong_to_the_tunnel() {
    let upstream = echo();
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(format!("{ASK}early\n")).unwrap();
    client.head().unwrap();
    assert_eq!(client.read_until(b"early\n").unwrap(), b"hello\nearly\n");
}

#[test]
fn an_upstream_that_ends_first_lets_the_client_finish() {
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection.send(SWITCH)?;
        connection.end()?;
        connection.read_until(b"done\n").map(drop)
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(ASK).unwrap();
    client.head().unwrap();
    assert!(client.read_to_end().unwrap().is_empty());
    client.send("done\n").unwrap();
    upstream.wait_for_bytes(b"done\n");
    client.end().unwrap();
}

#[test]
fn a_large_tunnel_is_whole() {
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sent = body.clone();
    let upstream = Upstream::start(move |connection| {
        connection.request()?;
        connection.send(SWITCH)?;
        connection.send(&sent)
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(ASK).unwrap();
    client.head().unwrap();
    assert!(client.read_exact(body.len()).unwrap() == body);
    client.end().unwrap();
    client.expect_closed();
}

#[test]
fn a_refused_upgrade_is_an_answer_like_any_other() {
    let upstream = Upstream::answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    for _ in 0..2 {
        let answer = client.ask(ASK);
        assert_eq!((answer.status(), answer.text().as_str()), (400, "no"));
        assert_eq!((answer.field("upgrade"), answer.field("connection")), (None, None));
    }
}

/// The request reaches the upstream as one that asks for nothing.
fn check_not_forwarded(request: &str) {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = RunningGateway::before(upstream.address());
    assert_eq!(gateway.client().ask(request).status(), 200, "{request:?}");
    let request = upstream.only_request();
    assert_eq!((request.field("upgrade"), request.field("connection")), (None, None), "{request:?}");
    assert_eq!(request.field("http2-settings"), None, "{request:?}");
}

#[test]
fn what_cannot_be_tunnelled_is_not_asked_for() {
    for upgrade in ["h2c", "H2C", "h2c, websocket", "websocket, h2c"] {
        let option = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA";
        check_not_forwarded(&format!("GET / HTTP/1.1\r\nHost: a\r\n{option}\r\nUpgrade: {upgrade}\r\n\r\n"));
    }
    check_not_forwarded("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    check_not_forwarded(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nab",
    );
    check_not_forwarded(
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n",
    );
}
