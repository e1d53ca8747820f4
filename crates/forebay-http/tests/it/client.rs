//! One exchange with an upstream, as probes make it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use forebay_http::client::{ConnectError, FetchError, fetch};
use forebay_http::{Fields, RequestHead, Scheme};
use forebay_testkit::Upstream;

use crate::on_a_core;

/// Status and body, or in one word why there is none.
fn outcome(address: SocketAddr, body: &'static str) -> Result<(u16, String), &'static str> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let fetched = on_a_core(|sweeper| async move {
        let head = RequestHead::new(method, Scheme::Http, "a", "/healthz");
        let timer = sweeper.timer();
        let until = timer.now() + Duration::from_millis(300);
        fetch(address, None, &head, Bytes::from_static(body.as_bytes()), 100, &timer, until).await
    });
    match fetched {
        Ok((head, body)) => {
            assert!(head.fields().value("x-secret").is_none());
            Ok((head.status(), String::from_utf8_lossy(&body).into_owned()))
        }
        Err(FetchError::Connect(ConnectError::Tcp(_))) => Err("refused"),
        Err(FetchError::Connect(_)) => Err("unconnected"),
        Err(FetchError::Send(_)) => Err("unsent"),
        Err(FetchError::Receive(_)) => Err("unreceived"),
        Err(FetchError::TooLarge { head, begun }) => {
            assert!(head.status() == 200 && begun.len() <= 100);
            Err("too large")
        }
        Err(FetchError::TimedOut) => Err("timed out"),
    }
}

#[track_caller]
fn check(response: &str, expected: Result<(u16, &str), &'static str>) {
    let upstream = Upstream::answering_once(response);
    let expected = expected.map(|(status, body)| (status, body.to_owned()));
    assert_eq!(outcome(upstream.address(), ""), expected, "{response:?}");
}

#[test]
fn a_response_is_collected_whole_or_not_at_all() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok((200, "ok")));
    check("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", Ok((503, "no")));
    check("HTTP/1.0 200 OK\r\n\r\nold", Ok((200, "old")));
    check("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Ok((204, "")));
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", Err("unreceived"));
    check("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok", Err("unreceived"));
    check("", Err("unreceived"));
    check(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(101)), Err("too large"));
}

#[test]
fn the_request_arrives_whole() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(outcome(upstream.address(), "hello"), Ok((200, String::new())));
    let request = upstream.only_request();
    assert_eq!((request.start.as_str(), request.body.as_slice()), ("POST /healthz HTTP/1.1", &b"hello"[..]));
}

#[test]
fn waiting_has_an_end() {
    let upstream = Upstream::start(|connection| connection.hang());
    assert_eq!(outcome(upstream.address(), ""), Err("timed out"));
    let upstream = Upstream::start(|connection| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")?;
        connection.hang()
    });
    assert_eq!(outcome(upstream.address(), ""), Err("timed out"));
}

#[test]
fn nobody_there_is_said_at_once() {
    let mut upstream = Upstream::answering("");
    upstream.kill();
    assert_eq!(outcome(upstream.address(), ""), Err("refused"));
}
