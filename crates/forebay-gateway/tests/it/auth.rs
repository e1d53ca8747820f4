//! Who calls: found out before anything answers, told to the service, and never believed from outside.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use forebay_shutdown::Kind;
use forebay_testkit::{Issuer, Message, PATIENCE, RunningGateway, Upstream, claims};
use serde_json::json;

use crate::cors::gone;
use crate::idempotency::{Keyed, counting};

/// An issuer's server, whose answer can be changed.
pub(crate) struct Publisher {
    upstream: Upstream,
    text: Arc<Mutex<String>>,
}

impl Publisher {
    pub(crate) fn of(issuers: &[&Issuer]) -> Publisher {
        let text = Arc::new(Mutex::new(Issuer::jwks(issuers)));
        let shown = text.clone();
        let upstream = Upstream::start(move |connection| {
            connection.request()?;
            let text = shown.lock().expect("nobody panicked").clone();
            let length = text.len();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}"))
        });
        Publisher { upstream, text }
    }

    fn publish(&self, issuers: &[&Issuer]) {
        *self.text.lock().expect("nobody panicked") = Issuer::jwks(issuers);
    }

    pub(crate) fn jwt(&self, more: &str) -> String {
        let address = self.upstream.address();
        format!("jwt = {{ jwks = \"http://{address}/jwks\", audience = 'shop', consumer = 'azp', {more} }}")
    }
}

pub(crate) fn ok() -> Upstream {
    Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

/// A gateway whose `/api/*` is for known callers alone.
pub(crate) fn protected(upstream: &Upstream, policy: &str, more: &str) -> String {
    format!(
        "[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/api/*\"\nservice = \"a\"\nauth = \"customers\"\n\
         [[route]]\nmatch = \"/open\"\nservice = \"a\"\n{more}\n[auth.customers]\n{policy}\n",
        upstream.address()
    )
}

pub(crate) fn get(gateway: &RunningGateway, path: &str, fields: &str) -> Message {
    gateway.client().ask(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n"))
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(crate) fn metrics(gateway: &RunningGateway) -> String {
    gateway.surroundings().registry.expose(forebay_telemetry::metrics::Exposition::negotiate(None))
}

#[test]
fn a_token_opens_and_the_service_learns_who_calls() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let publisher = Publisher::of(&[&issuer]);
    let gateway = RunningGateway::start(&protected(&upstream, &publisher.jwt(""), ""));
    let token = issuer.token(&claims("ada"));
    assert_eq!(get(&gateway, "/api/1", &bearer(&token)).status(), 200, "the first waits for the keys");
    let seen = upstream.only_request();
    assert_eq!((seen.field("forebay-subject"), seen.field("forebay-consumer")), (Some("ada"), Some("web")));
    assert_eq!(seen.field("authorization"), Some(&*format!("Bearer {token}")));
    let none = get(&gateway, "/api/1", "");
    assert_eq!((none.status(), none.problem().as_str()), (401, "credentials-missing of client"));
    assert_eq!(none.field("www-authenticate"), Some("Bearer realm=\"customers\""));
    assert_eq!(none.field("cache-control"), Some("no-store"));
    let mut old = claims("ada");
    old["exp"] = json!(1000);
    let expired = get(&gateway, "/api/1", &bearer(&issuer.token(&old)));
    assert_eq!(expired.problem(), "credentials-invalid of client");
    assert!(expired.field("www-authenticate").is_some_and(|text| text.contains("error=\"invalid_token\"")));
    assert_eq!(get(&gateway, "/open", "").status(), 200, "other routes ask nobody");
    assert_eq!(upstream.requests().len(), 2, "no stranger reached the service");
    let metrics = metrics(&gateway);
    for line in [
        "auth_decisions_total{policy=\"customers\",outcome=\"allowed\"} 1",
        "auth_decisions_total{policy=\"customers\",outcome=\"expired\"} 1",
        "auth_decisions_total{policy=\"customers\",outcome=\"no credentials\"} 1",
        "auth_material_fetches_total{policy=\"customers\",outcome=\"ok\"} 1",
        "auth_material_usable{policy=\"customers\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains("ada"), "nobody's name is a label");
}

#[test]
fn an_allowed_page_reads_the_refusal_and_its_preflight_needs_no_credentials() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let publisher = Publisher::of(&[&issuer]);
    let cors = "[gateway]\ncors = \"shop\"\n[cors.shop]\norigins = [\"https://shop.example\", \"https://*.preview.example\"]\n\
                headers = [\"authorization\"]\nmethods = [\"GET\", \"PUT\"]\ncredentials = true\n";
    let gateway = RunningGateway::start(&protected(&upstream, &publisher.jwt("scopes = ['orders']"), cors));
    let origin = "Origin: https://shop.example\r\n";
    let preflight = gateway.client().ask(format!(
        "OPTIONS /api/1 HTTP/1.1\r\nHost: api.example\r\n{origin}Access-Control-Request-Method: PUT\r\n\
         Access-Control-Request-Headers: authorization\r\n\r\n"
    ));
    assert_eq!(
        (preflight.status(), preflight.field("access-control-allow-methods")),
        (204, Some("GET, PUT"))
    );
    let token = issuer.token(&claims("ada"));
    for (fields, status) in [(String::new(), 401), (bearer("x.y.z"), 401), (bearer(&token), 403)] {
        let answer = get(&gateway, "/api/1", &format!("{origin}{fields}"));
        assert_eq!(answer.status(), status);
        assert_eq!(answer.field("access-control-allow-origin"), Some("https://shop.example"), "{status}");
        assert_eq!((answer.field("vary"), answer.field("cache-control")), (Some("Origin"), Some("no-store")));
        let stranger = get(&gateway, "/api/1", &format!("Origin: https://evil.example\r\n{fields}"));
        assert_eq!((stranger.status(), stranger.field("access-control-allow-origin")), (status, None));
    }
    assert_eq!(upstream.requests().len(), 0);
    // An OPTIONS that is no preflight is a request like others.
    let options =
        gateway.client().ask(format!("OPTIONS /api/1 HTTP/1.1\r\nHost: api.example\r\n{origin}\r\n"));
    assert_eq!(options.status(), 401);
}

#[test]
fn nobody_says_from_outside_who_calls() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let publisher = Publisher::of(&[&issuer]);
    let login = Upstream::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let more = format!(
        "[service.login]\nendpoints = \"{}\"\n[auth.asked]\nforward = {{ service = 'login', copy = ['x-auth-roles'] }}\n\
         [service.local]\nendpoints = \"{}\"\nlocal_port = 0\n",
        login.address(),
        upstream.address()
    );
    let gateway = RunningGateway::start(&protected(&upstream, &publisher.jwt(""), &more));
    let spoofed = "Forebay-Subject: root\r\nforebay_subject: root\r\nFOREBAY-CONSUMER: root\r\nForebay_Consumer: root\r\n\
                   X-Auth-Roles: admin\r\nx_auth_roles: admin\r\nConnection: forebay-subject\r\nX-Kept: 1\r\n";
    get(&gateway, "/open", spoofed);
    get(&gateway, "/api/1", &format!("{spoofed}{}", bearer(&issuer.token(&claims("ada")))));
    let port = gateway.local_address("local");
    let host = format!("127.0.0.1:{}", port.port());
    forebay_testkit::ask(port, format!("GET / HTTP/1.1\r\nHost: {host}\r\n{spoofed}\r\n"));
    let chunked = "POST /open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: te\r\n\
                   Trailer: forebay-subject\r\n\r\n0\r\nForebay-Subject: root\r\nforebay_subject: root\r\nFOREBAY_CONSUMER: root\r\n\
                   x_auth_roles: admin\r\nX-Auth-Roles: admin\r\n\r\n";
    gateway.client().ask(chunked);
    let seen = upstream.requests();
    assert_eq!(seen.len(), 4);
    for (at, request) in seen.iter().enumerate() {
        let text = format!("{request:?}");
        assert!(!text.contains("root") && !text.contains("admin"), "{text}");
        assert_eq!(request.field("x-kept").is_some(), at < 3);
        assert_eq!(request.field("forebay-subject"), (at == 1).then_some("ada"));
    }
}

#[test]
fn a_key_that_is_new_is_found_and_one_that_is_gone_is_not() {
    let (upstream, old, new) = (ok(), Issuer::es256("old"), Issuer::rs256("new"));
    let publisher = Publisher::of(&[&old]);
    let gateway = RunningGateway::start(&protected(&upstream, &publisher.jwt(""), ""));
    assert_eq!(get(&gateway, "/api/1", &bearer(&old.token(&claims("ada")))).status(), 200);
    publisher.publish(&[&new]);
    assert_eq!(get(&gateway, "/api/1", &bearer(&new.token(&claims("ada")))).status(), 200, "at once");
    assert_eq!(get(&gateway, "/api/1", &bearer(&old.token(&claims("ada")))).status(), 401);
    let fetched = publisher.upstream.connections();
    for number in 0..50 {
        let stranger = Issuer::eddsa(&number.to_string());
        let refused = get(&gateway, "/api/1", &bearer(&stranger.token(&claims("eve"))));
        assert_eq!(refused.problem(), "credentials-invalid of client");
    }
    assert_eq!((fetched, publisher.upstream.connections()), (2, 2), "strangers cannot have keys fetched");
}

#[test]
fn a_key_that_is_new_is_found_though_a_fetch_under_way_brings_those_of_before() {
    let (upstream, old, new) = (ok(), Issuer::es256("old"), Issuer::rs256("new"));
    let texts = [Issuer::jwks(&[&old]), Issuer::jwks(&[&new])];
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let issuer = Upstream::start(move |connection| {
        connection.request()?;
        if connection.number == 0 {
            // Until the test says so, or has failed.
            let _ = waits.lock().expect("nobody panicked").recv();
        }
        let text = &texts[connection.number.min(1)];
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    });
    let jwt = format!("jwt = {{ jwks = \"http://{}/jwks\", audience = 'shop' }}", issuer.address());
    let gateway = RunningGateway::start(&protected(&upstream, &jwt, ""));
    issuer.wait_for_requests(1);
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| get(&gateway, "/api/1", &bearer(&new.token(&claims("ada")))));
        let arrived = || gateway.surroundings().shutdown.progress()[Kind::Request].in_flight == 1;
        let begun = Instant::now();
        while !arrived() {
            assert!(begun.elapsed() < PATIENCE, "the request did not come");
            std::thread::yield_now();
        }
        // The core serves others once it waits for the fetch.
        assert_eq!(get(&gateway, "/open", "").status(), 200);
        go_on.send(()).expect("the issuer waits");
        asked.join().expect("an answer")
    });
    assert_eq!((answer.status(), issuer.connections()), (200, 2));
}

#[test]
fn while_the_issuer_is_down_the_last_keys_count_and_without_any_nobody_gets_in() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let mut publisher = Publisher::of(&[&issuer]);
    let token = bearer(&issuer.token(&claims("ada")));
    let toml = protected(&upstream, &publisher.jwt(""), "");
    let gateway = RunningGateway::start(&toml);
    assert_eq!(get(&gateway, "/api/1", &token).status(), 200);
    publisher.upstream.kill();
    assert_eq!(get(&gateway, "/api/1", &token).status(), 200);
    gateway.reload(&format!("{toml}forward_credentials = false\n"));
    assert_eq!(get(&gateway, "/api/1", &token).status(), 200, "keys outlive a reload");
    assert_eq!(upstream.requests()[2].field("authorization"), None);

    let jwt = format!("jwt = {{ jwks = \"http://{}/jwks\", audience = 'shop' }}", gone());
    let gateway = RunningGateway::start(&protected(&upstream, &jwt, ""));
    let refused = get(&gateway, "/api/1", &token);
    assert_eq!((refused.status(), refused.problem().as_str()), (503, "identity-source-down of forebay"));
    assert!(refused.field("retry-after").is_some());
    assert_eq!(get(&gateway, "/api/1", "").status(), 401, "who has no token need not wait for keys");
    let metrics = metrics(&gateway);
    assert!(
        metrics.contains("auth_decisions_total{policy=\"customers\",outcome=\"source down\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("auth_material_usable{policy=\"customers\"} 0"), "{metrics}");
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn an_issuer_that_is_silent_is_no_fault_of_the_client() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let silent = Upstream::start(|connection| {
        connection.request()?;
        connection.hang()
    });
    // One takes connections and answers nothing, the other takes none.
    for address in [silent.address(), gone()] {
        let jwt = format!("jwt = {{ jwks = \"http://{address}/jwks\", audience = 'shop' }}");
        let gateway = RunningGateway::start(&protected(&upstream, &jwt, ""));
        let refused = get(&gateway, "/api/1", &bearer(&issuer.token(&claims("ada"))));
        assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")), "{address}");
        assert_eq!(refused.problem(), "identity-source-down of forebay");
        assert!(refused.text().contains("at the moment nobody can say who calls"), "{}", refused.text());
        assert_eq!(refused.field("www-authenticate"), None, "other credentials would not help");
        assert_eq!(get(&gateway, "/api/1", "").status(), 401, "who has no token need not wait");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn keys_may_come_over_tls_and_a_stranger_cannot_give_others() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let root = forebay_testkit::TestRoot::new();
    let text = Issuer::jwks(&[&issuer]);
    let publisher = Upstream::start_tls(root.clone(), move |connection| {
        connection.request()?;
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    });
    let port = publisher.address().port();
    let policy = |roots: &str| {
        let jwt = format!(
            "jwt = {{ jwks = \"https://localhost:{port}/jwks\", audience = 'shop', roots = '{roots}' }}"
        );
        protected(&upstream, &jwt, "")
    };
    let other = forebay_testkit::TestRoot::new();
    let files = [("root.pem", root.root_pem()), ("other.pem", other.root_pem())];
    let token = bearer(&issuer.token(&claims("ada")));
    let gateway = RunningGateway::start_with(&policy("root.pem"), &files, 1);
    assert_eq!(get(&gateway, "/api/1", &token).status(), 200);
    let gateway = RunningGateway::start_with(&policy("other.pem"), &files, 1);
    assert_eq!(get(&gateway, "/api/1", &token).problem(), "identity-source-down of forebay");
}

#[test]
fn a_default_holds_unless_a_route_opts_out_and_bodies_are_bounded_before() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let publisher = Publisher::of(&[&issuer]);
    let gateway = RunningGateway::start(&format!(
        "[gateway]\nauth = \"customers\"\nmax_body = \"10B\"\n[service.a]\nendpoints = \"{}\"\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n[[route]]\nmatch = \"/open\"\nservice = \"a\"\nauth = \"none\"\n\
         [[route]]\nmatch = \"/moved\"\nredirect = \"/open\"\n[auth.customers]\n{}\n",
        upstream.address(),
        publisher.jwt("")
    ));
    let statuses = ["/a", "/moved", "/open"].map(|path| get(&gateway, path, "").status());
    assert_eq!(statuses, [401, 401, 200]);
    let long = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world";
    assert_eq!(gateway.client().ask(long).status(), 413, "before anybody is asked who he is");
    let mut client = gateway.client();
    let short = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(client.ask(short).status(), 401);
    assert_eq!(client.ask("GET /open HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200, "the connection stays");
}

#[test]
fn a_key_of_a_request_is_its_callers_own() {
    let (upstream, done) = counting();
    let issuer = Issuer::es256("1");
    let publisher = Publisher::of(&[&issuer]);
    let keyed = Keyed::serve(&format!(
        "[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\nauth = \"customers\"\n\
         idempotency = \"subject\"\n[auth.customers]\n{}\n",
        upstream.address(),
        publisher.jwt("")
    ));
    let gateway = keyed.gateway.as_ref().expect("it runs");
    let post = |subject: &str| {
        let token = bearer(&issuer.token(&claims(subject)));
        gateway.client().ask(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n{token}Content-Length: 2\r\n\r\n{{}}"
        ))
    };
    assert_eq!((post("ada").text(), post("ada").text()), ("order 1".to_owned(), "order 1".to_owned()));
    let bob = post("bob");
    assert_eq!(
        (bob.text().as_str(), bob.field("idempotent-replayed")),
        ("order 2", None),
        "never another's answer"
    );
    assert_eq!(done.load(Ordering::Relaxed), 2);
    let nobody =
        gateway.client().ask("POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(nobody.status(), 401);
}
