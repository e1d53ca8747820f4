//! Claims about what Consul's HTTP API refuses here, and in which words.

use crate::desk::Desk;

/// With one instance of `web`.
fn open() -> Desk {
    let desk = Desk::open();
    desk.done(
        "/v1/agent/service/register",
        r#"{"ID":"web-1","Name":"web","Check":{"TTL":"30s","Status":"passing"}}"#,
    );
    desk
}

#[test]
fn what_is_wrong_is_answered_in_one_line_of_text() {
    let desk = open();
    #[track_caller]
    fn check(desk: &Desk, method: &str, target: &str, body: &str, status: u16, says: &str) {
        let answer = desk.send(method, target, body);
        assert_eq!(
            (answer.status(), answer.field("content-type")),
            (status, Some("text/plain; charset=utf-8")),
            "{answer:?}"
        );
        let text = answer.text();
        assert!(text.contains(says) && !text.contains('\n'), "{target}: {text}");
    }
    let refused = |body: &str, says: &str| check(&desk, "PUT", "/v1/agent/service/register", body, 400, says);
    refused("", "cannot decode the request's body");
    refused("[]", "an object is wanted");
    refused("{}", "Name is missing");
    refused(r#"{"Name":"a","Prot":1}"#, "unknown field Prot; did you mean Port?");
    refused(r#"{"Name":"a","Port":"80"}"#, "Port is a string");
    refused(r#"{"Name":"a","Port":70000}"#, "0 to 65535");
    refused(r#"{"Name":"a","Address":"0.0.0.0"}"#, "no address that anybody could connect to");
    refused(r#"{"Name":"a","Kind":"connect-proxy"}"#, "no service mesh");
    refused(r#"{"Name":"a","Namespace":"team"}"#, "the only one is \"default\"");
    refused(
        r#"{"Name":"a","TaggedAddresses":{"wan":{"Adress":"b"}}}"#,
        "TaggedAddresses.wan.Adress; did you",
    );
    refused(r#"{"Name":"a","TaggedAddresses":{"wan":"198.51.100.1"}}"#, "TaggedAddresses.wan is a string");
    refused(r#"{"Name":"a","TaggedAddresses":{"wan":{"Address":"0.0.0.0"}}}"#, "nobody can connect to");
    refused(r#"{"Name":"a","Check":{"Args":["true"],"Interval":"10s"}}"#, "runs no script checks");
    refused(r#"{"Name":"a","Check":{"GRPC":"127.0.0.1:1","Interval":"10s"}}"#, "runs no gRPC checks");
    refused(r#"{"Name":"a","Check":{"alias_service":"b"}}"#, "runs no alias checks");
    refused(r#"{"Name":"a","Check":{"HTTP":"http://127.0.0.1/"}}"#, "needs an Interval");
    refused(r#"{"Name":"a","Check":{"Interval":"10s"}}"#, "one of TTL, HTTP and TCP");
    refused(r#"{"Name":"a","Check":{"TTL":"10s","Interval":"10s"}}"#, "both TTL and Interval");
    refused(r#"{"Name":"a","Check":{"TTL":"soon"}}"#, "is no duration");
    refused(r#"{"Name":"a","Check":{"TTL":"10s","Status":"fine"}}"#, "\"fine\" is none");
    check(&desk, "PUT", "/v1/agent/check/pass/nobody", "", 404, "Unknown check ID \"nobody\"");
    check(&desk, "PUT", "/v1/agent/service/deregister/nobody", "", 404, "Unknown service ID \"nobody\"");
    check(
        &desk,
        "PUT",
        "/v1/agent/check/update/service:web-1",
        r#"{"Status":"maintenance"}"#,
        400,
        "is none",
    );
    check(&desk, "GET", "/v1/health/service/", "", 400, "wants a name");
    check(&desk, "GET", "/v1/health/state/fine", "", 400, "is no state");
    check(&desk, "GET", "/v1/health/service/web?filter=a==b", "", 400, "?filter is not supported");
    check(&desk, "GET", "/v1/health/service/web?dc=dc2", "", 500, "No path to datacenter");
    check(&desk, "GET", "/v1/kv/a", "", 501, "no key-value store");
    check(&desk, "PUT", "/v1/catalog/register", "{}", 501, "PUT /v1/agent/service/register instead");
    check(&desk, "GET", "/v1/nothing", "", 404, "no such path");
    assert_eq!(desk.get("/v1/agent/check/pass/service:web-1").field("allow"), Some("PUT"));
    assert_eq!(desk.send("DELETE", "/v1/agent/services", "").field("allow"), Some("GET, HEAD"));
}

#[test]
fn a_registration_with_what_is_not_supported_or_too_much_says_which() {
    let desk = open();
    let refused = |body: &str, says: &str| {
        let answer = desk.send("PUT", "/v1/agent/service/register", body);
        assert!(answer.status() == 400 && answer.text().contains(says), "{body}: {}", answer.text());
    };
    refused(r#"{"Name":"a","Proxy":[1]}"#, "Proxy is not supported: Forebay is no service mesh");
    refused(r#"{"Name":"a","Ports":[{"Name":"http","Port":80}]}"#, "register each port as an instance");
    refused(r#"{"Name":"a","TaggedAddresses":{"":{"Address":"b"}}}"#, "has an address without a tag");
    let tags = format!("{{\"Name\":\"a\",\"Tags\":{:?}}}", ["t"; 129]);
    refused(&tags, "Tags has more than 128; correct it and register again");
}

#[test]
fn a_namespace_in_the_head_is_refused_like_one_in_the_query() {
    let desk = open();
    for (field, status) in [
        ("X-Consul-Namespace: team", 400),
        ("X-Consul-Partition: team", 400),
        ("X-Consul-Namespace: default", 200),
        ("X-Consul-Token: abc", 200),
    ] {
        for target in ["/v1/health/service/web", "/v1/agent/services"] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
            assert_eq!(desk.client().ask(head).status(), status, "{field} {target}");
        }
    }
    let body = r#"{"Name":"other"}"#;
    let head = format!(
        "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nX-Consul-Namespace: team\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(desk.client().ask(head).status(), 400);
    assert_eq!(desk.get("/v1/agent/service/other").status(), 404, "nothing was registered");
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let desk = open();
    for (host, origin, status) in [
        ("evil.example", "", 421),
        ("localhost", "Origin: http://evil.example\r\n", 403),
        ("127.0.0.1", "", 200),
    ] {
        let answer =
            desk.client().ask(format!("GET /v1/agent/self HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n"));
        assert_eq!(answer.status(), status, "{host} {origin}");
    }
}

#[test]
fn a_body_is_bounded() {
    let desk = Desk::open();
    let large = format!(r#"{{"Name":"{}"}}"#, "a".repeat(70_000));
    assert_eq!(desk.put("/v1/agent/service/register", &large).problem(), "body-too-large of client");
    let deep = format!(r#"{{"Meta":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let answer = desk.put("/v1/agent/service/register", &deep);
    assert!(answer.status() == 400 && answer.text().contains("recursion limit"), "{answer:?}");
}
