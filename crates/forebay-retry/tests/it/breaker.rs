//! A breaker opens for a service that fails and closes for one that is well again.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use forebay_clock::Moment;
use forebay_retry::{Breaker, BreakerSettings, BreakerStanding, Circuit, Ending, Refused, is_failure};

fn at(ms: u64) -> Moment {
    Moment::START + Duration::from_millis(ms)
}

/// Makes so many attempts, of which `fails` says how they end, a millisecond apart; how many were let through.
fn attempts(breaker: &Breaker, from_ms: u64, count: u64, fails: impl Fn(u64) -> bool) -> u64 {
    let passed = |number: &u64| match breaker.admit(at(from_ms + number)) {
        Ok(pass) => {
            breaker.record(pass, fails(*number), at(from_ms + number));
            true
        }
        Err(Refused { .. }) => false,
    };
    (0..count).filter(passed).count() as u64
}

fn open() -> Breaker {
    let breaker = Breaker::new(BreakerSettings::default());
    assert_eq!(attempts(&breaker, 0, 1000, |_| true), 20);
    breaker
}

#[test]
fn half_of_twenty_attempts_open_it() {
    let breaker = Breaker::new(BreakerSettings::default());
    assert_eq!(attempts(&breaker, 0, 1000, |number| number % 3 == 0), 1000, "a third may fail");
    assert_eq!(attempts(&breaker, 20_000, 19, |_| true), 19, "nineteen say too little");
    assert_eq!(attempts(&breaker, 20_019, 10, |_| true), 1, "the twentieth opens it");
    assert!(matches!(breaker.circuit(), Circuit::Open { times: 1, .. }));
}

#[test]
fn failures_that_are_long_ago_do_not_count() {
    let breaker = Breaker::new(BreakerSettings::default());
    assert_eq!(attempts(&breaker, 0, 19, |_| true), 19);
    assert_eq!(attempts(&breaker, 11_000, 19, |_| true), 19);
    assert_eq!(breaker.circuit(), Circuit::Closed);
}

#[test]
fn a_refusal_says_when_to_come_again() {
    let breaker = open();
    assert_eq!(breaker.admit(at(1019)), Err(Refused { retry_after: Duration::from_secs(4) }));
}

#[test]
fn three_good_probes_close_it() {
    let breaker = open();
    assert_eq!(attempts(&breaker, 5018, 1000, |_| false), 999, "one came a millisecond early");
    assert_eq!(breaker.circuit(), Circuit::Closed);
    assert_eq!(attempts(&breaker, 6100, 19, |_| true), 19, "it has forgotten why it opened");
}

#[test]
fn one_bad_probe_opens_it_for_twice_as_long() {
    let breaker = open();
    assert_eq!(attempts(&breaker, 5019, 9999, |number| number == 1), 2);
    assert_eq!(breaker.circuit(), Circuit::Open { until_ms: 15_020, times: 2 });
}

#[test]
fn an_attempt_from_before_it_opened_decides_nothing() {
    let breaker = Breaker::new(BreakerSettings::default());
    let early = breaker.admit(at(0)).unwrap();
    attempts(&breaker, 1, 20, |_| true);
    let probe = breaker.admit(at(5021)).unwrap();
    assert!(probe.is_probe());
    assert!(!breaker.record(early, true, at(5022)));
    assert!(matches!(breaker.circuit(), Circuit::HalfOpen { .. }));
    breaker.forget(probe);
    let probes = (0..5).filter(|_| breaker.admit(at(5023)).is_ok()).count();
    assert_eq!(probes, 3, "the one given up is replaced");
}

#[test]
fn what_ends_late_does_not_open_it_again() {
    let breaker = Breaker::new(BreakerSettings::default());
    let late: Vec<_> = (0..30).map(|_| breaker.admit(at(0)).unwrap()).collect();
    attempts(&breaker, 1, 20, |_| true);
    late.into_iter().for_each(|pass| assert!(!breaker.record(pass, true, at(4000))));
    assert_eq!(attempts(&breaker, 6000, 3, |_| false), 3, "three probes");
    assert_eq!(attempts(&breaker, 6100, 19, |_| true), 19);
}

#[test]
fn cores_together_send_no_more_probes_than_agreed_and_open_it_once() {
    let breaker = Breaker::new(BreakerSettings::default());
    let (opened, probes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    if let Ok(pass) = breaker.admit(at(1)) {
                        opened.fetch_add(usize::from(breaker.record(pass, true, at(1))), Relaxed);
                    }
                }
            });
        }
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let passed = (0..1000).filter(|_| breaker.admit(at(5001)).is_ok()).count();
                probes.fetch_add(passed, Relaxed);
            });
        }
    });
    assert_eq!((opened.into_inner(), probes.into_inner()), (1, 3));
}

#[test]
fn the_service_fails_where_it_gives_no_answer_or_a_5xx() {
    let answered = |status| is_failure(Ending::Answered { status, retry_after: None });
    assert!([500, 502, 503, 504, 599].into_iter().all(answered));
    assert!(![200, 304, 404, 429, 499, 501, 505].into_iter().any(answered));
    for ending in [Ending::ConnectFailed, Ending::Broken, Ending::TimedOut, Ending::BrokenMidway] {
        assert!(is_failure(ending), "{ending:?}");
    }
}

#[test]
fn people_see_how_it_stands_since_when_and_until_when() {
    let breaker = Breaker::new(BreakerSettings::default());
    attempts(&breaker, 0, 10, |number| number < 3);
    let window = Duration::from_secs(10);
    assert_eq!(breaker.standing(at(20)), BreakerStanding::Closed { calls: 10, failures: 3, window });
    assert_eq!(breaker.standing(at(60_000)), BreakerStanding::Closed { calls: 0, failures: 0, window });
    // The twentieth of a thousand that fail, at 19 ms, opens it for five seconds.
    let breaker = open();
    let opened = BreakerStanding::Open { since: at(19), until: at(5019), times: 1 };
    assert_eq!((breaker.standing(at(20)), breaker.standing(at(9000))), (opened, opened));
    let probe = breaker.admit(at(6000)).unwrap();
    let trial =
        |good| BreakerStanding::HalfOpen { since: at(6000), until: at(11_000), sent: 1, good, needed: 3 };
    assert_eq!(breaker.standing(at(6001)), trial(0));
    breaker.record(probe, false, at(6002));
    assert_eq!(breaker.standing(at(6003)), trial(1));
    let probe = breaker.admit(at(7000)).unwrap();
    breaker.record(probe, true, at(7000));
    assert_eq!(
        breaker.standing(at(7000)),
        BreakerStanding::Open { since: at(7000), until: at(17_000), times: 2 },
        "twice as long"
    );
}
