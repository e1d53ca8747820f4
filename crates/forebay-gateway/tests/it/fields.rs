//! Header fields on their way through: what belongs to one connection stays there, and what this hop knows is added.

use forebay_testkit::{Message, RunningGateway, Upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the upstream gets of a request with these fields.
fn forwarded(configuration: &str, fields: &str) -> Message {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::start(&format!(
        "[gateway]\n{configuration}\n[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        upstream.address()
    ));
    let answer = gateway.client().ask(format!("GET /p?q HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n"));
    assert_eq!(answer.status(), 200, "{fields:?}");
    upstream.only_request()
}

/// What the client gets of a response with these fields.
fn returned(fields: &str) -> Message {
    let upstream = Upstream::answering(format!("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n{fields}\r\nok"));
    let gateway = RunningGateway::before(upstream.address());
    gateway.client().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let fields = "Connection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n\
                  TE: gzip\r\nTrailer: X-Sum\r\nUpgrade: tls\r\nX-Public: 2\r\n";
    let request = forwarded("", fields);
    let response = returned(&fields.replace("close, ", ""));
    for name in ["connection", "x-private", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"] {
        assert_eq!(request.field(name), None, "{name} in the request");
        assert_eq!(response.field(name), None, "{name} in the response");
    }
    assert_eq!((request.field("x-public"), response.field("x-public")), (Some("2"), Some("2")));
}

#[test]
fn connection_cannot_name_away_what_this_hop_relies_on() {
    let named = "Connection: Host, Content-Length, Via, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, \
                 Traceparent, Transfer-Encoding\r\n";
    let request = forwarded("", named);
    assert_eq!(request.field("host"), Some("shop.example"));
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("shop.example"));
    assert_eq!(request.field("via"), Some("1.1 forebay"));
    assert!(request.field("traceparent").is_some());
}

#[test]
fn connection_cannot_name_away_the_length_of_a_body() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let mut client = gateway.client();
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 37\r\n\r\n\
                   GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n..";
    assert_eq!(client.ask(request).status(), 200);
    assert_eq!(upstream.only_request().body.len(), 37);
}

#[test]
fn every_message_says_which_way_it_came() {
    let request = forwarded("", "Via: 1.0 outer\r\n");
    assert_eq!(request.fields_named("via"), ["1.0 outer", "1.1 forebay"]);
    assert_eq!(returned("").field("via"), Some("1.1 forebay"));
}

#[test]
fn a_date_is_added_where_there_is_none() {
    let date = returned("").field("date").map(str::to_owned).unwrap_or_default();
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date:?}");
    let own = "Tue, 15 Nov 1994 08:12:31 GMT";
    assert_eq!(returned(&format!("Date: {own}\r\n")).field("date"), Some(own));
}

#[test]
fn responses_keep_their_fields_and_their_reason() {
    let response = returned("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: x\r\n");
    assert_eq!(response.start, "HTTP/1.1 200 Fine");
    assert_eq!(response.fields_named("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.field("server"), Some("x"));
}

#[test]
fn only_trusted_peers_say_who_the_client_is() {
    let claims = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
                  X-Forwarded-Port: 1\r\nX-Real-Ip: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n";
    let stranger = forwarded("", claims);
    assert_eq!(stranger.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(stranger.field("x-forwarded-proto"), Some("http"));
    assert_eq!(stranger.field("x-forwarded-host"), Some("shop.example"));
    for name in ["x-forwarded-port", "x-real-ip", "forwarded"] {
        assert_eq!(stranger.field(name), None, "{name}");
    }
    let trusted = forwarded("trusted_proxies = [\"127.0.0.0/8\"]", claims);
    assert_eq!(trusted.field("x-forwarded-for"), Some("192.0.2.1, 127.0.0.1"));
    assert_eq!(trusted.field("x-forwarded-proto"), Some("https"));
    assert_eq!(trusted.field("x-forwarded-host"), Some("evil"));
    assert_eq!(trusted.field("forwarded"), Some("for=192.0.2.1, for=127.0.0.1"));
}

#[test]
fn traces_go_on_or_start() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = forwarded("", &format!("Traceparent: {PARENT}\r\nTracestate: a=1\r\n"));
    let continued = request.field("traceparent").unwrap_or_default();
    assert_eq!((&continued[..36], &continued[52..]), (&PARENT[..36], "-01"));
    assert_ne!(continued, PARENT, "the gateway is a span of its own");
    assert_eq!(request.field("tracestate"), Some("a=1"));
    let request = forwarded("", "Traceparent: nonsense\r\nTracestate: a=1\r\n");
    let started = request.field("traceparent").unwrap_or_default();
    assert!(started.starts_with("00-") && started.len() == 55, "{started:?}");
    assert_eq!(request.field("tracestate"), None, "belongs to the trace that was not understood");
}

#[test]
fn an_absolute_target_decides_over_the_host() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::before(upstream.address());
    let request = "GET http://one.example/p?q HTTP/1.1\r\nHost: two.example\r\n\r\n";
    assert_eq!(gateway.client().ask(request).status(), 200);
    let seen = upstream.only_request();
    assert_eq!(seen.start, "GET /p?q HTTP/1.1");
    assert_eq!(
        (seen.field("host"), seen.field("x-forwarded-host")),
        (Some("one.example"), Some("one.example"))
    );
}

#[test]
fn an_endpoint_named_by_url_gets_its_own_host() {
    let upstream = Upstream::answering(OK);
    let port = upstream.address().port();
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = \"http://localhost:{port}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
    ));
    gateway.wait_for_endpoints("a");
    assert_eq!(gateway.client().ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").status(), 200);
    let seen = upstream.only_request();
    let own = format!("localhost:{port}");
    assert_eq!(seen.field("host"), Some(own.as_str()));
    assert_eq!(seen.field("x-forwarded-host"), Some("shop.example"));
}
