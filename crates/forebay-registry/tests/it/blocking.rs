//! Claims about requests that wait: for a change, no longer than they want to, and for nobody who is gone.

use std::time::{Duration, Instant};

use forebay_shutdown::Phase;
use forebay_testkit::Client;

use crate::desk::{Desk, index_of, request};

const WEB: &str = r#"{"ID":"web-1","Name":"web","Check":{"TTL":"30s","Status":"passing"}}"#;
/// Waits at once of which the bar speaks.
const WAITING: usize = 1000;
/// From a change to the last of them: 50 ms, and patience with a busy machine that runs a debug build.
const WAKE_TIME: Duration = Duration::from_secs(2);

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn waiting(desk: &Desk, target: &str) -> Client {
    let mut client = desk.client();
    client.send(get(target)).unwrap();
    client
}

#[test]
fn a_change_wakes_those_whom_it_concerns() {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", WEB);
    let seen = desk.index("/v1/health/service/web");
    let mut web = waiting(&desk, &format!("/v1/health/service/web?index={seen}&wait=10m"));
    let other = desk.index("/v1/health/service/other");
    let mut others = waiting(&desk, &format!("/v1/health/service/other?index={other}&wait=10m"));
    desk.done("/v1/agent/check/fail/service:web-1?note=gone", "");
    let answer = web.response().unwrap();
    assert!(index_of(&answer) > seen && answer.text().contains("\"Output\":\"gone\""), "{answer:?}");
    assert!(others.is_quiet_for(Duration::from_millis(100)));
}

#[test]
fn every_kind_of_query_waits_for_its_own() {
    let desk = Desk::open();
    for target in [
        "/v1/catalog/services",
        "/v1/catalog/service/web",
        "/v1/catalog/node/web-a",
        "/v1/catalog/node-services/web-a",
        "/v1/health/node/web-a",
        "/v1/health/checks/web",
        "/v1/health/service/web",
        "/v1/health/state/any",
    ] {
        let seen = desk.index(target);
        assert_ne!(seen, 0, "{target}");
        let mut client = waiting(&desk, &format!("{target}?index={seen}"));
        desk.done("/v1/agent/service/register", WEB);
        assert!(index_of(&client.response().unwrap()) > seen, "{target}");
        let seen = desk.index(target);
        let mut client = waiting(&desk, &format!("{target}?index={seen}"));
        desk.done("/v1/agent/service/deregister/web-1", "");
        assert!(index_of(&client.response().unwrap()) > seen, "{target} does not see it go");
    }
}

#[test]
fn nobody_waits_longer_than_he_wants_or_for_what_he_has_not_seen() {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", WEB);
    let seen = desk.index("/v1/health/service/web");
    let start = Instant::now();
    let answer = desk.get(&format!("/v1/health/service/web?index={seen}&wait=200ms"));
    assert_eq!(index_of(&answer), seen);
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    let start = Instant::now();
    for index in [0, seen - 1, seen + 1, u64::MAX] {
        let answer = desk.get(&format!("/v1/health/service/web?index={index}&wait=10m"));
        assert_eq!(index_of(&answer), seen, "{index}");
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_same_registration_again_wakes_nobody() {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", WEB);
    let seen = desk.index("/v1/health/service/web");
    let mut client = waiting(&desk, &format!("/v1/health/service/web?index={seen}"));
    desk.done("/v1/agent/service/register", WEB);
    desk.done("/v1/agent/check/pass/service:web-1", "");
    assert!(client.is_quiet_for(Duration::from_millis(100)));
    assert_eq!(desk.index("/v1/health/service/web"), seen);
}

#[test]
fn a_drain_answers_those_who_wait_with_what_there_is() {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", WEB);
    let seen = desk.index("/v1/health/service/web");
    let target = format!("/v1/health/service/web?index={seen}&wait=10m");
    let mut client = waiting(&desk, &target);
    // Once this is answered, the one before it waits: the listener has one thread.
    desk.get("/v1/status/leader");
    desk.shutdown.enter(Phase::LameDuck);
    assert!(client.is_quiet_for(Duration::from_millis(100)));
    desk.shutdown.enter(Phase::Draining);
    let answer = client.response().unwrap();
    assert_eq!((index_of(&answer), answer.field("connection")), (seen, Some("close")));
    client.expect_closed();
    let start = Instant::now();
    assert_eq!(index_of(&desk.get(&target)), seen);
    assert!(start.elapsed() < Duration::from_secs(5), "who comes late waits a second at most");
}

#[test]
fn who_has_gone_is_not_waited_for() {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", WEB);
    let seen = desk.index("/v1/health/service/web");
    let mut gone = waiting(&desk, &format!("/v1/health/service/web?index={seen}&wait=10m"));
    gone.end().unwrap();
    gone.expect_closed();
    // A client that has sent its next request already is there.
    let mut eager = waiting(&desk, &format!("/v1/health/service/web?index={seen}&wait=10m"));
    eager.send(request("PUT", "/v1/agent/check/pass/service:web-1", "")).unwrap();
    assert!(eager.is_quiet_for(Duration::from_millis(50)));
    desk.done("/v1/agent/check/warn/service:web-1", "");
    assert!(index_of(&eager.response().unwrap()) > seen);
    assert_eq!(eager.response().unwrap().status(), 200);
}

#[test]
fn a_thousand_wake_together() {
    let desk = Desk::open();
    desk.done("/v1/agent/service/register", WEB);
    let seen = desk.index("/v1/health/service/web");
    let target = format!("/v1/health/service/web?index={seen}&wait=10m&passing");
    let mut clients: Vec<Client> = (0..WAITING).map(|_| waiting(&desk, &target)).collect();
    desk.get("/v1/status/leader");
    let start = Instant::now();
    desk.done("/v1/agent/check/fail/service:web-1", "");
    for client in &mut clients {
        assert!(index_of(&client.response().unwrap()) > seen);
    }
    println!("{WAITING} waiting requests answered within {:?} of a change", start.elapsed());
    assert!(start.elapsed() < WAKE_TIME, "{:?}", start.elapsed());
}
