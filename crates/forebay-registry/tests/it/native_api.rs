//! Claims about our own API: one call registers and renews, and errors are problem documents.

use serde_json::{Value, json};

use crate::desk::Desk;

const ORDERS: &str = r#"{"service":"orders","address":"127.0.0.1","port":9001,"ttl":"10s","version":"7","zone":"eu-1","weight":3}"#;

fn json(message: &forebay_testkit::Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

#[test]
fn one_call_registers_and_renews() {
    let desk = Desk::open();
    let first = desk.put("/registry/instances/orders-1", ORDERS);
    assert_eq!(first.status(), 201, "{first:?}");
    assert_eq!(
        json(&first),
        json!({
            "id": "orders-1",
            "service": "orders",
            "node": "web-a",
            "address": "127.0.0.1",
            "port": 9001,
            "state": "ready",
            "why": null,
            "weight": 3,
            "tags": [],
            "meta": { "version": "7", "zone": "eu-1" },
            "checks": [{ "id": "lease:orders-1", "kind": "ttl", "status": "passing", "output": "" }],
        })
    );
    let index = desk.index("/v1/health/service/orders");
    assert_eq!(desk.put("/registry/instances/orders-1", ORDERS).status(), 200);
    assert_eq!(desk.index("/v1/health/service/orders"), index, "a renewal is no change");
    assert_eq!(desk.json("/registry/instances/orders-1")["service"], "orders");
}

#[test]
fn a_client_that_holds_its_body_back_is_told_to_send_it() {
    let desk = Desk::open();
    let head = |target: &str, length: usize| {
        format!(
            "PUT {target} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    for target in ["/registry/instances/orders-1", "/v1/agent/service/register"] {
        let body = if target.starts_with("/v1/") { r#"{"Name":"orders"}"# } else { ORDERS };
        let mut client = desk.client();
        assert_eq!(client.ask(head(target, body.len())).status(), 100, "{target}");
        assert!(matches!(client.ask(body).status(), 200 | 201), "{target}");
    }
    assert_eq!(desk.client().ask(head("/registry/instances/orders-1", 1 << 20)).status(), 413);
}

#[test]
fn a_renewal_keeps_the_state_that_it_says_nothing_about() {
    let desk = Desk::open();
    let starting = ORDERS.replace("\"ttl\"", "\"state\":\"starting\",\"ttl\"");
    assert_eq!(json(&desk.put("/registry/instances/orders-1", &starting))["state"], "starting");
    assert_eq!(json(&desk.put("/registry/instances/orders-1", ORDERS))["state"], "starting");
    assert_eq!(json(&desk.put("/registry/instances/orders-1/state", "ready"))["state"], "ready");
    let why = r#"{"state":"maintenance","reason":"new disk"}"#;
    let out = json(&desk.put("/registry/instances/orders-1/state", why));
    assert_eq!((&out["state"], &out["why"]), (&json!("maintenance"), &json!("in maintenance: new disk")));
    assert_eq!(json(&desk.put("/registry/instances/orders-1", ORDERS))["state"], "maintenance");
    assert_eq!(json(&desk.put("/registry/instances/orders-1/state", "draining"))["state"], "draining");
}

#[test]
fn listings_are_for_programs_and_people() {
    let desk = Desk::open();
    assert_eq!(desk.get("/registry/instances?format=text").text(), "no instance is registered\n");
    desk.put("/registry/instances/orders-1", ORDERS);
    desk.put(
        "/registry/instances/web-1",
        r#"{"service":"web","address":"::1","port":80,"state":"draining"}"#,
    );
    assert_eq!(
        desk.get("/registry/instances?format=text").text(),
        "SERVICE  INSTANCE  NODE   ADDRESS         STATE     WHY\n\
         orders   orders-1  web-a  127.0.0.1:9001  ready\n\
         web      web-1     web-a  [::1]:80        draining  it says that it is draining\n"
    );
    let all = desk.json("/registry/instances");
    assert_eq!(all["instances"].as_array().map(Vec::len), Some(2));
    let one = desk.json("/registry/instances?service=web");
    assert_eq!(one["instances"][0]["id"], "web-1");
}

#[test]
fn an_instance_goes_when_it_says_so() {
    let desk = Desk::open();
    desk.put("/registry/instances/a%2F1", ORDERS);
    assert_eq!(desk.send("DELETE", "/registry/instances/a%2F1", "").status(), 204);
    assert_eq!(desk.send("DELETE", "/registry/instances/a%2F1", "").problem(), "unknown-instance of client");
    assert_eq!(desk.get("/registry/instances/a%2F1").problem(), "unknown-instance of client");
    assert_eq!(desk.put("/registry/instances/a/state", "ready").problem(), "unknown-instance of client");
}

#[test]
fn what_is_wrong_is_a_problem_document() {
    let desk = Desk::open();
    for (method, target, body, problem) in [
        ("PUT", "/registry/instances/a", "{", "bad-body of client"),
        ("PUT", "/registry/instances/a", "{\"service\":\"a\",\"zoen\":\"b\"}", "bad-body of client"),
        ("PUT", "/registry/instances/a/state", "asleep", "bad-body of client"),
        ("POST", "/registry/instances/a", "", "method-not-allowed of client"),
        ("GET", "/registry", "", "no-registry-route of client"),
        ("GET", "/registry/instances?format=yaml", "", "unknown-format of client"),
        ("GET", "/registry/instances?a=%2", "", "bad-query of client"),
        ("GET", "/registry/instances?servce=orders", "", "unknown-parameter of client"),
        ("GET", "/registry/instances/a?service=orders", "", "unknown-parameter of client"),
        ("DELETE", "/registry/instances/a?force=1", "", "unknown-parameter of client"),
    ] {
        assert_eq!(desk.send(method, target, body).problem(), problem, "{method} {target} {body}");
    }
    assert_eq!(desk.send("POST", "/registry/instances/a", "").field("allow"), Some("GET, HEAD, PUT, DELETE"));
}

#[test]
fn a_refusal_names_the_field_as_it_was_written() {
    let desk = Desk::open();
    for (body, detail) in [
        (r#"{"service":"a","weight":0}"#, "weight must be greater than 0"),
        (r#"{"service":"a","ttl":"1s","remove_after":"0s"}"#, "remove_after must be at least 1ms"),
        (r#"{"service":"a","ttl":"9000h"}"#, "ttl must not be longer than 30 days"),
        (r#"{"service":"a","address":"a b"}"#, "address is neither an IP address nor a host's name"),
        (r#"{"service":"a\u0007"}"#, "service has a control character"),
        (r#"{"service":"a","meta":{"a b":""}}"#, "meta has a key that is not"),
    ] {
        let answer = desk.put("/registry/instances/a", body);
        assert_eq!(answer.problem(), "refused of client", "{body}");
        let found = json(&answer)["detail"].as_str().unwrap().to_owned();
        assert!(found.starts_with(detail), "{body}: {found}");
    }
}
