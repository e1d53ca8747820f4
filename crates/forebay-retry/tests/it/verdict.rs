//! When a request is tried again, and when not.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use forebay_clock::Moment;
use forebay_retry::{
    Attempt, Backoff, Budget, BudgetSettings, Conditions, Ending, LocalBudget, Policy, REMAINDER_MIN, Reason,
    Statuses, Verdict,
};
use proptest::prelude::*;

const NOW: Moment = Moment::from_nanos(1_000_000_000_000);
const AT_ONCE: Verdict = Verdict::Again { after: Duration::ZERO };

/// A GET whose first attempt found no listener, with everything in favour of another.
const REFUSED: Attempt = Attempt {
    number: 1,
    ending: Ending::ConnectFailed,
    idempotent: true,
    body_replayable: true,
    answered: false,
    another_endpoint: true,
    deadline: Moment::NEVER,
    waited: Duration::ZERO,
    is_retry_of_caller: false,
};

const fn answered(status: u16) -> Ending {
    Ending::Answered { status, retry_after: None }
}

fn budget(tokens: u32) -> LocalBudget {
    let settings = BudgetSettings { ratio_permille: 0, floor_per_s: tokens, window: Duration::from_secs(1) };
    LocalBudget::new(Arc::new(Budget::new(settings)))
}

fn decide(policy: &Policy, attempt: &Attempt) -> Verdict {
    policy.decide(attempt, &budget(1), NOW, &mut Rng::with_seed(1))
}

fn check_stop(attempt: Attempt, reason: &str) {
    match decide(&Policy::default(), &attempt) {
        Verdict::Stop(stop) => assert_eq!(stop.to_string(), reason),
        again => panic!("{again:?} instead of {reason}"),
    }
}

#[test]
fn a_request_stops_for_the_first_reason_there_is() {
    let sent = Attempt { ending: Ending::Broken, ..REFUSED };
    check_stop(Attempt { answered: true, ..REFUSED }, "response started");
    check_stop(Attempt { ending: Ending::BrokenMidway, ..REFUSED }, "response started");
    check_stop(Attempt { ending: answered(200), ..REFUSED }, "not a retried ending");
    check_stop(Attempt { ending: answered(500), ..REFUSED }, "not a retried ending");
    check_stop(Attempt { number: 3, ..REFUSED }, "attempts used up");
    check_stop(Attempt { idempotent: false, ..sent }, "not idempotent");
    check_stop(Attempt { body_replayable: false, ..sent }, "request body gone");
    check_stop(Attempt { deadline: NOW, ..REFUSED }, "deadline too near");
}

#[test]
fn a_killed_endpoint_costs_no_wait_when_there_is_another() {
    for ending in [Ending::ConnectFailed, Ending::BrokenUnsent, Ending::Broken] {
        assert_eq!(decide(&Policy::default(), &Attempt { ending, ..REFUSED }), AT_ONCE);
    }
}

#[test]
fn what_may_mean_overload_waits() {
    for attempt in [
        Attempt { number: 2, ..REFUSED },
        Attempt { another_endpoint: false, ..REFUSED },
        Attempt { ending: Ending::TimedOut, ..REFUSED },
        Attempt { ending: answered(503), ..REFUSED },
    ] {
        let verdict = decide(&Policy::default(), &attempt);
        assert!(matches!(verdict, Verdict::Again { after } if !after.is_zero()), "{attempt:?}: {verdict:?}");
    }
}

#[test]
fn an_origin_that_asks_to_be_left_alone_is() {
    let asked = |ms| Ending::Answered { status: 503, retry_after: Some(Duration::from_millis(ms)) };
    let verdict = decide(&Policy::default(), &Attempt { ending: asked(1000), ..REFUSED });
    assert_eq!(verdict, Verdict::Again { after: Duration::from_secs(1) });
    check_stop(Attempt { ending: asked(1001), ..REFUSED }, "asked to wait for longer");
    let soon = Attempt { ending: asked(900), deadline: NOW + Duration::from_millis(800), ..REFUSED };
    check_stop(soon, "deadline too near");
}

#[test]
fn a_retry_of_a_caller_is_not_multiplied() {
    for ending in [answered(503), Ending::TimedOut] {
        check_stop(Attempt { ending, is_retry_of_caller: true, ..REFUSED }, "the caller retries");
    }
    assert_eq!(decide(&Policy::default(), &Attempt { is_retry_of_caller: true, ..REFUSED }), AT_ONCE);
}

#[test]
fn one_attempt_may_take_less_than_the_request() {
    let policy = Policy { attempt_timeout: Some(Duration::from_secs(2)), ..Policy::default() };
    let deadline = NOW + Duration::from_secs(3);
    assert_eq!(policy.attempt_deadline(NOW, deadline), NOW + Duration::from_secs(2));
    assert_eq!(policy.attempt_deadline(NOW + Duration::from_secs(2), deadline), deadline);
    assert_eq!(Policy::default().attempt_deadline(NOW, deadline), deadline);
}

#[test]
fn an_unsent_post_is_tried_again() {
    for ending in [Ending::ConnectFailed, Ending::BrokenUnsent] {
        let post = Attempt { ending, idempotent: false, ..REFUSED };
        assert_eq!(decide(&Policy::default(), &post), AT_ONCE);
    }
}

#[test]
fn a_condition_switched_off_is_not_retried() {
    let off = Conditions { connect: false, reset: false, timeout: false, statuses: Statuses::NONE };
    let policy = Policy { conditions: off, ..Policy::default() };
    for ending in
        [Ending::ConnectFailed, Ending::BrokenUnsent, Ending::Broken, Ending::TimedOut, answered(503)]
    {
        let attempt = Attempt { ending, ..REFUSED };
        assert_eq!(decide(&policy, &attempt), Verdict::Stop(Reason::NotRetried));
    }
}

#[test]
fn only_a_retry_that_happens_costs_a_token() {
    let budget = budget(1);
    let mut rng = Rng::with_seed(1);
    let mut decide = |attempt: &Attempt| Policy::default().decide(attempt, &budget, NOW, &mut rng);
    assert_eq!(decide(&Attempt { deadline: NOW, ..REFUSED }), Verdict::Stop(Reason::DeadlineTooNear));
    assert_eq!(decide(&Attempt { number: 3, ..REFUSED }), Verdict::Stop(Reason::AttemptsUsed));
    assert_eq!(decide(&REFUSED), AT_ONCE);
    assert_eq!(decide(&REFUSED), Verdict::Stop(Reason::BudgetExhausted));
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        Just(Ending::ConnectFailed),
        Just(Ending::BrokenUnsent),
        Just(Ending::Broken),
        Just(Ending::TimedOut),
        (100..600u16).prop_map(answered),
        (prop::sample::select(vec![502, 503, 504]), prop::option::of(0..1500u64)).prop_map(|(status, ms)| {
            Ending::Answered { status, retry_after: ms.map(Duration::from_millis) }
        }),
        Just(Ending::BrokenMidway),
    ]
}

prop_compose! {
    fn attempt()(
        number in 1..5u32,
        ending in ending(),
        flags: [bool; 5],
        left_ms in 0..400u64,
    ) -> Attempt {
        let [idempotent, body_replayable, answered, another_endpoint, is_retry_of_caller] = flags;
        Attempt {
            number,
            ending,
            idempotent,
            body_replayable,
            answered,
            another_endpoint,
            deadline: NOW + Duration::from_millis(left_ms),
            waited: Duration::ZERO,
            is_retry_of_caller,
        }
    }
}

proptest! {
    #[test]
    fn a_retry_is_always_safe_and_in_time(attempt in attempt(), attempts_max in 0..5u32, seed: u64) {
        let policy = Policy { attempts_max, ..Policy::default() };
        let verdict = policy.decide(&attempt, &budget(1), NOW, &mut Rng::with_seed(seed));
        if let Verdict::Again { after } = verdict {
            prop_assert!(attempt.idempotent || !attempt.ending.was_sent());
            prop_assert!(attempt.body_replayable && !attempt.answered);
            prop_assert!(attempt.ending != Ending::BrokenMidway);
            prop_assert!(attempt.number < attempts_max);
            let asked = match attempt.ending {
                Ending::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
                _ => Duration::ZERO,
            };
            prop_assert!(asked <= after && asked <= policy.retry_after_max);
            prop_assert!(after <= Backoff::default().window(attempt.number).max(asked));
            prop_assert!(!attempt.is_retry_of_caller || !attempt.ending.may_mean_overload());
            prop_assert!(NOW + after + REMAINDER_MIN <= attempt.deadline);
        }
    }
}
