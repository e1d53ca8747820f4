//! Rate limits, as clients and services see them: who is counted, what is counted, and what is left after a reload. Rates
//! are so slow that no test takes long enough to earn a request.

use forebay_auth::KeyText;
use forebay_testkit::{Issuer, Message, RunningGateway, Upstream, claims};

use crate::auth::{Publisher, bearer, get, metrics, ok, protected};
use crate::auth_asked::{File, ring};
use crate::idempotency::{Keyed, counting};

/// A route that answers by itself, with this limit.
fn own(limit: &str, more: &str) -> String {
    format!("[[route]]\nmatch = \"/*\"\nrespond = {{ body = \"ok\" }}\nrate_limit = {limit}\n{more}\n")
}

fn statuses<const N: usize>(mut ask: impl FnMut() -> Message) -> [u16; N] {
    std::array::from_fn(|_| ask().status())
}

/// What a client behind a trusted proxy gets.
fn from(gateway: &RunningGateway, address: &str) -> Message {
    get(gateway, "/", &format!("X-Forwarded-For: {address}\r\n"))
}

const BEHIND: &str = "[gateway]\ntrusted_proxies = [\"127.0.0.1\"]";

#[test]
fn a_burst_is_served_and_what_comes_beyond_is_told_when_to_come_back() {
    let upstream = ok();
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = \"{}\"\n[[route]]\nname = \"few\"\nmatch = \"/few\"\nservice = \"a\"\nrate_limit = \"2/h\"\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        upstream.address()
    ));
    assert_eq!(statuses(|| get(&gateway, "/few", "")), [200, 200, 429, 429]);
    let refused = get(&gateway, "/few", "");
    assert_eq!(refused.problem(), "rate-limited of client");
    assert_eq!(refused.field("retry-after"), Some("1800"));
    let body: serde_json::Value = serde_json::from_slice(&refused.body).expect("a problem");
    assert_eq!((&body["retry_after"], &body["retryable"]), (&1800.into(), &true.into()));
    assert_eq!(body["detail"], "this route takes 2/h from one address, at most 2 at once");
    assert_eq!(get(&gateway, "/other", "").status(), 200, "each route counts for itself");
    assert_eq!(upstream.requests().len(), 3);
    let metrics = metrics(&gateway);
    for line in [
        "http_server_requests_rate_limited_total{route=\"few\"} 3",
        "http_server_rate_limit_forgotten_total{route=\"few\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains("rate_limited_total{route=\"/*\"}"), "who has no limit has no series");
}

#[test]
fn a_connection_outlives_the_refusal_of_a_request_with_a_body() {
    let gateway = RunningGateway::start(&format!(
        "{}[[route]]\nmatch = \"/free\"\nrespond = {{}}\n",
        own("{ rate = \"1/d\" }", "")
    ));
    let mut client = gateway.client();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!([client.ask(post).status(), client.ask(post).status()], [200, 429]);
    assert_eq!(client.ask("GET /free HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
}

#[test]
fn a_page_that_is_allowed_reads_the_refusal_and_its_preflights_do_not_count() {
    let cors = "cors = \"shop\"\n[cors.shop]\norigins = [\"https://shop.example\", \"https://*.preview.example\"]\nmethods = [\"GET\", \"PUT\"]\n";
    let gateway = RunningGateway::start(&own("\"1/d\"", cors));
    let origin = "Origin: https://shop.example\r\n";
    let preflight =
        format!("OPTIONS / HTTP/1.1\r\nHost: a\r\n{origin}Access-Control-Request-Method: PUT\r\n\r\n");
    assert_eq!(statuses(|| gateway.client().ask(&preflight)), [204, 204, 204]);
    let first = get(&gateway, "/", origin);
    let refused = get(&gateway, "/", origin);
    assert_eq!((first.status(), refused.status()), (200, 429));
    assert_eq!(refused.field("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!((refused.field("vary"), refused.field("cache-control")), (Some("Origin"), Some("no-store")));
    let stranger = get(&gateway, "/", "Origin: https://evil.example\r\n");
    assert_eq!((stranger.status(), stranger.field("access-control-allow-origin")), (429, None));
    assert_eq!(gateway.client().ask(&preflight).status(), 204, "permission is not what is limited");
    let options = format!("OPTIONS / HTTP/1.1\r\nHost: a\r\n{origin}\r\n");
    assert_eq!(gateway.client().ask(options).status(), 429, "an OPTIONS that is no preflight counts");
}

#[test]
fn clients_count_by_their_addresses_and_networks_of_ipv6() {
    let gateway = RunningGateway::start(&own("\"2/d\"", BEHIND));
    let ask = |address: &str| from(&gateway, address).status();
    assert_eq!(["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"].map(ask), [200, 200, 429, 200]);
    let networks = ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3", "2001:db8:0:1::1"];
    assert_eq!(networks.map(ask), [200, 200, 429, 200]);
    // What a stranger says of himself is not believed.
    let gateway = RunningGateway::start(&own("\"2/d\"", ""));
    let ask = |address: &str| from(&gateway, address).status();
    assert_eq!(["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(ask), [200, 200, 429]);
}

#[test]
fn callers_count_by_subject_and_strangers_use_up_nothing_of_theirs() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let publisher = Publisher::of(&[&issuer]);
    let toml = |by: &str| {
        let toml = protected(&upstream, &publisher.jwt(""), "");
        toml.replacen(
            "service = \"a\"\n",
            &format!("service = \"a\"\nrate_limit = {{ rate = \"2/d\", by = \"{by}\" }}\n"),
            1,
        )
    };
    let [ada, eve] = ["ada", "eve"].map(|subject| bearer(&issuer.token(&claims(subject))));
    let gateway = RunningGateway::start(&toml("subject"));
    assert_eq!(statuses(|| get(&gateway, "/api/1", "")), [401; 4]);
    assert_eq!(statuses(|| get(&gateway, "/api/1", &ada)), [200, 200, 429]);
    assert_eq!(statuses(|| get(&gateway, "/api/1", &eve)), [200, 200, 429]);
    let gateway = RunningGateway::start(&toml("route"));
    assert_eq!(statuses(|| get(&gateway, "/api/1", "")), [401; 4]);
    assert_eq!([&ada, &eve, &ada].map(|token| get(&gateway, "/api/1", token).status()), [200, 200, 429]);
}

#[test]
fn guessing_is_limited_by_address() {
    let (upstream, issuer) = (ok(), Issuer::es256("1"));
    let publisher = Publisher::of(&[&issuer]);
    let toml = protected(&upstream, &publisher.jwt(""), "");
    let toml = toml.replacen("service = \"a\"\n", "service = \"a\"\nrate_limit = \"3/d\"\n", 1);
    let gateway = RunningGateway::start(&toml);
    assert_eq!(statuses(|| get(&gateway, "/api/1", &bearer("x.y.z"))), [401, 401, 401, 429]);
    let right = bearer(&issuer.token(&claims("ada")));
    assert_eq!(get(&gateway, "/api/1", &right).status(), 429, "a right guess is no better");
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn values_of_a_field_count_each_for_itself_and_who_has_none_by_address() {
    let gateway = RunningGateway::start(&own("{ rate = \"2/d\", by = \"header:X-Tenant\" }", ""));
    let ask = |fields: &str| get(&gateway, "/", fields).status();
    let (acme, other) = ("X-Tenant: acme\r\n", "x-tenant: Acme\r\n");
    assert_eq!([acme, acme, acme, other, other, other].map(ask), [200, 200, 429, 200, 200, 429]);
    let none = ["", "X-Tenant:\r\n", "X-Tenant: a\r\nX-Tenant: b\r\n"];
    assert_eq!(none.map(ask), [200, 200, 429], "none, an empty one and two are no value");
}

#[test]
fn a_field_counts_that_authentication_takes_off_or_puts_on() {
    let (upstream, web, app) = (ok(), KeyText::new().expect("a key"), KeyText::new().expect("a key"));
    let file = File::new(&ring(&[(&web, "web"), (&app, "app")]).text());
    let login = Upstream::answering("HTTP/1.1 204 No Content\r\nX-Tenant: acme\r\n\r\n");
    let limit =
        |by: &str| format!("service = \"a\"\nrate_limit = {{ rate = \"2/d\", by = \"header:{by}\" }}\n");
    let serve = |policy: &str, by: &str, more: &str| {
        let toml = protected(&upstream, policy, more).replacen("service = \"a\"\n", &limit(by), 1);
        RunningGateway::start(&toml)
    };
    let gateway = serve(&format!("api_keys = {:?}\nforward_credentials = false", file.0), "x-api-key", "");
    let with = |key: &KeyText| get(&gateway, "/api/1", &format!("X-Api-Key: {}\r\n", key.reveal())).status();
    assert_eq!([&web, &web, &web, &app].map(with), [200, 200, 429, 200]);
    let service = format!("[service.login]\nendpoints = \"{}\"\n", login.address());
    let gateway = serve("forward = { service = 'login', copy = ['x-tenant'] }", "x-tenant", &service);
    let said = |tenant: &str| get(&gateway, "/api/1", &format!("X-Tenant: {tenant}\r\n")).status();
    assert_eq!(["one", "two", "three"].map(said), [200, 200, 429], "it is the service's word that counts");
}

#[test]
fn a_request_counts_once_however_often_it_is_tried() {
    let busy = Upstream::answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = \"{}\"\nretry = {{ attempts = 3, budget = \"100%\", backoff = {{ base = \"1ms\", max = \"1ms\" }} }}\n\
         eject = {{ errors = 100 }}\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\nrate_limit = \"2/d\"\n",
        busy.address()
    ));
    assert_eq!(statuses(|| get(&gateway, "/", "")), [503, 503, 429]);
    assert_eq!(busy.requests().len(), 6);
}

#[test]
fn a_repeated_key_counts_and_its_refusal_can_be_tried_again() {
    let (upstream, _) = counting();
    let toml = |limit: &str| {
        format!(
            "[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n\
             idempotency = \"anonymous\"\nrate_limit = \"{limit}\"\n",
            upstream.address()
        )
    };
    let keyed = Keyed::serve(&toml("2/d"));
    let gateway = keyed.gateway.as_ref().expect("it runs");
    let post = || {
        gateway
            .client()
            .ask("POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}")
    };
    assert_eq!([post().text(), post().text()], ["order 1", "order 1"]);
    assert_eq!(post().status(), 429);
    gateway.reload(&toml("3/d"));
    assert_eq!(post().text(), "order 1", "the key is what it was");
}

#[test]
fn a_reload_gives_nobody_another_burst_unless_the_limit_is_another() {
    let gateway = RunningGateway::start(&own("\"2/d\"", ""));
    let left = || statuses::<3>(|| get(&gateway, "/", ""));
    assert_eq!(left(), [200, 200, 429]);
    gateway.reload(&own("{ rate = \"2/d\", burst = 2 }", "timeout = \"1s\""));
    assert_eq!(left(), [429; 3]);
    gateway.reload(&own("\"1/d\"", ""));
    assert_eq!(left(), [200, 429, 429]);
    gateway.reload(&own("\"1/d\"", "").replace("rate_limit = \"1/d\"", ""));
    assert_eq!(left(), [200; 3]);
    gateway.reload(&own("\"1/d\"", ""));
    assert_eq!(left(), [200, 429, 429], "what has no limit is not remembered");
}

#[test]
fn cores_count_together() {
    let gateway = RunningGateway::start_with(&own("\"40/d\"", ""), &[], 4);
    let served = std::thread::scope(|scope| {
        let ask = || (0..5).filter(|_| get(&gateway, "/", "").status() == 200).count();
        let clients = [0; 16].map(|_| scope.spawn(ask));
        clients.map(|client| client.join().expect("answers")).iter().sum::<usize>()
    });
    assert_eq!(served, 40);
}
