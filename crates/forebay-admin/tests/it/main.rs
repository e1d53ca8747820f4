//! Claims about the admin listener, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod client;
mod house;

use forebay_admin::CONNECTIONS_MAX;
use forebay_shutdown::Phase;
use serde_json::Value;

use crate::client::Answer;
use crate::house::{House, SECRET, with_house};

/// The paths of all routes, as the index lists them.
const PATHS: [&str; 8] =
    ["/", "/livez", "/readyz", "/metrics", "/config", "/services", "/generation", "/cors"];

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.field("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).expect("a JSON document")
}

fn problem(answer: &Answer) -> Value {
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    serde_json::from_str(&answer.body).expect("a JSON document")
}

#[test]
fn the_index_lists_every_route() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        let index = client.get("/").await;
        assert_eq!(index.field("content-type"), Some("text/plain; charset=utf-8"));
        for path in PATHS {
            assert!(index.body.contains(&format!("  GET {path} ")), "{path} in {}", index.body);
            assert_eq!(client.get(path).await.status, 200, "{path}");
        }
        assert_eq!(index.body.lines().count(), PATHS.len() + 1);
    });
}

#[test]
fn services_show_health_and_reasons() {
    with_house(async |house: &House| {
        house.probed().await;
        let mut client = house.client().await;
        let services = json(&client.get("/services?format=json").await);
        let orders = &services["services"][0];
        let endpoint = |place: usize| &orders["endpoints"][place];
        assert_eq!((&orders["name"], &endpoint(0)["health"]), (&"orders".into(), &"healthy".into()));
        assert_eq!(endpoint(1)["health"], "unhealthy");
        assert_eq!(endpoint(1)["reason"], "connection refused");
        assert_eq!(orders["sources"][0]["state"], "static");
        let text = client.get("/services").await.body;
        assert!(text.starts_with("orders: 2 endpoints, 1 eligible\n"), "{text}");
        assert!(text.contains("\n\npayments: 1 endpoint, 0 eligible\n"), "{text}");
    });
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        assert!(
            client.get("/config").await.body.contains("admin.listen = \"127.0.0.1:0\"  # forebay.toml:3:10")
        );
        let settings = json(&client.get_with("/config", "Accept: application/json\r\n").await);
        assert_eq!(settings[1]["key"], "token");
        assert_eq!(settings[1]["value"], "[redacted]");
        for path in PATHS {
            for accept in ["", "Accept: application/json\r\n"] {
                let answer = client.get_with(&format!("{path}?verbose"), accept).await;
                assert!(!answer.body.contains(SECRET), "{path}");
            }
        }
    });
}

#[test]
fn the_generation_says_how_the_last_reload_went() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        let generation = json(&client.get("/generation?format=json").await);
        assert_eq!((&generation["number"], &generation["last_reload"]), (&1.into(), &Value::Null));
        house.reject_reload("error: unknown key `timout` in [gateway]\n  --> forebay.toml:12:1\n");
        let text = client.get("/generation").await.body;
        assert!(text.contains("; generation 1 stays in force\n\nerror: unknown key `timout`"), "{text}");
        let ready = client.get("/readyz?verbose").await;
        assert_eq!(ready.status, 200);
        assert!(
            ready.body.contains("[!]configuration warning: the last reload was rejected"),
            "{}",
            ready.body
        );
    });
}

#[test]
fn a_dead_service_warns_and_the_process_stays_ready() {
    with_house(async |house: &House| {
        house.probed().await;
        let mut client = house.client().await;
        let ready = client.get("/readyz").await;
        assert_eq!((ready.status, &*ready.body), (200, "ok\n"));
        let verbose = client.get("/readyz?verbose").await;
        let expected = "[+]accepting ok\n\
                        [+]configuration ok: generation 1\n\
                        [+]state directory ok: held\n\
                        [+]service orders ok\n\
                        [!]service payments warning: 0 of 1 endpoints eligible: 127.0.0.1:9003 connection refused\n\
                        readyz check passed\n";
        assert_eq!((verbose.status, &*verbose.body), (200, expected));
    });
}

#[test]
fn a_failed_check_makes_it_unready_and_not_dead() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        house.warn_check("slow");
        assert_eq!(client.get("/readyz").await.body, "ok\n");
        assert!(client.get("/readyz?verbose").await.body.contains("[!]state directory warning: slow\n"));
        house.fail_check("lock lost");
        let ready = client.get("/readyz").await;
        assert_eq!((ready.status, &*ready.body), (503, "not ready\n"));
        assert!(client.get("/readyz?verbose").await.body.contains("[-]state directory failed: lock lost\n"));
        assert_eq!(client.get("/livez").await.body, "ok\n");
    });
}

#[test]
fn readiness_fails_while_the_process_drains_and_is_answered_to_the_end() {
    with_house(async |house: &House| {
        let mut kept = house.client().await;
        assert_eq!(kept.get("/readyz").await.status, 200);
        for phase in [Phase::LameDuck, Phase::Draining] {
            house.shutdown.enter(phase);
            let mut client = house.client().await;
            let answer = client.get("/readyz?verbose").await;
            assert_eq!(answer.status, 503, "{phase:?}");
            assert!(answer.body.starts_with("[-]accepting failed: stopping; "), "{}", answer.body);
            assert_eq!(answer.field("connection"), Some("close"));
            assert!(client.is_closed().await);
            assert_eq!(house.client().await.get("/livez").await.status, 200);
        }
        house.shutdown.enter(Phase::Stopped);
        house.served().await.expect("it ends in peace");
        assert!(kept.is_closed().await);
    });
}

#[test]
fn what_a_foreign_page_sends_is_refused() {
    with_house(async |house: &House| {
        let own = house.address;
        let mut client = house.client().await;
        for (host, origin, expected) in [
            ("evil.example".to_owned(), None, (421, "urn:forebay:problem:foreign-host")),
            (format!("evil.example:{}", own.port()), None, (421, "urn:forebay:problem:foreign-host")),
            ("localhost:1".to_owned(), None, (421, "urn:forebay:problem:foreign-host")),
            (own.to_string(), Some("http://evil.example"), (403, "urn:forebay:problem:foreign-origin")),
            (own.to_string(), Some("null"), (403, "urn:forebay:problem:foreign-origin")),
        ] {
            let origin = origin.map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
            for path in ["/livez", "/nowhere"] {
                client.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n")).await;
                let answer = client.receive().await;
                let document = problem(&answer);
                assert_eq!((answer.status, document["type"].as_str()), (expected.0, Some(expected.1)));
            }
        }
        for host in [format!("localhost:{}", own.port()), "[::1]".to_owned(), own.to_string()] {
            client
                .send(&format!("GET /livez HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n\r\n"))
                .await;
            assert_eq!(client.receive().await.status, 200, "{host}");
        }
    });
}

#[test]
fn a_request_target_in_absolute_form_is_for_the_host_it_names() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        client.send("GET http://evil.example/config HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(client.receive().await.status, 421);
    });
}

#[test]
fn an_old_health_checker_without_host_is_answered() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        client.send("GET /readyz HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.receive().await.status, 200);
        assert!(client.is_closed().await);
    });
}

#[test]
fn what_is_not_there_is_a_problem() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        let missing = client.get("/nowhere?token=hush").await;
        assert_eq!(
            (missing.status, problem(&missing)["type"].as_str().unwrap()),
            (404, "urn:forebay:problem:no-admin-route")
        );
        assert!(!missing.body.contains("hush"));
        client.send("DELETE /config HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let refused = client.receive().await;
        assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD")));
        assert_eq!(problem(&refused)["fault"], "client");
        let unknown = client.get("/services?format=yaml").await;
        assert_eq!((unknown.status, problem(&unknown)["status"].as_u64()), (400, Some(400)));
    });
}

#[test]
fn a_head_request_gets_the_head_alone() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        for path in PATHS {
            client.send(&format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
            let head = client.receive_head().await;
            assert_eq!((head.status, &*head.body), (200, ""), "{path}");
            assert!(head.field("content-length").is_some_and(|length| length != "0"), "{path}");
        }
        // Had a body followed, this would not be an answer.
        assert_eq!(client.get("/livez").await.body, "ok\n");
    });
}

#[test]
fn a_connection_serves_requests_in_order_and_passes_over_bodies() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        client
            .send(
                "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello\
                 GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n\
                 POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
                 GET /generation HTTP/1.1\r\nHost: localhost\r\n\r\n",
            )
            .await;
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(client.receive().await.status);
        }
        assert_eq!(statuses, [200, 200, 405, 200]);
    });
}

#[test]
fn metrics_are_in_the_format_the_scraper_prefers() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        client.get("/livez").await;
        client.get("/nowhere").await;
        let plain = client.get("/metrics").await;
        assert_eq!(plain.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        for line in plain.body.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            assert!(name.starts_with(|first: char| first.is_ascii_lowercase()), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
        let sample = "forebay_admin_requests_total{route=\"/livez\",status=\"200\"} 1\n";
        assert!(plain.body.contains(sample), "{}", plain.body);
        assert!(plain.body.contains("forebay_admin_requests_total{route=\"none\",status=\"404\"} 1\n"));
        let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
        let open = client.get_with("/metrics", accept).await;
        assert!(
            open.field("content-type").is_some_and(|media| media.starts_with("application/openmetrics-text"))
        );
        assert!(open.body.ends_with("# EOF\n"));
    });
}

#[test]
fn nothing_is_stored_or_guessed_about_an_answer() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        for path in ["/config", "/nowhere"] {
            let answer = client.get(path).await;
            assert_eq!(answer.field("cache-control"), Some("no-store"));
            assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        }
    });
}

#[test]
fn what_is_not_http_is_refused_and_counted() {
    with_house(async |house: &House| {
        let mut client = house.client().await;
        client.send("GET /livez HTTP/1.1\nHost: localhost\n\n").await;
        assert_eq!(client.receive().await.status, 400);
        assert!(client.is_closed().await);
        let metrics = house.client().await.get("/metrics").await.body;
        assert!(
            metrics.contains("forebay_admin_requests_total{route=\"none\",status=\"400\"} 1\n"),
            "{metrics}"
        );
    });
}

#[test]
fn a_full_house_makes_newcomers_wait() {
    with_house(async |house: &House| {
        let mut seated = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut client = house.client().await;
            assert_eq!(client.get("/livez").await.status, 200);
            seated.push(client);
        }
        let mut newcomer = house.client().await;
        newcomer.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        // The seated go on; once one has left, the newcomer is next.
        assert_eq!(seated[0].get("/livez").await.status, 200);
        assert!(!newcomer.has_answer());
        drop(seated.pop());
        assert_eq!(newcomer.receive().await.status, 200);
    });
}
