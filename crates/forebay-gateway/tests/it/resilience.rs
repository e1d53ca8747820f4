//! Hedges, the breaker and the limit, as clients and services see them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay_gateway::Sparing;
use forebay_retry::BreakerStanding;
use forebay_testkit::{Connection, Gate, RunningGateway, Upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

fn before(upstreams: &[&Upstream], more: &str) -> RunningGateway {
    let endpoints: Vec<String> =
        upstreams.iter().map(|upstream| format!("\"{}\"", upstream.address())).collect();
    RunningGateway::start(&format!(
        "[gateway]\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [service.a]\nendpoints = [{}]\nbalance = \"round-robin\"\n{more}\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        endpoints.join(", ")
    ))
}

/// An upstream that answers only once the gate is open.
fn waiting(gate: &Arc<Gate>, answer: &'static str) -> Upstream {
    let gate = gate.clone();
    Upstream::start(move |connection: &mut Connection| -> io::Result<()> {
        loop {
            connection.request()?;
            gate.wait();
            connection.send(answer)?;
        }
    })
}

/// How the service is spared at the moment.
fn sparing(gateway: &RunningGateway) -> Sparing {
    gateway.gateway().sparings()(gateway.surroundings().clock.now()).remove(0)
}

/// Lets time pass that nothing else would show.
fn pause(gateway: &RunningGateway, ms: u64) {
    gateway.wait(async { tokio::time::sleep(Duration::from_millis(ms)).await });
}

#[test]
fn a_request_that_takes_long_is_answered_by_another_endpoint() {
    let gate = Arc::new(Gate::new());
    let (slow, fast) = (waiting(&gate, OK), Upstream::answering(OK));
    let gateway = before(&[&slow, &fast], "hedge = \"20ms\"");
    let mut client = gateway.client();
    for _ in 0..6 {
        assert_eq!(client.ask(GET).status(), 200);
    }
    // A hedge takes a turn too, so that the slow one may be the first of each.
    let asked = slow.requests().len();
    assert!(asked > 0, "nothing began at the slow one");
    assert_eq!(fast.requests().len(), 6);
    let hedged =
        fast.requests().iter().filter(|request| request.field("forebay-attempt") == Some("2")).count();
    assert_eq!(hedged, asked, "a second attempt says that it is one");
    gate.open();
}

#[test]
fn what_may_do_harm_is_not_sent_twice() {
    let gate = Arc::new(Gate::new());
    let (slow, fast) = (waiting(&gate, OK), Upstream::answering(OK));
    let gateway = before(&[&slow, &fast], "hedge = \"20ms\"");
    std::thread::scope(|scope| {
        let answers: Vec<_> = (0..2).map(|_| scope.spawn(|| gateway.client().ask(POST).status())).collect();
        slow.wait_for_requests(1);
        fast.wait_for_requests(1);
        pause(&gateway, 60);
        gate.open();
        for answer in answers {
            assert_eq!(answer.join().expect("an answer"), 200);
        }
    });
    assert_eq!((slow.requests().len(), fast.requests().len()), (1, 1));
}

#[test]
fn a_hedge_that_fails_leaves_the_first_attempt_its_chance() {
    let gate = Arc::new(Gate::new());
    let (slow, bad) = (waiting(&gate, OK), Upstream::answering(BUSY));
    let gateway = before(&[&slow, &bad], "hedge = \"20ms\"\nretry = { attempts = 1 }");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| match gateway.client().ask(GET).status() {
            // It began at the other one, where nothing is waited for; the next begins at the slow one.
            503 => gateway.client().ask(GET).status(),
            status => status,
        });
        slow.wait_for_requests(1);
        bad.wait_for_requests(1);
        pause(&gateway, 60);
        gate.open();
        assert_eq!(asked.join().expect("an answer"), 200);
    });
}

#[test]
fn a_service_that_fails_too_often_is_left_alone_and_found_again() {
    let works = Arc::new(AtomicBool::new(false));
    let seen = works.clone();
    let upstream = Upstream::start(move |connection| {
        loop {
            connection.request()?;
            connection.send(if seen.load(Ordering::Relaxed) { OK } else { BUSY })?;
        }
    });
    let gateway = before(
        &[&upstream],
        "retry = { attempts = 1 }\neject = { errors = 100 }\n\
         breaker = { failures = \"50%\", requests = 5, open = \"100ms\", probes = 1 }",
    );
    let mut client = gateway.client();
    for _ in 0..5 {
        assert_eq!(client.ask(GET).text(), "busy");
    }
    let refused = client.ask(GET);
    assert_eq!((refused.status(), refused.problem().as_str()), (503, "circuit-open of upstream"));
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert_eq!(upstream.requests().len(), 5, "nothing reaches it");
    let stands = sparing(&gateway);
    let Some(BreakerStanding::Open { since, until, times: 1 }) = stands.breaker else {
        panic!("{stands:?}");
    };
    assert_eq!((&*stands.service, until - since), ("a", Duration::from_millis(100)));
    assert_eq!((stands.concurrency, stands.retries.0), (None, stands.retries.1), "no retry was made");
    works.store(true, Ordering::Relaxed);
    pause(&gateway, 150);
    for _ in 0..5 {
        assert_eq!(client.ask(GET).status(), 200);
    }
    let stands = sparing(&gateway).breaker;
    assert!(matches!(stands, Some(BreakerStanding::Closed { failures: 0, .. })), "{stands:?}");
}

#[test]
fn what_a_retry_mends_does_not_count_against_the_service() {
    let (works, gone) = (Upstream::answering(OK), Upstream::answering(OK));
    let gateway = before(
        &[&works, &gone],
        "retry = { attempts = 2, budget = \"100%\" }\neject = { share = \"0%\" }\n\
         breaker = { failures = \"10%\", requests = 2, open = \"100ms\", probes = 1 }",
    );
    let mut client = gateway.client();
    assert_eq!(client.ask(GET).status(), 200);
    drop(gone);
    // Every other attempt goes to the dead one, after each rest of its anew.
    for rest_ms in [1100, 0] {
        for _ in 0..4 {
            assert_eq!(client.ask(GET).status(), 200);
        }
        pause(&gateway, rest_ms);
    }
}

#[test]
fn a_probe_may_be_tried_again_elsewhere() {
    let fails = Arc::new(AtomicBool::new(true));
    let seen = fails.clone();
    let sick = Upstream::answering(BUSY);
    let other = Upstream::start(move |connection| {
        loop {
            connection.request()?;
            connection.send(if seen.load(Ordering::Relaxed) { BUSY } else { OK })?;
        }
    });
    let gateway = before(
        &[&sick, &other],
        "retry = { attempts = 2, budget = \"100%\" }\neject = { share = \"0%\" }\n\
         breaker = { failures = \"50%\", requests = 2, open = \"100ms\", probes = 1 }",
    );
    let mut client = gateway.client();
    assert_eq!(client.ask(GET).text(), "busy");
    assert_eq!(client.ask(GET).text(), "busy");
    assert_eq!(client.ask(GET).problem(), "circuit-open of upstream");
    fails.store(false, Ordering::Relaxed);
    pause(&gateway, 150);
    for _ in 0..4 {
        assert_eq!(client.ask(GET).status(), 200);
    }
}

#[test]
fn beyond_the_limit_the_unimportant_is_refused_first() {
    let gate = Arc::new(Gate::new());
    let upstream = waiting(&gate, OK);
    let gateway = before(&[&upstream], "concurrency = { initial = 10, min = 10, max = 10 }");
    let ask = |priority: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nForebay-Priority: {priority}\r\n\r\n");
        gateway.client().ask(request)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..7).map(|_| scope.spawn(|| ask("low").status())).collect();
        upstream.wait_for_requests(7);
        let refused = ask("low");
        assert_eq!((refused.status(), refused.problem().as_str()), (503, "overloaded of upstream"));
        assert_eq!(refused.field("retry-after"), Some("1"));
        let more: Vec<_> = (0..2).map(|_| scope.spawn(|| ask("normal").status())).collect();
        upstream.wait_for_requests(9);
        assert_eq!(ask("normal").status(), 503);
        let last = scope.spawn(|| ask("high").status());
        upstream.wait_for_requests(10);
        assert_eq!(ask("high").status(), 503);
        assert_eq!(sparing(&gateway).concurrency, Some((10, 10)));
        gate.open();
        for answer in running.into_iter().chain(more).chain([last]) {
            assert_eq!(answer.join().expect("an answer"), 200);
        }
    });
    let told: Vec<_> = upstream
        .requests()
        .iter()
        .map(|request| request.field("forebay-priority").map(str::to_owned))
        .collect();
    assert_eq!(told.iter().filter(|told| told.as_deref() == Some("high")).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|told| told.as_deref() == Some("low")).count(), 7, "{told:?}");
}
