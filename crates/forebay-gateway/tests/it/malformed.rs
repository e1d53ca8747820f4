//! What is not HTTP: refused with an answer and a close, and never seen by the other side.

use forebay_testkit::{Client, RunningGateway, Upstream};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn with_fields(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

fn with_body(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")
}

/// Heads that are refused before anything is forwarded.
fn malformed_heads() -> Vec<(String, u16)> {
    let long = "a".repeat(40_000);
    let many = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let mut heads = vec![
        // Two lengths, or none that is certain.
        (with_body("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400),
        (with_body("Transfer-Encoding: chunked\r\nContent-Length: 3", "0\r\n\r\n"), 400),
        (with_body("Content-Length: 3\r\nContent-Length: 4", "abcd"), 400),
        (with_body("Content-Length: 3\r\nContent-Length: 3", "abc"), 400),
        (with_body("Content-Length: 3, 3", "abc"), 400),
        (with_body("Content-Length: 3,4", "abcd"), 400),
        (with_body("Content-Length: +5", "abcde"), 400),
        (with_body("Content-Length: -5", "abcde"), 400),
        (with_body("Content-Length: 0x5", "abcde"), 400),
        (with_body("Content-Length: 5 5", "abcde"), 400),
        (with_body("Content-Length:", "abcde"), 400),
        (with_body("Content-Length: 99999999999999999999", "a"), 400),
        // Codings other than one final `chunked`.
        (with_body("Transfer-Encoding: gzip", "0\r\n\r\n"), 400),
        (with_body("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), 400),
        (with_body("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), 400),
        (with_body("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400),
        (with_body("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"), 400),
        (with_body("Transfer-Encoding: identity", "abc"), 400),
        (with_body("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"), 400),
        (with_body("Transfer-Encoding:", "0\r\n\r\n"), 400),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
        // Lines.
        ("GET / HTTP/1.1\nHost: a\n\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n".into(), 400),
        (with_fields("X: 1\r\n 2"), 400),
        (with_fields("X: 1\r\n\t2"), 400),
        (with_fields(" X: 1"), 400),
        (with_fields("X : 1"), 400),
        (with_fields("X\t: 1"), 400),
        (with_fields("X"), 400),
        (with_fields(": 1"), 400),
        (with_fields("X Y: 1"), 400),
        (with_fields("X: \0"), 400),
        (with_fields("X\0: 1"), 400),
        (with_fields("X: \x0b"), 400),
        (with_fields("X: \x7f"), 400),
        // Host.
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n".into(), 400),
        ("GET http://b/ HTTP/1.1\r\n\r\n".into(), 400),
        // Start lines.
        ("GET /\r\nHost: a\r\n\r\n".into(), 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n".into(), 400),
        ("GET / http/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n".into(), 400),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("G\u{e4}T / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ("GET / HTTP/3.1\r\nHost: a\r\n\r\n".into(), 505),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n".into(), 505),
        // A TLS hello.
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".into(), 400),
        // Sizes.
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (with_fields(&format!("X: {long}")), 431),
        (with_fields(&format!("{long}: 1")), 431),
        (with_fields(many.trim_end()), 431),
        // Expectations and paths.
        (with_body("Expect: 200-ok\r\nContent-Length: 1", "a"), 417),
        (with_body("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1", "a"), 417),
    ];
    heads.push(("\r\n".repeat(9) + "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400));
    heads
}

/// Sends it, reads the refusal and the close.
fn check(gateway: &RunningGateway, request: &str, piece: usize, status: u16) {
    let shown = &request[..request.len().min(80)];
    let mut client = gateway.client();
    // A refusal may come before the last byte is out, and then sending fails.
    let _ = client.send_pieces(request, piece);
    let answer = client.response().unwrap_or_else(|error| panic!("{error}: {shown:?}"));
    assert_eq!(answer.status(), status, "{shown:?} {answer:?}");
    assert!(answer.problem().ends_with(" of client"), "{shown:?} {answer:?}");
    assert_eq!(answer.field("connection"), Some("close"), "{shown:?} {answer:?}");
    let _ = client.end();
    assert!(client.rest().is_empty(), "one answer and no more: {shown:?}");
}

#[test]
fn malformed_heads_are_refused_and_never_forwarded() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    for (request, status) in malformed_heads() {
        // Long ones byte by byte would only test the patience.
        let pieces = if request.len() > 2000 { [request.len(), 997] } else { [request.len(), 1] };
        for piece in pieces {
            check(&gateway, &request, piece, status);
        }
    }
    gateway.client().ask("GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(upstream.only_request().start.starts_with("GET /last "));
    assert_eq!(upstream.connections(), 1, "nothing but the last request was forwarded");
}

#[test]
fn a_malformed_request_behind_a_good_one_is_refused_alone() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client
        .send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost : a\r\n\r\nGET /3 HTTP/1.1\r\n")
        .unwrap();
    assert_eq!(client.response().unwrap().status(), 200);
    let refusal = client.response().unwrap();
    assert_eq!((refusal.status(), refusal.field("connection")), (400, Some("close")));
    client.expect_closed();
    assert!(upstream.only_request().start.starts_with("GET /1 "));
}

#[test]
fn malformed_chunks_break_the_request_off() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let bodies = [
        "x\r\n",
        "-1\r\n",
        "0x1\r\na\r\n",
        "1\na\r\n",
        "1 \r\na\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1;a\0b\r\na\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\n",
        "\r\n0\r\n\r\n",
        "1\r\na\r\n0\r\nX : 1\r\n\r\n",
        "1\r\na\r\n0\r\n X: 1\r\n\r\n",
        "0\r\n\n",
        "1\r\na\r\n;\r\n\r\n",
    ];
    for body in bodies {
        let request = with_body("Transfer-Encoding: chunked", body);
        for piece in [request.len(), 1] {
            check(&gateway, &request, piece, 400);
        }
    }
    assert!(upstream.requests().is_empty(), "no request was completed: {:?}", upstream.requests());
}

#[test]
fn bytes_behind_a_request_are_not_part_of_it() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send(with_body("Content-Length: 3", "abcGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
    assert_eq!(client.response().unwrap().status(), 200);
    assert_eq!(client.response().unwrap().status(), 200, "it is the client's own second request");
    let requests = upstream.requests();
    assert_eq!(requests[0].body, b"abc");
    assert!(requests[1].start.starts_with("GET /smuggled "));
    assert_eq!(requests[1].fields_named("via").len(), 1, "and goes through the gateway like any other");
}

/// Whether the gateway makes a 502 of this response.
#[track_caller]
fn check_response(response: &str) {
    let upstream = Upstream::answering_once(response);
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    let mut answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while answer.status() == 103 {
        answer = client.response().expect("an answer");
    }
    assert_eq!(answer.status(), 502, "{response:?} {answer:?}");
    assert_eq!(answer.problem(), "upstream-malformed of upstream", "{response:?}");
    assert_eq!(
        upstream.connections(),
        1,
        "an answer that makes no sense is not asked for again: {response:?}"
    );
}

#[test]
fn malformed_responses_become_502() {
    for response in [
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\0\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        check_response(response);
    }
    check_response(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(40_000)));
    check_response(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40));
}

#[test]
fn a_malformed_response_body_is_broken_off() {
    for body in ["5\r\nhello\r\nx\r\n", "5\r\nhello\r\n", "5\r\nhel", "5\r\nhello0\r\n\r\n"] {
        let upstream =
            Upstream::answering_once(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        let gateway = RunningGateway::before(upstream.address());
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(client.response().is_err(), "the client sees that it is not whole: {body:?}");
    }
}

#[test]
fn a_response_cut_short_is_not_whole_for_the_client_either() {
    let upstream = Upstream::answering_once("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let head = client.head().unwrap();
    assert_eq!(head.field("content-length"), Some("10"));
    assert!(client.rest().len() < 10);
}

#[test]
fn a_chunked_response_cut_short_is_not_whole_for_an_old_client_either() {
    let upstream =
        Upstream::answering_once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    client.head().unwrap();
    // Its end is the end of the connection, so a clean one would be a lie.
    assert!(client.read_to_end().is_err());
}

#[test]
fn what_an_upstream_sends_behind_its_response_reaches_nobody() {
    let upstream = Upstream::answering(format!("{OK}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"));
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body, b"ok");
    }
    assert_eq!(upstream.connections(), 3, "such a connection is not used again");
}

#[test]
fn half_a_head_is_no_request() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nHost").unwrap();
    client.end().unwrap();
    client.expect_closed();
    assert_eq!(upstream.connections(), 0);
}
