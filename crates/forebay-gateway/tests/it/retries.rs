//! Another attempt where it is safe and may help, and none where it is not.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use forebay_testkit::{Connection, Message, RunningGateway, Upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

/// A gateway in front of all of them, which asks them in turn.
fn before(upstreams: &[&Upstream], retry: &str) -> RunningGateway {
    let endpoints: Vec<String> =
        upstreams.iter().map(|upstream| format!("\"{}\"", upstream.address())).collect();
    RunningGateway::start(&format!(
        "[service.a]\nendpoints = [{}]\nbalance = \"round-robin\"\nretry = {{ {retry} }}\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        endpoints.join(", ")
    ))
}

/// An upstream that fails its first request in this way, and serves all others.
fn failing_first(fail: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static) -> Upstream {
    let failed = AtomicUsize::new(0);
    Upstream::start(move |connection| {
        loop {
            connection.request()?;
            if failed.fetch_add(1, Ordering::Relaxed) == 0 {
                return fail(connection);
            }
            connection.send(OK)?;
        }
    })
}

#[test]
fn an_endpoint_that_refuses_costs_no_request() {
    for request in [GET, POST, PUT] {
        let mut dead = Upstream::answering(OK);
        dead.kill();
        let alive = Upstream::answering(OK);
        let gateway = before(&[&dead, &alive], "");
        let mut client = gateway.client();
        for _ in 0..10 {
            assert_eq!(client.ask(request).status(), 200, "nothing was sent, so even a POST may go again");
        }
        assert_eq!(alive.requests().len(), 10);
    }
}

#[test]
fn a_close_instead_of_an_answer_is_tried_again_where_that_is_safe() {
    for (how, reset) in [("close", false), ("reset", true)] {
        let upstream =
            failing_first(move |connection| if reset { connection.reset() } else { connection.end() });
        let gateway = before(&[&upstream], "");
        assert_eq!(gateway.client().ask(PUT).status(), 200, "{how}");
        let requests = upstream.requests();
        assert_eq!(requests.len(), 2, "{how}");
        assert!(requests.iter().all(|request| request.body == b"hello"), "the body goes again, whole");
    }
}

#[test]
fn a_large_body_is_replayed_whole_too() {
    let upstream = failing_first(|_| Ok(()));
    let gateway = before(&[&upstream], "");
    let body: Vec<u8> = (0..60_000_u32).map(|n| (n % 251) as u8).collect();
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = [head.as_bytes(), b"ea60\r\n", &body, b"\r\n0\r\nX-Sum: 1\r\n\r\n"].concat();
    assert_eq!(gateway.client().ask(chunked).status(), 200);
    let requests = upstream.requests();
    assert!(requests.len() == 2 && requests[1].body == body);
    assert_eq!(requests[1].trailers, requests[0].trailers, "trailers are part of it");
}

#[test]
fn a_body_too_large_to_keep_is_sent_once() {
    let upstream = failing_first(|_| Ok(()));
    let gateway = before(&[&upstream], "");
    let request =
        format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let answer = gateway.client().ask(request);
    assert_eq!((answer.status(), answer.problem().as_str()), (502, "upstream-broken of upstream"));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_post_is_never_sent_twice() {
    let failures: [fn(&mut Connection) -> io::Result<()>; 3] =
        [|_| Ok(()), |connection| connection.reset(), |connection| connection.send(BUSY)];
    for fail in failures {
        let first = failing_first(fail);
        let gateway = before(&[&first], "");
        let answer = gateway.client().ask(POST);
        assert!(matches!(answer.status(), 502 | 503), "{answer:?}");
        assert_eq!(first.requests().len(), 1);
    }
}

#[test]
fn an_upstream_that_breaks_within_its_response_is_not_asked_again() {
    let upstream = failing_first(|connection| connection.send("HTTP/1.1 200 OK\r\nContent-"));
    let gateway = before(&[&upstream], "");
    let answer = gateway.client().ask(GET);
    assert_eq!((answer.status(), answer.problem().as_str()), (502, "upstream-broken of upstream"));
    assert_eq!(upstream.requests().len(), 1);
}

/// Closes after each response without having said so, as many servers do when they are idle or restart.
fn forgetful(reset: bool) -> Upstream {
    Upstream::start(move |connection| {
        connection.request()?;
        connection.send(OK)?;
        if reset { connection.reset() } else { Ok(()) }
    })
}

#[test]
fn a_kept_connection_that_was_closed_fails_no_request() {
    for reset in [false, true] {
        for request in [GET, PUT, POST] {
            let upstream = forgetful(reset);
            // Not one retry: a connection that was closed meanwhile is no failure of the request.
            let gateway = before(&[&upstream], "attempts = 1");
            let mut client = gateway.client();
            for n in 1..=10 {
                assert_eq!(client.ask(request).status(), 200, "{request:?} {n}");
                upstream.wait_for_ended(n);
            }
            assert_eq!(upstream.requests().len(), 10);
        }
    }
}

#[test]
fn a_kept_connection_that_closes_on_the_next_request_is_replaced() {
    // Reads the second request and closes: what happens when both sides act at the same moment.
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection.send(OK)?;
        connection.head().map(drop)
    });
    let gateway = before(&[&upstream], "attempts = 1");
    let mut client = gateway.client();
    for _ in 0..5 {
        assert_eq!(client.ask(GET).status(), 200);
    }
    // The first connection is kept and takes the next request's bytes; a POST may have been done with them.
    assert_eq!(client.ask(POST).status(), 502);
}

#[test]
fn a_busy_endpoint_is_left_for_another() {
    let busy = Upstream::answering(BUSY);
    let free = Upstream::answering(OK);
    let gateway = before(&[&busy, &free], "");
    let mut client = gateway.client();
    for _ in 0..10 {
        assert_eq!(client.ask(GET).body, b"ok");
    }
    assert_eq!(free.requests().len(), 10);
}

#[test]
fn when_all_are_busy_the_client_hears_it_from_them() {
    let upstream = Upstream::answering(BUSY);
    let gateway = before(&[&upstream], "attempts = 2, backoff = { base = \"1ms\", max = \"1ms\" }");
    let answer = gateway.client().ask(GET);
    assert_eq!((answer.status(), answer.text().as_str()), (503, "busy"));
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_spent_budget_ends_retries() {
    let upstream = Upstream::answering(BUSY);
    let gateway = before(&[&upstream], "budget = \"0%\", backoff = { base = \"1ms\", max = \"1ms\" }");
    let mut client = gateway.client();
    let requests = 50;
    for _ in 0..requests {
        assert_eq!(client.ask(GET).status(), 503);
    }
    // The floor of ten a second holds a window's worth at the start, and earns a few more during the test.
    let attempts = upstream.requests().len();
    assert!((requests + 10..requests + 30).contains(&attempts), "{attempts} attempts");
}

#[test]
fn a_refused_service_says_how_often_it_was_tried() {
    let mut dead = Upstream::answering(OK);
    dead.kill();
    let gateway = before(&[&dead], "attempts = 2, backoff = { base = \"1ms\", max = \"1ms\" }");
    let answer = gateway.client().ask(GET);
    assert!(answer.text().contains("2 attempts"), "{}", answer.text());
}

#[test]
fn each_attempt_carries_the_same_request() {
    let upstream = failing_first(|_| Ok(()));
    let gateway = before(&[&upstream], "");
    let request = "GET /p?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\n\r\n";
    assert_eq!(gateway.client().ask(request).status(), 200);
    let mut requests = upstream.requests();
    assert_eq!(requests.len(), 2);
    for request in &mut requests {
        // What Forebay itself says of an attempt.
        request.fields.retain(|(name, _)| !name.starts_with("forebay-"));
    }
    assert_eq!(requests[0], requests[1]);
}

#[test]
fn one_attempt_may_time_out_and_another_answer() {
    let slow_first = failing_first(|connection| connection.hang());
    let fast = Upstream::answering(OK);
    let gateway = before(&[&slow_first, &fast], "attempt_timeout = \"50ms\"");
    for _ in 0..2 {
        assert_eq!(gateway.client().ask(GET).status(), 200);
    }
    assert_eq!(slow_first.requests().len() + fast.requests().len(), 3);
    let silent = failing_first(|connection| connection.hang());
    let alone = before(&[&silent], "attempt_timeout = \"50ms\", attempts = 1");
    let answer = alone.client().ask(GET);
    assert_eq!(answer.problem(), "upstream-timeout of upstream");
    assert!(answer.text().contains("did not answer within 50ms"), "{}", answer.text());
}

#[test]
fn an_answer_that_asks_for_a_long_wait_goes_to_the_client() {
    let asks = Upstream::answering("HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n");
    let other = Upstream::answering(OK);
    let gateway = before(&[&asks, &other], "");
    let answers: Vec<u16> = (0..4).map(|_| gateway.client().ask(GET).status()).collect();
    assert_eq!(answers.iter().filter(|&&status| status == 503).count(), 2, "{answers:?}");
}

#[test]
fn only_what_is_configured_is_tried_again() {
    let (unwell, other) =
        (Upstream::answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), Upstream::answering(OK));
    let gateway = before(&[&unwell, &other], "on = [500]");
    for _ in 0..4 {
        assert_eq!(gateway.client().ask(GET).status(), 200);
    }
    let busy = Upstream::answering(BUSY);
    let gateway = before(&[&busy, &other], "on = [\"connect\"]");
    let answers: Vec<u16> = (0..4).map(|_| gateway.client().ask(GET).status()).collect();
    assert_eq!(answers.iter().filter(|&&status| status == 503).count(), 2, "{answers:?}");
}

#[test]
fn the_next_hop_learns_the_attempt_and_the_time_left() {
    let (busy, other) = (Upstream::answering(BUSY), Upstream::answering(OK));
    let gateway = before(&[&busy, &other], "");
    while busy.requests().is_empty() {
        assert_eq!(gateway.client().ask(GET).status(), 200);
    }
    let first = busy.only_request();
    let second = other.requests().pop().unwrap();
    assert_eq!((first.field("forebay-attempt"), second.field("forebay-attempt")), (None, Some("2")));
    let left = |message: &Message| message.field("forebay-timeout-ms").unwrap().parse::<u64>().unwrap();
    assert!((14_000..=15_000).contains(&left(&first)), "{}", left(&first));
    assert!(left(&second) <= left(&first));
}

#[test]
fn a_caller_shortens_the_deadline_and_never_lengthens_it() {
    let upstream = Upstream::answering(OK);
    let gateway = before(&[&upstream], "");
    let ask = |ms: &str| {
        gateway.client().ask(format!("GET / HTTP/1.1\r\nHost: a\r\nForebay-Timeout-Ms: {ms}\r\n\r\n"))
    };
    assert_eq!(ask("0").problem(), "deadline-expired of client");
    assert!(upstream.requests().is_empty(), "expired work is refused");
    assert_eq!((ask("2000").status(), ask("99999").status()), (200, 200));
    let told: Vec<u64> = upstream
        .requests()
        .iter()
        .map(|request| request.field("forebay-timeout-ms").unwrap().parse().unwrap())
        .collect();
    assert!(told[0] <= 2000 && (10_000..=15_000).contains(&told[1]), "{told:?}");
}

#[test]
fn a_strangers_count_of_attempts_is_not_believed() {
    let (busy, other) = (Upstream::answering(BUSY), Upstream::answering(OK));
    let retried = "GET / HTTP/1.1\r\nHost: a\r\nForebay-Attempt: 2\r\n\r\n";
    let gateway = before(&[&busy, &other], "");
    for _ in 0..4 {
        assert_eq!(gateway.client().ask(retried).status(), 200);
    }
    let endpoints = format!("[\"{}\", \"{}\"]", busy.address(), other.address());
    let trusting = RunningGateway::start(&format!(
        "[gateway]\ntrusted_proxies = [\"127.0.0.1\"]\n[service.a]\nendpoints = {endpoints}\n\
         balance = \"round-robin\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
    ));
    let answers: Vec<u16> = (0..4).map(|_| trusting.client().ask(retried).status()).collect();
    assert_eq!(answers.iter().filter(|&&status| status == 503).count(), 2, "{answers:?}");
    assert!(other.requests().iter().any(|request| request.field("forebay-attempt") == Some("2")));
}
