//! Kept connections: taken again while they are of use, and not a moment longer.

use std::future::poll_fn;
use std::time::Duration;

use forebay_http::body::{Incoming, Outgoing, poll_relay};
use forebay_http::client::Connection;
use forebay_http::parse::HeadLimits;
use forebay_http::pool::Pool;
use forebay_http::timer::Timer;
use forebay_http::writer::Delimit;
use forebay_http::{RequestHead, Scheme};
use forebay_testkit::{Gate, Upstream};

use crate::on_a_core;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const ENDPOINT: u64 = 7;

/// A connection that has served one request. Says whether it may serve another.
async fn used(upstream: &Upstream, timer: &Timer) -> (Box<Connection>, bool) {
    let until = timer.now() + Duration::from_secs(5);
    let opened = Connection::open(upstream.address(), None, HeadLimits::default(), timer, until).await;
    let mut connection = Box::new(opened.expect("it listens"));
    let head = RequestHead::new("GET", Scheme::Http, "a", "/");
    connection.start_request(&head, Delimit::None, None);
    let mut nothing = Incoming::empty();
    let sent = poll_fn(|cx| poll_relay(cx, &mut nothing, &mut connection.request_body(), |_| {})).await;
    sent.expect("it reads");
    let head = poll_fn(|cx| connection.poll_head(cx)).await.expect("it answers");
    connection.start_response(&head, forebay_http::Method::Get).expect("a valid response");
    let mut collected = forebay_http::body::Collected { bytes_max: 10, ..Default::default() };
    let (mut from, _) = connection.halves();
    let mut to = Outgoing::Collect(&mut collected);
    poll_fn(|cx| poll_relay(cx, &mut from, &mut to, |_| {})).await.expect("a whole response");
    let reusable = connection.is_reusable();
    (connection, reusable)
}

#[test]
fn a_quiet_connection_is_taken_again() {
    let upstream = Upstream::answering(OK);
    on_a_core(|sweeper| async move {
        let (timer, pool) = (sweeper.timer(), Pool::new(IDLE_TIMEOUT));
        let (connection, reusable) = used(&upstream, &timer).await;
        assert!(reusable);
        pool.put(ENDPOINT, connection, timer.now());
        assert_eq!(pool.len(), 1);
        assert!(pool.take(ENDPOINT + 1, timer.now(), false).is_none(), "it is another endpoint's");
        assert!(pool.take(ENDPOINT, timer.now(), true).is_some());
        assert!(pool.is_empty());
    });
}

#[test]
fn an_idle_connection_is_given_up_in_time() {
    let upstream = Upstream::answering(OK);
    on_a_core(|sweeper| async move {
        let (timer, pool) = (sweeper.timer(), Pool::new(IDLE_TIMEOUT));
        let now = timer.now();
        for _ in 0..2 {
            pool.put(ENDPOINT, used(&upstream, &timer).await.0, now);
        }
        pool.expire(now + IDLE_TIMEOUT.mul_f32(0.9));
        assert_eq!(pool.len(), 2);
        assert!(pool.take(ENDPOINT, now + IDLE_TIMEOUT, false).is_none());
        pool.put(ENDPOINT, used(&upstream, &timer).await.0, now);
        pool.expire(now + IDLE_TIMEOUT);
        assert!(pool.is_empty());
    });
}

#[test]
fn a_connection_that_was_closed_or_talked_out_of_turn_is_not_taken() {
    for last_words in ["", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let (kept, said) = (Gate::new(), Gate::new());
        let upstream = Upstream::start({
            let (kept, said) = (kept.clone(), said.clone());
            move |connection| {
                connection.request()?;
                connection.send(OK)?;
                kept.wait();
                connection.send(last_words)?;
                connection.end()?;
                said.open();
                connection.hang()
            }
        });
        on_a_core(|sweeper| async move {
            let (timer, pool) = (sweeper.timer(), Pool::new(IDLE_TIMEOUT));
            let (connection, reusable) = used(&upstream, &timer).await;
            assert!(reusable);
            pool.put(ENDPOINT, connection, timer.now());
            kept.open();
            said.wait();
            // Over loopback the kernel has it now; the runtime has not looked yet.
            assert!(pool.take(ENDPOINT, timer.now(), true).is_none(), "{last_words:?}");
        });
    }
}

#[test]
fn what_follows_a_response_forbids_another_request() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n",
    ] {
        let upstream = Upstream::answering(response);
        let reusable = on_a_core(|sweeper| async move { used(&upstream, &sweeper.timer()).await.1 });
        assert!(!reusable, "{response:?}");
    }
}
