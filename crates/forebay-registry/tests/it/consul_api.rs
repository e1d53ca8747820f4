//! Claims about Consul's HTTP API, request by request.

use forebay_telemetry::metrics::Exposition;
use serde_json::{Value, json};

use crate::desk::{Desk, NODE, NODE_ID, request};

const WEB_1: &str = r#"{"ID":"web-1","Name":"web","Address":"10.0.0.7","Port":8080,"Tags":["v1","blue"],
    "Meta":{"zone":"eu-1"},"Check":{"TTL":"30s","Status":"passing"}}"#;

fn with_web() -> Desk {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", WEB_1);
    desk
}

#[test]
fn services_and_nodes_have_the_shape_of_consuls() {
    let desk = with_web();
    let entries = desk.json("/v1/health/service/web");
    let entry = &entries[0];
    let (created, modified) = (&entry["Service"]["CreateIndex"], &entry["Service"]["ModifyIndex"]);
    assert!(created.is_u64() && modified.is_u64());
    assert_eq!(
        entry["Service"],
        json!({
            "ID": "web-1",
            "Service": "web",
            "Tags": ["v1", "blue"],
            "Address": "10.0.0.7",
            "TaggedAddresses": {
                "lan_ipv4": { "Address": "10.0.0.7", "Port": 8080 },
                "wan_ipv4": { "Address": "10.0.0.7", "Port": 8080 },
            },
            "Meta": { "zone": "eu-1" },
            "Port": 8080,
            "Weights": { "Passing": 1, "Warning": 1 },
            "EnableTagOverride": false,
            "Proxy": { "Mode": "", "MeshGateway": {}, "Expose": {} },
            "Connect": {},
            "PeerName": "",
            "CreateIndex": created,
            "ModifyIndex": modified,
        })
    );
    let node = &entry["Node"];
    assert_eq!(
        (&node["ID"], &node["Node"], &node["Datacenter"]),
        (&json!(NODE_ID), &json!(NODE), &json!("dc1"))
    );
    assert_eq!(node["TaggedAddresses"]["lan_ipv4"], "127.0.0.1");
}

#[test]
fn checks_have_the_shape_of_consuls() {
    let entries = with_web().json("/v1/health/service/web");
    let checks = entries[0]["Checks"].as_array().unwrap();
    assert_eq!(
        checks.iter().map(|check| &check["CheckID"]).collect::<Vec<_>>(),
        ["serfHealth", "service:web-1"]
    );
    let check = &checks[1];
    assert_eq!(
        *check,
        json!({
            "Node": NODE,
            "CheckID": "service:web-1",
            "Name": "Service 'web' check",
            "Status": "passing",
            "Notes": "",
            "Output": "",
            "ServiceID": "web-1",
            "ServiceName": "web",
            "ServiceTags": ["v1", "blue"],
            "Type": "ttl",
            "Interval": "",
            "Timeout": "",
            "ExposedPort": 0,
            "Definition": {},
            "CreateIndex": check["CreateIndex"],
            "ModifyIndex": check["ModifyIndex"],
        })
    );
}

#[test]
fn addresses_in_other_networks_are_told_as_they_were_given() {
    let desk = Desk::open();
    // As Nomad registers: some of its own, in the place of what would be derived.
    desk.done(
        "/v1/agent/service/register",
        r#"{"Name":"web","ID":"web-1","Address":"10.0.0.7","Port":8080,"TaggedAddresses":{
            "lan":{"Address":"10.0.0.7","Port":8080},"wan":{"Address":"shop.example","Port":443},
            "lan_ipv4":{"Address":"10.0.0.8","Port":8081},"virtual":{"Address":"240.0.0.1"}}}"#,
    );
    let expected = json!({
        "lan": { "Address": "10.0.0.7", "Port": 8080 },
        "wan": { "Address": "shop.example", "Port": 443 },
        "lan_ipv4": { "Address": "10.0.0.8", "Port": 8081 },
        "wan_ipv4": { "Address": "10.0.0.7", "Port": 8080 },
        "virtual": { "Address": "240.0.0.1", "Port": 0 },
    });
    let health = &desk.json("/v1/health/service/web")[0]["Service"];
    assert_eq!((&health["TaggedAddresses"], &health["Address"]), (&expected, &json!("10.0.0.7")));
    let catalog = &desk.json("/v1/catalog/service/web")[0];
    assert_eq!(
        (&catalog["ServiceTaggedAddresses"], &catalog["ServiceAddress"]),
        (&expected, &json!("10.0.0.7"))
    );
    for target in ["/v1/agent/services", "/v1/agent/health/service/id/web-1"] {
        let text = desk.get(target).text();
        assert!(text.contains(&expected.to_string()), "{target}: {text}");
    }
    let seen = desk.index("/v1/health/service/web");
    let other = r#"{"Name":"web","ID":"web-1","Address":"10.0.0.7","Port":8080}"#;
    desk.done("/v1/agent/service/register", other);
    assert!(desk.index("/v1/health/service/web") > seen, "that they go is a change");
    assert_eq!(
        desk.json("/v1/agent/services")["web-1"]["TaggedAddresses"].as_object().map(|all| all.len()),
        Some(2)
    );
}

#[test]
fn nothing_is_null_in_the_catalog_and_empty_in_the_agent_as_with_consul() {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", r#"{"name":"bare"}"#);
    let service = &desk.json("/v1/health/service/bare")[0]["Service"];
    assert_eq!(
        (&service["ID"], &service["Tags"], &service["Address"]),
        (&json!("bare"), &json!([]), &json!(""))
    );
    assert_eq!((&service["Meta"], service.get("TaggedAddresses")), (&Value::Null, None));
    let agent = desk.json("/v1/agent/services");
    assert_eq!((&agent["bare"]["Meta"], &agent["bare"]["Datacenter"]), (&json!({}), &json!("dc1")));
    assert_eq!(desk.json("/v1/agent/service/bare")["Service"], "bare");
    let catalog = &desk.json("/v1/catalog/service/bare")[0];
    assert_eq!((&catalog["ServiceMeta"], &catalog["ServiceTags"]), (&json!({}), &json!([])));
    assert_eq!((&catalog["Address"], &catalog["ServiceAddress"]), (&json!("127.0.0.1"), &json!("")));
    assert_eq!(desk.json("/v1/health/service/nobody"), json!([]));
    assert_eq!(desk.json("/v1/catalog/node/nobody"), Value::Null);
    assert_eq!(desk.json("/v1/catalog/node-services/nobody"), json!({ "Node": null, "Services": [] }));
}

#[test]
fn the_catalog_lists_nodes_services_and_what_is_on_a_node() {
    let desk = with_web();
    desk.done("/v1/agent/service/register", r#"{"Name":"web","ID":"web-2","Tags":["v2"]}"#);
    assert_eq!(desk.json("/v1/catalog/datacenters"), json!(["dc1"]));
    assert_eq!(desk.json("/v1/catalog/services"), json!({ "web": ["blue", "v1", "v2"] }));
    assert_eq!(desk.json("/v1/catalog/services?node-meta=rack:7"), json!({}));
    let nodes = desk.json("/v1/catalog/nodes?near=_agent");
    assert_eq!((nodes.as_array().map(Vec::len), &nodes[0]["Node"]), (Some(1), &json!(NODE)));
    let ids = |target: &str, field: &str| {
        let all = desk.json(target);
        let ids = all.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids("/v1/catalog/service/web", "ServiceID"), ["web-1", "web-2"]);
    assert_eq!(ids("/v1/catalog/service/WEB?tag=V1&tag=blue", "ServiceID"), ["web-1"]);
    assert_eq!(ids("/v1/catalog/service/web?tag=v1&tag=v2", "ServiceID"), [""; 0]);
    let node = desk.json(&format!("/v1/catalog/node/{NODE}"));
    assert_eq!(node["Services"]["web-1"]["Port"], 8080);
    let services = desk.json(&format!("/v1/catalog/node-services/{NODE_ID}"));
    assert_eq!(services["Services"][1]["ID"], "web-2");
    assert_eq!(desk.json("/v1/status/leader"), json!(desk.address.to_string()));
    assert_eq!(desk.json("/v1/status/peers"), json!([desk.address.to_string()]));
}

#[test]
fn the_agent_says_who_it_is() {
    let desk = with_web();
    let own = desk.json("/v1/agent/self");
    assert_eq!((&own["Config"]["NodeName"], &own["Config"]["Datacenter"]), (&json!(NODE), &json!("dc1")));
    assert_eq!((&own["Member"]["Name"], &own["Member"]["Status"]), (&json!(NODE), &json!(1)));
    assert_eq!(desk.json("/v1/agent/members?wan=1")[0]["Addr"], "127.0.0.1");
    assert_eq!(desk.json("/v1/agent/checks")["service:web-1"]["ServiceName"], "web");
}

#[test]
fn reports_change_a_ttl_check_and_passing_goes_by_them() {
    let desk = with_web();
    let passing = || desk.json("/v1/health/service/web?passing").as_array().map(Vec::len);
    let check = || desk.json("/v1/health/checks/web")[0].clone();
    assert_eq!(passing(), Some(1));
    desk.done("/v1/agent/check/warn/service:web-1?note=slow+disk", "");
    assert_eq!(
        (passing(), check()["Status"].as_str(), check()["Output"].as_str()),
        (Some(0), Some("warning"), Some("slow disk"))
    );
    desk.done("/v1/agent/check/fail/service%3Aweb-1", "");
    assert_eq!(desk.json("/v1/health/state/critical")[0]["CheckID"], "service:web-1");
    desk.done("/v1/agent/check/update/service:web-1", r#"{"Status":"passing","Output":"fine"}"#);
    assert_eq!((passing(), check()["Output"].as_str()), (Some(1), Some("fine")));
    desk.done("/v1/agent/check/pass/service:web-1", "");
    assert_eq!(desk.json("/v1/health/state/any").as_array().map(Vec::len), Some(2));
    assert_eq!(desk.json(&format!("/v1/health/node/{NODE}")).as_array().map(Vec::len), Some(2));
}

#[test]
fn local_health_answers_with_the_status_that_load_balancers_go_by() {
    let desk = with_web();
    let status = |target: &str| desk.get(target).status();
    assert_eq!(status("/v1/agent/health/service/id/web-1"), 200);
    desk.done("/v1/agent/check/warn/service:web-1", "");
    assert_eq!(status("/v1/agent/health/service/name/web"), 429);
    desk.done("/v1/agent/check/fail/service:web-1", "");
    let text = desk.get("/v1/agent/health/service/id/web-1?format=text");
    assert_eq!((text.status(), text.text()), (503, "critical".to_owned()));
    let json = desk.get("/v1/agent/health/service/name/web");
    let all: Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(
        (&all[0]["AggregatedStatus"], &all[0]["Service"]["ID"]),
        (&json!("critical"), &json!("web-1"))
    );
    assert_eq!(status("/v1/agent/health/service/id/nobody"), 404);
    assert_eq!(status("/v1/agent/health/service/name/nobody"), 404);
}

#[test]
fn maintenance_is_a_critical_check_until_it_ends() {
    let desk = with_web();
    let passing = || desk.json("/v1/health/service/web?passing=true").as_array().map(Vec::len);
    desk.done("/v1/agent/service/maintenance/web-1?enable=true&reason=new+disk", "");
    let check = desk.json("/v1/agent/checks")["_service_maintenance:web-1"].clone();
    assert_eq!(
        (&check["Status"], &check["Notes"], &check["Type"]),
        (&json!("critical"), &json!("new disk"), &json!("maintenance"))
    );
    assert_eq!(passing(), Some(0));
    desk.done("/v1/agent/service/maintenance/web-1?enable=False", "");
    assert_eq!(passing(), Some(1));
    desk.done("/v1/agent/maintenance?enable=1", "");
    assert_eq!(passing(), Some(0));
    assert!(
        desk.json("/v1/agent/checks")["_node_maintenance"]["Notes"]
            .as_str()
            .is_some_and(|why| !why.is_empty())
    );
    desk.done("/v1/agent/maintenance?enable=0", "");
    assert_eq!(passing(), Some(1));
    assert_eq!(desk.put("/v1/agent/maintenance", "").status(), 400);
    assert_eq!(desk.put("/v1/agent/service/maintenance/nobody?enable=true", "").status(), 404);
}

#[test]
fn registering_again_replaces_checks_only_when_told_to() {
    let desk = with_web();
    desk.done("/v1/agent/check/register", r#"{"Name":"disk","ServiceID":"web-1","TTL":"1m"}"#);
    let checks = || desk.json("/v1/agent/checks").as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    desk.done("/v1/agent/service/register", WEB_1);
    assert_eq!(checks(), ["disk", "service:web-1"]);
    desk.done("/v1/agent/service/register?replace-existing-checks=true", WEB_1);
    assert_eq!(checks(), ["service:web-1"]);
    desk.done(
        "/v1/agent/check/register",
        r#"{"ID":"load","Name":"Load","TTL":60000000000,"Status":"warning"}"#,
    );
    assert_eq!(desk.json("/v1/agent/checks")["load"]["ServiceID"], "");
    desk.done("/v1/agent/check/deregister/load", "");
    desk.done("/v1/agent/service/deregister/web-1", "");
    assert_eq!(checks(), [""; 0]);
    assert_eq!(desk.json("/v1/agent/services"), json!({}));
}

#[test]
fn an_instance_that_says_it_drains_does_not_pass() {
    let desk = with_web();
    desk.done("/v1/agent/service/maintenance/web-1?enable=false", "");
    assert_eq!(desk.put("/registry/instances/web-1/state", "draining").status(), 200);
    assert_eq!(desk.json("/v1/health/service/web?passing"), json!([]));
    let checks = desk.json("/v1/health/checks/web");
    assert_eq!(
        (&checks[0]["CheckID"], &checks[0]["Output"]),
        (&json!("_forebay_state:web-1"), &json!("the instance says that it is draining"))
    );
}

#[test]
fn ids_may_have_any_character() {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", r#"{"Name":"web","ID":"a/b c","Check":{"TTL":"30s"}}"#);
    desk.done("/v1/agent/check/pass/service:a%2Fb%20c", "");
    desk.done("/v1/agent/check/pass/service:a/b%20c", "");
    assert_eq!(desk.json("/v1/agent/service/a%2Fb%20c")["ID"], "a/b c");
    desk.done("/v1/agent/service/deregister/a/b%20c", "");
    desk.done("/v1/agent/service/register", r#"{"Name":"café","ID":"ü\u00e9☕\"","Check":{"TTL":"30s"}}"#);
    desk.done("/v1/agent/check/pass/service:%C3%BC%C3%A9%E2%98%95%22?note=%E2%98%95", "");
    let check = desk.json("/v1/health/checks/caf%C3%A9")[0].clone();
    assert_eq!((&check["ServiceID"], &check["Output"]), (&json!("üé☕\""), &json!("☕")));
}

#[test]
fn a_body_may_come_in_chunks() {
    let desk = Desk::open();
    let head =
        "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "8\r\n{\"Name\":\r\n6;a=b\r\n\"web\"}\r\n0\r\n\r\n";
    let mut client = desk.client();
    assert_eq!(client.ask(format!("{head}{body}")).status(), 200);
    assert_eq!(desk.json("/v1/agent/service/web")["ID"], "web");
    // The connection goes on where the body ended.
    assert_eq!(client.ask(request("PUT", "/v1/agent/service/deregister/web", "")).status(), 200);
}

#[test]
fn tags_choose_instances_and_leave_lists_of_checks_whole() {
    let desk = with_web();
    desk.done(
        "/v1/agent/service/register",
        r#"{"Name":"web","ID":"web-2","Tags":["v2"],"Check":{"TTL":"30s"}}"#,
    );
    let count = |target: &str| desk.json(target).as_array().map(Vec::len);
    assert_eq!(count("/v1/health/service/web?tag=v2"), Some(1));
    assert_eq!(count("/v1/catalog/service/web?tag=v2"), Some(1));
    assert_eq!(count("/v1/health/checks/web?tag=v2"), Some(2), "Consul has no tag there");
}

#[test]
fn a_connection_serves_many_requests_and_head_has_no_body() {
    let desk = with_web();
    let mut client = desk.client();
    let first = client.ask("HEAD /v1/health/service/web HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(first.status(), 200);
    assert!(
        first.field("x-consul-index").is_some()
            && first.field("content-length").is_some_and(|length| length != "0")
    );
    let both = request("PUT", "/v1/agent/check/warn/service:web-1", "")
        + &request("PUT", "/v1/agent/check/pass/service:web-1", "");
    client.send(both).unwrap();
    assert_eq!([client.response().unwrap().status(), client.response().unwrap().status()], [200, 200]);
    let pretty = client.ask("GET /v1/agent/services?pretty HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(pretty.text().contains("\n  \"web-1\": {\n"), "{}", pretty.text());
    let old = desk.client().ask("GET /v1/status/leader HTTP/1.0\r\n\r\n");
    assert_eq!(old.status(), 200);
}

#[test]
fn requests_are_counted_by_route() {
    let desk = with_web();
    desk.get("/v1/agent/service/web-1");
    desk.get("/v1/agent/service/nobody");
    desk.get("/favicon.ico");
    let text = desk.metrics.expose(Exposition::negotiate(None));
    for (route, status) in [("/v1/agent/service/", 200), ("/v1/agent/service/", 404), ("none", 404)] {
        let sample = format!("forebay_registry_requests_total{{route=\"{route}\",status=\"{status}\"}} 1\n");
        assert!(text.contains(&sample), "{sample} in {text}");
    }
}
