//! Callers known by what Forebay looks up or asks for: keys and passwords in files, a service that decides.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Instant, SystemTime};

use forebay_auth::{ApiKey, KeyEntry, KeyHash, KeyRing, KeyText, Timestamp};
use forebay_testkit::{PATIENCE, RunningGateway, Upstream};

use crate::auth::{get, metrics, ok, protected};
use crate::cors::gone;

pub(crate) fn basic(credentials: &str) -> String {
    use base64::Engine;
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(credentials))
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
pub(crate) struct File(pub(crate) PathBuf);

impl File {
    pub(crate) fn new(text: &str) -> File {
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

pub(crate) fn ring(keys: &[(&KeyText, &str)]) -> KeyRing {
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

/// So many cores, each of which serves at least one of these connections: a core keeps at most one more than another has.
fn on_all_cores(gateway: &RunningGateway, cores: usize) -> Vec<forebay_testkit::Client> {
    (0..4 * cores).map(|_| gateway.client()).collect()
}

#[test]
fn what_one_core_had_checked_no_other_has_checked_again() {
    const CORES: usize = 2;
    let upstream = ok();
    let hash = bcrypt::hash("lovelace", 4).expect("a hash");
    let file = File::new(&format!("ada:{hash}\n"));
    let toml = protected(&upstream, &format!("basic = {:?}", file.0), "");
    let gateway = RunningGateway::start_with(&toml, &[], CORES);
    let mut clients = on_all_cores(&gateway, CORES);
    let request = format!("GET /api/1 HTTP/1.1\r\nHost: a\r\n{}\r\n", basic("ada:lovelace"));
    for client in &mut clients {
        assert_eq!(client.ask(&request).status(), 200);
    }
    let hits = format!("auth_cache_hits_total{{policy=\"customers\"}} {}", clients.len() - 1);
    assert!(metrics(&gateway).contains(&hits), "no {hits} in {}", metrics(&gateway));
    let wrong = format!("GET /api/1 HTTP/1.1\r\nHost: a\r\n{}\r\n", basic("ada:byron"));
    for client in &mut clients {
        assert_eq!(client.ask(&wrong).status(), 401, "a wrong one is right nowhere");
    }
    assert!(metrics(&gateway).contains(&hits), "and is never remembered");
}

#[test]
fn many_that_come_at_once_with_one_password_cost_few_checks() {
    const CORES: usize = 2;
    let upstream = ok();
    let hash = bcrypt::hash("lovelace", 7).expect("a hash");
    let file = File::new(&format!("ada:{hash}\n"));
    let toml = protected(&upstream, &format!("basic = {:?}", file.0), "");
    let gateway = RunningGateway::start_with(&toml, &[], CORES);
    let clients = on_all_cores(&gateway, CORES);
    let count = clients.len();
    let request = format!("GET /api/1 HTTP/1.1\r\nHost: a\r\n{}\r\n", basic("ada:lovelace"));
    std::thread::scope(|scope| {
        for mut client in clients {
            let request = &request;
            scope.spawn(move || assert_eq!(client.ask(request).status(), 200));
        }
    });
    let text = metrics(&gateway);
    let hits = text.split("auth_cache_hits_total{policy=\"customers\"} ").nth(1);
    let hits: usize = hits.and_then(|rest| rest.lines().next()?.parse().ok()).expect("a number");
    // Two checks run at a time, so the first two may be of the same.
    assert!(hits >= count - 2, "{hits} of {count} were remembered");
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
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn why_a_service_that_decides_gave_no_answer_is_told_apart() {
    let upstream = ok();
    let silent = Upstream::start(|connection| {
        connection.request()?;
        connection.hang()
    });
    let rude = Upstream::start(|connection| {
        connection.request()?;
        Ok(())
    });
    let answering = |answer: &'static str| Upstream::answering(answer);
    let failing = answering("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    let odd = answering("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n");
    let garbled = answering("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
    let twice = answering("HTTP/1.1 200 OK\r\nX-Auth-User: a\r\nX-Auth-User: b\r\nContent-Length: 0\r\n\r\n");
    for (address, outcome) in [
        (gone(), "service not reached"),
        (silent.address(), "service timed out"),
        (rude.address(), "service broke off"),
        (failing.address(), "service failed"),
        (odd.address(), "service unclear"),
        (garbled.address(), "service unclear"),
        (twice.address(), "service unclear"),
    ] {
        let gateway = RunningGateway::start(&forward(address, &upstream, "timeout = '100ms'"));
        let refused = get(&gateway, "/api/1", "Authorization: Bearer ada\r\n");
        assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")), "{outcome}");
        assert!(refused.text().contains("at the moment nobody can say who calls"), "one text: {outcome}");
        let line = format!("auth_decisions_total{{policy=\"customers\",outcome=\"{outcome}\"}} 1");
        assert!(metrics(&gateway).contains(&line), "no {line} in {}", metrics(&gateway));
    }
    let nowhere = "[service.login]\nendpoints = \"file:none.json\"\n";
    let policy = "forward = { service = 'login', path = '/auth' }";
    let gateway = RunningGateway::start(&protected(&upstream, policy, nowhere));
    assert_eq!(get(&gateway, "/api/1", "").status(), 503);
    let line = "auth_decisions_total{policy=\"customers\",outcome=\"service without endpoint\"} 1";
    assert!(metrics(&gateway).contains(line), "{}", metrics(&gateway));
    assert_eq!(upstream.requests().len(), 0);
}
