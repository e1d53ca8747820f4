//! A POST with a key runs once, whatever its client does; the store here is the one that is shipped.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use forebay_idempotency::{SQLITE_SCHEMA, SqliteStore, keeper};
use forebay_store::sqlite::{Database, Options};
use forebay_testkit::{Gate, Message, RunningGateway, Upstream};

/// A gateway with a store of its own.
pub(crate) struct Keyed {
    pub(crate) gateway: Option<RunningGateway>,
    keeper: Option<JoinHandle<()>>,
    directory: PathBuf,
}

fn directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("forebay-keyed-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a directory");
    path
}

impl Keyed {
    fn start(upstream: &Upstream, idempotency: &str) -> Keyed {
        Keyed::serve(&format!(
            "[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n\
             idempotency = {idempotency}\n",
            upstream.address()
        ))
    }

    pub(crate) fn serve(toml: &str) -> Keyed {
        let gateway = RunningGateway::start(toml);
        let directory = directory();
        let database = Database::open(&directory.join("state.db"), &[SQLITE_SCHEMA], Options::default())
            .expect("a store");
        let store = SqliteStore::new(database.writer());
        let (keys, keeper) = keeper(store, Duration::from_secs(5), fastrand::Rng::with_seed(1));
        gateway.surroundings().keyring.set(keys);
        let keeper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(keeper.run());
            database.close();
        });
        Keyed { gateway: Some(gateway), keeper: Some(keeper), directory }
    }

    fn post(&self, key: &str, body: &str) -> Message {
        self.gateway.as_ref().expect("it runs").client().ask(post(key, body))
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        drop(self.gateway.take());
        let ended = self.keeper.take().map(JoinHandle::join);
        let _ = std::fs::remove_dir_all(&self.directory);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the keeper ends with the last way to it");
        }
    }
}

fn post(key: &str, body: &str) -> String {
    format!(
        "POST /orders?x=1 HTTP/1.1\r\nHost: a\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A service that numbers what it is asked to do.
pub(crate) fn counting() -> (Upstream, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let counted = done.clone();
    let upstream = Upstream::start(move |connection| {
        loop {
            connection.request()?;
            let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
            let body = format!("order {number}");
            connection.send(format!(
                "HTTP/1.1 201 Created\r\nLocation: /orders/{number}\r\nSet-Cookie: s={number}\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ))?;
        }
    });
    (upstream, done)
}

#[test]
fn the_same_request_again_gets_the_same_answer_and_is_not_carried_out() {
    let (upstream, done) = counting();
    let keyed = Keyed::start(&upstream, "'anonymous'");
    let first = keyed.post("a", "{}");
    assert_eq!((first.status(), first.text().as_str()), (201, "order 1"));
    assert_eq!((first.field("idempotent-replayed"), first.field("set-cookie")), (None, Some("s=1")));
    let again = keyed.post("\"a\"", "{}");
    assert_eq!((again.status(), again.text().as_str()), (201, "order 1"), "quoted or not, it is one key");
    assert_eq!(again.field("idempotent-replayed"), Some("true"));
    assert_eq!((again.field("location"), again.field("set-cookie")), (Some("/orders/1"), None));
    let other = keyed.post("a", "{ }");
    assert_eq!((other.status(), other.problem().as_str()), (422, "idempotency-key-reused of client"));
    assert_eq!(keyed.post("b", "{}").text(), "order 2");
    assert_eq!(done.load(Ordering::Relaxed), 2);
    let request = &upstream.requests()[0];
    assert_eq!((request.text().as_str(), request.field("content-length")), ("{}", Some("2")));
}

#[test]
fn while_the_first_runs_the_second_is_told_to_wait() {
    let gate = Arc::new(Gate::new());
    let held = gate.clone();
    let upstream = Upstream::start(move |connection| {
        connection.request()?;
        held.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let keyed = Keyed::start(&upstream, "'anonymous'");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| keyed.post("a", "{}"));
        upstream.wait_for_requests(1);
        let second = keyed.post("a", "{}");
        assert_eq!((second.status(), second.problem().as_str()), (409, "idempotency-in-progress of client"));
        assert!(second.field("retry-after").is_some());
        gate.open();
        assert_eq!(first.join().expect("an answer").status(), 200);
    });
    assert_eq!(keyed.post("a", "{}").field("idempotent-replayed"), Some("true"));
}

#[test]
fn what_certainly_was_not_carried_out_may_be_tried_again_and_what_may_have_been_may_not() {
    let (mut upstream, _) = counting();
    let keyed = Keyed::start(&upstream, "'anonymous'");
    upstream.kill();
    for _ in 0..2 {
        assert_eq!(keyed.post("a", "{}").problem(), "upstream-unreachable of upstream");
    }
    let broken = Upstream::start(|connection| {
        connection.request()?;
        Ok(())
    });
    let keyed = Keyed::start(&broken, "'anonymous'");
    assert_eq!(keyed.post("a", "{}").problem(), "upstream-broken of upstream");
    assert_eq!(keyed.post("a", "{}").problem(), "idempotency-outcome-unknown of upstream");
    assert_eq!(broken.requests().len(), 1);
}

#[test]
fn answers_that_cannot_be_kept_reach_the_client_all_the_same() {
    let long = "x".repeat(5000);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n{long}\r\n0\r\n\r\n");
    let declared = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{long}");
    for answer in [chunked, declared] {
        let upstream = Upstream::answering(answer);
        let keyed = Keyed::start(&upstream, "{ scope = 'anonymous', max_response = '4KiB' }");
        assert_eq!(keyed.post("a", "{}").text(), long);
        assert_eq!(keyed.post("a", "{}").problem(), "idempotency-answer-not-kept of client");
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn what_frees_a_key_is_configured_and_a_get_needs_none() {
    let upstream = Upstream::answering("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n");
    let keyed = Keyed::start(&upstream, "{ scope = 'header:x-team', required = true, max_body = '1KiB' }");
    let gateway = keyed.gateway.as_ref().expect("it runs");
    let ask = |fields: &str, body: &str| {
        let length = body.len();
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
        gateway.client().ask(request)
    };
    for _ in 0..2 {
        assert_eq!(ask("X-Team: 1\r\nIdempotency-Key: a\r\n", "").status(), 429);
    }
    assert_eq!(upstream.requests().len(), 2, "it did nothing, so it may be asked again");
    assert_eq!(ask("X-Team: 1\r\n", "").problem(), "idempotency-key-missing of client");
    assert_eq!(ask("Idempotency-Key: a\r\n", "").problem(), "idempotency-caller-unknown of client");
    let large = "x".repeat(2000);
    let refused = ask("X-Team: 1\r\nIdempotency-Key: b\r\n", &large);
    assert_eq!(refused.problem(), "idempotency-body-too-large of client");
    assert_eq!(gateway.client().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 429);
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn a_client_that_waits_for_permission_to_send_gets_it_from_the_gateway() {
    let (upstream, _) = counting();
    let keyed = Keyed::start(&upstream, "'anonymous'");
    let mut client = keyed.gateway.as_ref().expect("it runs").client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    ).expect("sent");
    assert_eq!(client.head().expect("an interim answer").status(), 100);
    client.send("{}").expect("sent");
    assert_eq!(client.response().expect("an answer").text(), "order 1");
    assert_eq!(upstream.only_request().field("expect"), None);
}

#[test]
fn without_a_store_nothing_with_a_key_is_carried_out() {
    let (upstream, done) = counting();
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\nidempotency = 'anonymous'\n",
        upstream.address()
    ));
    let refused = gateway.client().ask(post("a", "{}"));
    assert_eq!((refused.status(), refused.problem().as_str()), (503, "store-unavailable of forebay"));
    assert_eq!(done.load(Ordering::Relaxed), 0);
}
