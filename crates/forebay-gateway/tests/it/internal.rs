//! Requests that Forebay makes itself take the same way.

use forebay_gateway::internal::{InternalError, InternalRequest};
use forebay_http::{Fields, RequestHead, Scheme};
use forebay_testkit::{RunningGateway, Upstream};

fn request(method: &str, path: &str, body: &str) -> InternalRequest {
    let head = RequestHead::new(method, Scheme::Http, "inside.example", path).freeze();
    InternalRequest { head, body: body.to_owned().into(), answer_bytes_max: 1000 }
}

#[test]
fn an_internal_request_is_served_like_any_other() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let gateway = RunningGateway::before(upstream.address());
    let way_in = gateway.gateway().way_in();
    let answer = gateway.wait(way_in.request(request("POST", "/p?q", "hello"))).unwrap();
    let head = answer.head.unwrap();
    assert_eq!((head.status(), answer.body.as_slice(), answer.is_whole), (200, &b"ok"[..], true));
    assert_eq!(head.fields().value("x-a"), Some(&b"1"[..]));
    let seen = upstream.only_request();
    assert_eq!((seen.start.as_str(), seen.body.as_slice()), ("POST /p?q HTTP/1.1", &b"hello"[..]));
    assert_eq!((seen.field("host"), seen.field("via")), (Some("inside.example"), Some("1.1 forebay")));
    let answer = gateway.wait(way_in.request(request("HEAD", "/", ""))).unwrap();
    assert_eq!(answer.head.unwrap().status(), 200);
}

#[test]
fn a_refusal_is_an_answer_too() {
    let gateway = RunningGateway::start("[[route]]\nmatch = \"/a\"\nrespond = { body = \"own\" }\n");
    let way_in = gateway.gateway().way_in();
    let answer = gateway.wait(way_in.request(request("GET", "/a", ""))).unwrap();
    assert_eq!((answer.head.unwrap().status(), answer.body.as_slice()), (200, &b"own"[..]));
    let answer = gateway.wait(way_in.request(request("GET", "/b", ""))).unwrap();
    assert_eq!(answer.head.unwrap().status(), 404);
    assert!(answer.is_whole);
}

#[test]
fn an_answer_too_large_is_not_whole() {
    let body = "x".repeat(1001);
    let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{body}"));
    let gateway = RunningGateway::before(upstream.address());
    let answer = gateway.wait(gateway.gateway().way_in().request(request("GET", "/", ""))).unwrap();
    assert!(!answer.is_whole);
    assert!(answer.body.len() <= 1000);
}

#[test]
fn a_stopped_gateway_says_so() {
    let gateway = RunningGateway::start("[[route]]\nmatch = \"/a\"\nrespond = {}\n");
    let way_in = gateway.gateway().way_in();
    drop(gateway);
    let runtime = RunningGateway::start("[[route]]\nmatch = \"/a\"\nrespond = {}\n");
    let answer = runtime.wait(way_in.request(request("GET", "/a", "")));
    assert_eq!(answer.err(), Some(InternalError::Stopping));
}
