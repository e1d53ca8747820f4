//! Who calls: found out before anything answers, told to the service, and never believed from outside.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use forebay_auth::{ApiKey, KeyEntry, KeyHash, KeyRing, KeyText, Timestamp};
use forebay_testkit::{Issuer, Message, PATIENCE, RunningGateway, Upstream, claims};
use serde_json::json;

use crate::cors::gone;
use crate::idempotency::{Keyed, counting};

/// An issuer's server, whose answer can be changed.
struct Publisher {
    upstream: Upstream,
    text: Arc<Mutex<String>>,
}

impl Publisher {
    fn of(issuers: &[&Issuer]) -> Publisher {
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

    fn jwt(&self, more: &str) -> String {
        let address = self.upstream.address();
        format!("jwt = {{ jwks = \"http://{address}/jwks\", audience = 'shop', consumer = 'azp', {more} }}")
    }
}

fn ok() -> Upstream {
    Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

/// A gateway whose `/api/*` is for known callers alone.
fn protected(upstream: &Upstream, policy: &str, more: &str) -> String {
    format!(
        "[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/api/*\"\nservice = \"a\"\nauth = \"customers\"\n\
         [[route]]\nmatch = \"/open\"\nservice = \"a\"\n{more}\n[auth.customers]\n{policy}\n",
        upstream.address()
    )
}

fn get(gateway: &RunningGateway, path: &str, fields: &str) -> Message {
    gateway.client().ask(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n"))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn basic(credentials: &str) -> String {
    use base64::Engine;
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(credentials))
}

fn metrics(gateway: &RunningGateway) -> String {
    gateway.surroundings().registry.expose(forebay_telemetry::metrics::Exposition::negotiate(None))
}

/// Asks again until it is so; for files that the gateway looks at by itself.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it did not happen");
        std::thread::yield_now();
    }
}

/// A file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> File {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = File(std::env::temp_dir().join(format!("forebay-auth-{}-{number}", std::process::id())));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        let next = self.0.with_extension("next");
        std::fs::write(&next, text).expect("a file");
        std::fs::rename(next, &self.0).expect("a file");
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
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
                   Trailer: forebay-subject\r\n\r\n0\r\nForebay-Subject: root\r\n\r\n";
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

fn ring(keys: &[(&KeyText, &str)]) -> KeyRing {
    let mut ring = KeyRing::default();
    for (key, consumer) in keys {
        let ApiKey { id, hash } = ApiKey::parse(key.reveal().as_bytes()).expect("a key");
        let entry = KeyEntry {
            id: id.to_owned(),
            consumer: consumer.parse().expect("a name"),
            sha256: KeyHash(hash),
            created: Timestamp::of(SystemTime::now()),
            expires: None,
            revoked: None,
        };
        ring.add(entry).expect("there is room");
    }
    ring
}

#[test]
fn a_key_opens_until_it_is_revoked_and_a_damaged_file_takes_nothing_away() {
    let (upstream, web, app) = (ok(), KeyText::new().expect("a key"), KeyText::new().expect("a key"));
    let mut ring = ring(&[(&web, "web"), (&app, "app")]);
    let file = File::new(&ring.text());
    let policy = format!("api_keys = {:?}\nforward_credentials = false", file.0);
    let gateway = RunningGateway::start(&protected(&upstream, &policy, ""));
    let with = |key: &KeyText| get(&gateway, "/api/1", &format!("X-Api-Key: {}\r\n", key.reveal()));
    assert_eq!((with(&web).status(), with(&app).status()), (200, 200));
    let seen = &upstream.requests()[0];
    assert_eq!((seen.field("forebay-consumer"), seen.field("forebay-subject")), (Some("web"), Some("web")));
    assert_eq!(seen.field("x-api-key"), None, "credentials stay here");
    for wrong in ["", "fbk_", &web.reveal().replace("fbk_", "fbk-"), KeyText::new().expect("a key").reveal()]
    {
        let refused = get(&gateway, "/api/1", &format!("X-Api-Key: {wrong}\r\n"));
        assert_eq!(refused.problem(), "credentials-invalid of client", "{wrong}");
        let challenge = "ApiKey realm=\"customers\", header=\"x-api-key\"";
        assert_eq!(refused.field("www-authenticate"), Some(challenge));
    }
    file.write("[[key]]\nid = 7\n");
    until(|| {
        metrics(&gateway).contains("auth_material_fetches_total{policy=\"customers\",outcome=\"failed\"} 1")
    });
    assert_eq!((with(&web).status(), with(&app).status()), (200, 200), "the last good one counts");
    let id = ApiKey::parse(web.reveal().as_bytes()).expect("a key").id.to_owned();
    assert!(ring.revoke(&id, SystemTime::now()));
    file.write(&ring.text());
    until(|| with(&web).status() == 401);
    assert_eq!(with(&app).status(), 200);
}

#[test]
fn a_password_is_checked_once_and_then_remembered() {
    let upstream = ok();
    let hash = bcrypt::hash("lovelace", 4).expect("a hash");
    let file = File::new(&format!("ada:{hash}\n"));
    let gateway = RunningGateway::start(&protected(&upstream, &format!("basic = {:?}", file.0), ""));
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/api/1", &basic("ada:lovelace")).status(), 200);
    }
    assert!(
        metrics(&gateway).contains("auth_cache_hits_total{policy=\"customers\"} 2"),
        "{}",
        metrics(&gateway)
    );
    for wrong in ["ada:byron", "eve:lovelace", "ada:"] {
        let refused = get(&gateway, "/api/1", &basic(wrong));
        assert_eq!(refused.problem(), "credentials-invalid of client", "{wrong}");
        let challenge = "Basic realm=\"customers\", charset=\"UTF-8\"";
        assert_eq!(refused.field("www-authenticate"), Some(challenge));
    }
    let changed = bcrypt::hash("byron", 4).expect("a hash");
    file.write(&format!("ada:{changed}\n"));
    until(|| get(&gateway, "/api/1", &basic("ada:byron")).status() == 200);
    assert_eq!(
        get(&gateway, "/api/1", &basic("ada:lovelace")).status(),
        401,
        "what was remembered is forgotten"
    );
    assert_eq!(upstream.requests()[0].field("forebay-subject"), Some("ada"));
}

/// A service that decides by the name in `Authorization`.
fn login() -> Upstream {
    Upstream::start(|connection| {
        loop {
            let request = connection.request()?;
            connection.send(match request.field("authorization") {
                Some("Bearer ada") => {
                    "HTTP/1.1 200 OK\r\nX-Auth-User: ada\r\nX-Auth-Roles: admin\r\nX-Other: 1\r\nContent-Length: 2\r\n\r\nok"
                }
                Some("Bearer eve") => "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!",
                Some("Bearer odd") => "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
                _ => "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"login\"\r\nContent-Length: 0\r\n\r\n",
            })?;
        }
    })
}

fn forward(login: std::net::SocketAddr, upstream: &Upstream, more: &str) -> String {
    let policy = format!(
        "forward = {{ service = 'login', path = '/auth', subject = 'x-auth-user', copy = ['x-auth-roles'], {more} }}"
    );
    protected(upstream, &policy, &format!("[service.login]\nendpoints = \"{login}\"\n"))
}

#[test]
fn a_service_decides_and_is_asked_once_where_that_is_enough() {
    let (upstream, login) = (ok(), login());
    let gateway = RunningGateway::start(&forward(login.address(), &upstream, "cache = '1m'"));
    let ask = |path: &str, name: &str| {
        get(&gateway, path, &format!("Authorization: Bearer {name}\r\nX-Auth-Roles: root\r\n"))
    };
    for path in ["/api/1?x=1", "/api/1?x=1", "/api/2"] {
        assert_eq!(ask(path, "ada").status(), 200);
    }
    let asked = login.requests();
    assert_eq!(asked.len(), 2, "one question for each request line");
    assert_eq!(asked[0].start, "GET /auth HTTP/1.1");
    assert_eq!(
        (asked[0].field("x-forwarded-method"), asked[0].field("x-forwarded-uri")),
        (Some("GET"), Some("/api/1?x=1"))
    );
    assert_eq!(
        (asked[0].field("x-forwarded-host"), asked[0].field("host")),
        (Some("shop.example"), Some("shop.example"))
    );
    for request in upstream.requests() {
        assert_eq!(
            (request.field("forebay-subject"), request.field("x-auth-roles")),
            (Some("ada"), Some("admin"))
        );
        assert_eq!(request.field("x-other"), None);
    }
    let refused = ask("/api/1", "bob");
    assert_eq!((refused.status(), refused.field("www-authenticate")), (401, Some("Bearer realm=\"login\"")));
    assert_eq!((ask("/api/1", "eve").status(), ask("/api/1", "odd").status()), (403, 503));
    assert_eq!(upstream.requests().len(), 3);
    assert_eq!(login.connections(), 1, "kept connections are used");
}

#[test]
fn a_service_that_decides_and_is_down_lets_nobody_in() {
    let upstream = ok();
    let gateway = RunningGateway::start(&forward(gone(), &upstream, ""));
    let refused = get(&gateway, "/api/1", "Authorization: Bearer ada\r\n");
    assert_eq!((refused.status(), refused.problem().as_str()), (503, "identity-source-down of forebay"));
    let silent = Upstream::start(|connection| {
        connection.request()?;
        connection.hang()
    });
    let gateway = RunningGateway::start(&forward(silent.address(), &upstream, "timeout = '50ms'"));
    assert_eq!(get(&gateway, "/api/1", "Authorization: Bearer ada\r\n").status(), 503);
    assert!(
        metrics(&gateway).contains("auth_decisions_total{policy=\"customers\",outcome=\"source down\"} 1")
    );
    assert_eq!(upstream.requests().len(), 0);
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
