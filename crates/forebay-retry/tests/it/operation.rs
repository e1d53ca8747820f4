//! Any operation is tried again as its schedule says, in a time that only waiting moves.

use std::cell::RefCell;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use forebay_retry::{Backoff, Budget, BudgetSettings, Fault, GaveUp, Jitter, Reason, Retrying, retry};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn retrying() -> Retrying {
    Retrying {
        attempts_max: 4,
        backoff: Backoff { base: ms(100), max: ms(300), jitter: Jitter::None },
        ..Retrying::default()
    }
}

/// Runs an operation whose attempts end as `ends` says, the last over and over; what it came to, and when attempts began.
fn run(
    retrying: &Retrying,
    ends: &[Result<u32, Fault<&'static str>>],
) -> (Result<u32, GaveUp<&'static str>>, Vec<u64>) {
    let clock = Clock::manual();
    let began = RefCell::new(Vec::new());
    let sleep = |time: Duration| {
        let clock = clock.clone();
        async move { clock.advance(time) }
    };
    let result = block_on(retry(retrying, &clock, &sleep, |attempt| {
        began.borrow_mut().push((clock.now() - Moment::START).as_millis() as u64);
        ready(ends[(attempt as usize - 1).min(ends.len() - 1)])
    }));
    (result, began.into_inner())
}

fn failed(attempts: u32, reason: Reason) -> Result<u32, GaveUp<&'static str>> {
    Err(GaveUp::Failed { attempts, reason, source: "busy" })
}

const BUSY: Result<u32, Fault<&'static str>> = Err(Fault::passing("busy"));

#[test]
fn an_operation_is_tried_until_it_succeeds_or_attempts_are_used_up() {
    assert_eq!(run(&retrying(), &[Ok(7)]), (Ok(7), vec![0]));
    assert_eq!(run(&retrying(), &[BUSY, BUSY, Ok(7)]), (Ok(7), vec![0, 100, 300]));
    assert_eq!(run(&retrying(), &[BUSY]), (failed(4, Reason::AttemptsUsed), vec![0, 100, 300, 600]));
}

#[test]
fn what_lasts_is_not_tried_again() {
    let ends = [BUSY, Err(Fault::lasting("busy")), Ok(7)];
    assert_eq!(run(&retrying(), &ends), (failed(2, Reason::NotRetried), vec![0, 100]));
}

#[test]
fn an_operation_may_ask_for_a_longer_wait_up_to_a_bound() {
    let asks = |wait| [Err(Fault::after("busy", wait)), Ok(7)];
    assert_eq!(run(&retrying(), &asks(ms(50))), (Ok(7), vec![0, 100]));
    assert_eq!(run(&retrying(), &asks(ms(2500))), (Ok(7), vec![0, 2500]));
    assert_eq!(run(&retrying(), &asks(ms(60_001))), (failed(1, Reason::AskedToWait), vec![0]));
}

#[test]
fn no_attempt_begins_that_would_end_too_late() {
    let retrying = Retrying { timeout: Some(ms(305)), ..retrying() };
    assert_eq!(run(&retrying, &[BUSY]), (failed(2, Reason::DeadlineTooNear), vec![0, 100]));
}

#[test]
fn operations_share_a_budget() {
    let settings = BudgetSettings { ratio_permille: 0, floor_per_s: 1, window: Duration::from_secs(1) };
    let retrying = Retrying { budget: Some(Arc::new(Budget::new(settings))), ..retrying() };
    assert_eq!(run(&retrying, &[BUSY]), (failed(2, Reason::BudgetExhausted), vec![0, 100]));
    assert_eq!(run(&retrying, &[BUSY]), (failed(1, Reason::BudgetExhausted), vec![0]));
}

#[test]
fn an_attempt_that_hangs_is_given_up_and_followed() {
    let retrying = Retrying { attempt_timeout: Some(ms(1000)), ..retrying() };
    let clock = Clock::manual();
    let sleep = |time: Duration| {
        let clock = clock.clone();
        async move { clock.advance(time) }
    };
    let result = block_on(retry(&retrying, &clock, &sleep, |attempt| async move {
        if attempt < 3 { pending().await } else { Ok::<_, Fault<()>>(attempt) }
    }));
    assert_eq!((result, clock.now() - Moment::START), (Ok(3), ms(1000 + 100 + 1000 + 200)));
    let result: Result<(), GaveUp<()>> = block_on(retry(&retrying, &clock, &sleep, |_| pending()));
    assert_eq!(result, Err(GaveUp::TimedOut { attempts: 4, reason: Reason::AttemptsUsed }));
    assert_eq!(result.unwrap_err().to_string(), "timed out in attempt 4 (attempts used up)");
}
