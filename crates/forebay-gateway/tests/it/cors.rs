//! CORS around everything: preflights that go no further, the gateway's own errors, what services say themselves.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use forebay_testkit::{Message, RunningGateway, Upstream};

const SHOP: &str = "https://shop.example";

/// Where nobody listens.
pub(crate) fn gone() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket")
}

/// A shop's service, and what a configuration adds.
fn gateway(upstream: &Upstream, more: &str) -> RunningGateway {
    RunningGateway::start(&format!(
        r#"
        [service.orders]
        endpoints = "{}"
        retry = {{ attempts = 1 }}

        [service.gone]
        endpoints = "{}"
        retry = {{ attempts = 1 }}

        [[route]]
        match = "PUT /orders/*"
        service = "orders"
        cors = "shop"
        max_body = "10B"

        [[route]]
        match = "GET /orders/*"
        service = "orders"
        cors = "shop"

        [[route]]
        match = "/gone"
        service = "gone"
        cors = "shop"

        [[route]]
        match = "/own"
        service = "orders"

        [[route]]
        match = "OPTIONS /orders/*"
        service = "orders"

        [cors.shop]
        origins = ["{SHOP}", "https://*.preview.example"]
        methods = ["GET", "PUT"]
        headers = ["x-cart"]
        expose = ["etag"]
        credentials = true

        {more}
        "#,
        upstream.address(),
        gone(),
    ))
}

fn send(gateway: &RunningGateway, line: &str, fields: &str) -> Message {
    gateway.client().ask(format!("{line} HTTP/1.1\r\nHost: api.example\r\n{fields}\r\n"))
}

fn from(origin: &str, more: &str) -> String {
    format!("Origin: {origin}\r\n{more}")
}

#[test]
fn a_preflight_goes_no_further_and_asks_the_route_of_its_method() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let gateway = gateway(&upstream, "");
    let preflight = |path: &str, origin: &str, method: &str, headers: &str| {
        let fields = format!(
            "Access-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: {headers}\r\n"
        );
        send(&gateway, &format!("OPTIONS {path}"), &from(origin, &fields))
    };
    let answer = preflight("/orders/7", SHOP, "PUT", "x-cart");
    assert_eq!((answer.status(), answer.field("access-control-allow-origin")), (204, Some(SHOP)));
    assert_eq!(answer.field("access-control-allow-methods"), Some("GET, PUT"));
    assert_eq!(answer.field("access-control-allow-credentials"), Some("true"));
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    assert_eq!(answer.field("vary"), Some(vary));
    for (origin, method, headers) in
        [("https://evil.example", "PUT", "x-cart"), (SHOP, "DELETE", "x-cart"), (SHOP, "PUT", "x-other")]
    {
        let answer = preflight("/orders/7", origin, method, headers);
        assert_eq!((answer.status(), answer.field("vary")), (204, Some(vary)), "{origin} {method} {headers}");
        let allows = answer.field("access-control-allow-methods").unwrap_or_default().contains(method)
            && answer.field("access-control-allow-headers").unwrap_or_default().contains(headers)
            && answer.field("access-control-allow-origin") == Some(origin);
        assert!(!allows, "{origin} {method} {headers}");
    }
    assert_eq!(upstream.requests().len(), 0, "no preflight reached the service");
    // The route of the method that is asked for has no policy: its service knows what it does.
    preflight("/own", SHOP, "GET", "");
    send(&gateway, "OPTIONS /orders/7", &from(SHOP, ""));
    let reached: Vec<String> = upstream.requests().iter().map(|request| request.start.clone()).collect();
    assert_eq!(reached, ["OPTIONS /own HTTP/1.1", "OPTIONS /orders/7 HTTP/1.1"]);
}

#[test]
fn errors_of_forebays_own_can_be_read_by_pages_that_are_allowed() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let gateway = gateway(&upstream, "[gateway]\ncors = \"shop\"");
    for (line, more, status) in [
        ("PUT /orders/7", "Content-Length: 11\r\n", 413),
        ("GET /gone", "", 502),
        ("DELETE /orders/7", "", 405),
        ("GET /nowhere", "", 404),
        ("GET /%zz", "", 400),
    ] {
        let allowed = send(&gateway, line, &from(SHOP, more));
        assert_eq!(allowed.status(), status, "{line}");
        let readable = status != 405;
        assert_eq!(allowed.field("access-control-allow-origin").is_some(), readable, "{line}");
        assert_eq!(allowed.field("vary"), Some("Origin"), "{line}");
        let denied = send(&gateway, line, &from("https://evil.example", more));
        assert_eq!((denied.status(), denied.field("access-control-allow-origin")), (status, None), "{line}");
        assert_eq!(denied.field("vary"), Some("Origin"), "{line}");
    }
}

#[test]
fn what_a_service_says_of_cors_is_replaced() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
         Vary: Accept\r\nContent-Length: 0\r\n\r\n",
    );
    let gateway = gateway(&upstream, "");
    let answer = send(&gateway, "GET /orders/7", &from("https://a.preview.example", ""));
    assert_eq!(answer.fields_named("access-control-allow-origin"), ["https://a.preview.example"]);
    assert_eq!(answer.field("access-control-expose-headers"), Some("etag"));
    assert_eq!(answer.fields_named("vary"), ["Accept, Origin"]);
    for fields in [from("https://evil.example", ""), String::new()] {
        let answer = send(&gateway, "GET /orders/7", &fields);
        assert_eq!((answer.status(), answer.field("access-control-allow-origin")), (200, None));
        assert_eq!(answer.fields_named("vary"), ["Accept, Origin"], "whoever asks");
    }
    let answer = send(&gateway, "GET /own", &from(SHOP, ""));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"), "no policy, no change");
    let exposition = forebay_telemetry::metrics::Exposition::negotiate(None);
    let metrics = gateway.surroundings().registry.expose(exposition);
    assert!(metrics.contains("cors_upstream_fields_removed_total{policy=\"shop\"} 6"), "{metrics}");
    let denied =
        "cors_decisions_total{policy=\"shop\",kind=\"actual\",outcome=\"denied: origin not allowed\"} 1";
    assert!(metrics.contains(denied), "{metrics}");
}

#[test]
fn a_shadow_changes_nothing() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n");
    let more = "[[route]]\nmatch = \"/shadow\"\nservice = \"orders\"\ncors = \"shadow\"\n\
        [cors.shadow]\norigins = [\"https://other.example\"]\nshadow = true\n";
    let gateway = gateway(&upstream, more);
    let preflight = send(&gateway, "OPTIONS /shadow", &from(SHOP, "Access-Control-Request-Method: PUT\r\n"));
    assert_eq!((preflight.status(), preflight.field("vary")), (200, None));
    let answer = send(&gateway, "GET /shadow", &from(SHOP, ""));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    assert_eq!(upstream.requests().len(), 2);
}
