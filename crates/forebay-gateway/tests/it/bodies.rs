//! Bodies in both directions: however they are delimited, whole, in order, and no faster than they are read.

use std::time::Duration;

use forebay_testkit::{Client, Gate, RunningGateway, Upstream, ask};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// More than any buffer in the gateway.
fn large() -> Vec<u8> {
    (0..200_000_u32).map(|n| (n % 251) as u8).collect()
}

fn chunked(body: &[u8], size: usize, trailers: &str) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in body.chunks(size) {
        coded.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        coded.extend(chunk);
        coded.extend(b"\r\n");
    }
    coded.extend(format!("0\r\n{trailers}\r\n").into_bytes());
    coded
}

#[test]
fn a_request_body_arrives_as_it_was_delimited() {
    let upstream = Upstream::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let gateway = RunningGateway::before(upstream.address());
    let body = large();
    let mut client = gateway.client();
    let head = format!("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    assert_eq!(client.ask([head.as_bytes(), &body].concat()).status(), 204);
    let head = "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(client.ask([head.as_bytes(), &chunked(&body, 7000, "")].concat()).status(), 204);
    let requests = upstream.requests();
    assert!(requests[0].body == body && requests[1].body == body);
    assert_eq!(requests[0].field("content-length"), Some("200000"));
    assert_eq!(requests[1].field("transfer-encoding"), Some("chunked"));
    assert_eq!(upstream.connections(), 1, "both over one kept connection");
}

#[test]
fn a_response_body_arrives_as_it_was_delimited() {
    let body = large();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let by_length = Upstream::answering([head.as_bytes(), &body].concat());
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let by_chunks = Upstream::answering([head.as_bytes(), &chunked(&body, 7000, "")].concat());
    let by_close = Upstream::answering_once([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &body].concat());
    let cases = [
        (&by_length, Some("200000"), None),
        (&by_chunks, None, Some("chunked")),
        (&by_close, None, Some("chunked")),
    ];
    for (upstream, length, coding) in cases {
        let gateway = RunningGateway::before(upstream.address());
        let mut client = gateway.client();
        for _ in 0..2 {
            let answer = client.ask(GET);
            assert!(answer.body == body);
            assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (length, coding));
        }
    }
}

#[test]
fn trailers_go_both_ways_without_what_must_not_be_in_them() {
    let trailers = "X-Sum: 1\r\nContent-Length: 9\r\nHost: b\r\nTransfer-Encoding: x\r\nX-More: 2\r\n";
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let upstream = Upstream::answering([head.as_bytes(), &chunked(b"hello", 2, trailers)].concat());
    let gateway = RunningGateway::before(upstream.address());
    let head =
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = gateway.client().ask([head.as_bytes(), &chunked(b"hello", 2, trailers)].concat());
    let expected = [("x-sum".to_owned(), "1".to_owned()), ("x-more".to_owned(), "2".to_owned())];
    let request = upstream.only_request();
    assert_eq!(request.trailers, expected);
    assert_eq!(answer.trailers, expected);
    assert_eq!((request.field("te"), request.field("connection")), (Some("trailers"), Some("te")));
}

#[test]
fn some_responses_have_no_body_whatever_they_say() {
    let cases = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Some("5")),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", None),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Some("5")),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", None),
    ];
    for (method, response, length) in cases {
        let upstream = Upstream::answering(response);
        let gateway = RunningGateway::before(upstream.address());
        let mut client = gateway.client();
        for _ in 0..2 {
            let answer = client.ask(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(answer.field("content-length"), length, "{response:?}");
            assert_eq!(answer.field("transfer-encoding"), None, "{response:?}");
        }
        assert_eq!(upstream.connections(), 1, "both connections are kept: {method} {response:?}");
    }
}

#[test]
fn old_clients_are_served_as_they_ask() {
    let known = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let unknown =
        Upstream::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    let closing = Upstream::answering_once("HTTP/1.1 200 OK\r\n\r\nok");
    let kept = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let single = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    let cases = [
        (&known, kept, Some("keep-alive")),
        (&known, single, Some("close")),
        (&unknown, kept, Some("close")),
        (&unknown, single, Some("close")),
        (&closing, kept, Some("close")),
        (&closing, single, Some("close")),
    ];
    for (upstream, request, connection) in cases {
        let gateway = RunningGateway::before(upstream.address());
        let mut client = gateway.client();
        let answer = client.ask(request);
        assert_eq!((answer.text().as_str(), answer.field("connection")), ("ok", connection), "{request:?}");
        assert_eq!(answer.field("transfer-encoding"), None, "HTTP/1.0 has none");
        match connection {
            Some("close") => client.expect_closed(),
            _ => assert_eq!(client.ask(request).body, b"ok"),
        }
    }
}

#[test]
fn an_old_client_without_a_host_makes_a_whole_request() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = RunningGateway::before(upstream.address());
    assert_eq!(ask(gateway.address(), "GET / HTTP/1.0\r\n\r\n").status(), 200);
    let host = upstream.address().to_string();
    assert_eq!(upstream.only_request().field("host"), Some(host.as_str()), "HTTP/1.1 needs one");
}

#[test]
fn a_client_that_wants_to_close_is_closed() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.field("connection"), Some("close"));
    client.expect_closed();
    ask(gateway.address(), GET);
    assert_eq!(upstream.connections(), 1, "which is no business of the upstream");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::start(|connection| {
        loop {
            let request = connection.request()?;
            let path = request.start.split(' ').nth(1).unwrap_or_default().to_owned();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()))?;
        }
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    let requests: String = (0..20)
        .map(|n| format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\nGET /{n}/b HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send(requests).unwrap();
    for n in 0..20 {
        assert_eq!(client.response().unwrap().text(), format!("/{n}"));
        assert_eq!(client.response().unwrap().text(), format!("/{n}/b"));
    }
}

#[test]
fn a_client_that_does_not_read_stops_the_upstream() {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    const OFFERED: usize = 256 << 20;
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {OFFERED}\r\n\r\n"))?;
        let taken = connection.flood(&PIECE, OFFERED, Duration::from_millis(300))?;
        // What kernels buffer on two connections is some megabytes; a gateway that reads ahead takes all.
        assert!(taken < 32 << 20, "{taken} bytes were taken from the upstream");
        Ok(())
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = Client::connect_narrow(gateway.address());
    client.send(GET).unwrap();
    upstream.wait_for_ended(1);
}

#[test]
fn an_upstream_that_does_not_read_stops_the_client() {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    const OFFERED: usize = 64 << 20;
    let seen = Gate::new();
    let upstream = Upstream::start({
        let seen = seen.clone();
        move |connection| {
            connection.head()?;
            seen.wait();
            Ok(())
        }
    });
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {OFFERED}\r\n\r\n")).unwrap();
    let taken = client.flood(&PIECE, OFFERED, Duration::from_millis(300)).unwrap();
    seen.open();
    assert!(taken < 32 << 20, "{taken} bytes were taken from the client");
}
