//! Retries stay within their share, whatever happens at the same time.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use forebay_retry::{Budget, BudgetSettings, LocalBudget};
use proptest::prelude::*;

const WINDOW: Duration = Duration::from_secs(10);

fn settings(ratio_permille: u32, floor_per_s: u32) -> BudgetSettings {
    BudgetSettings { ratio_permille, floor_per_s, window: WINDOW }
}

/// Sends `per_s` requests a second for `seconds`, each of them failing, and counts the retries that are let through.
fn storm(budget: &Budget, start: Moment, per_s: u32, seconds: u32) -> u32 {
    let every = Duration::from_secs(1) / per_s;
    let retried = |number: &u32| {
        let now = start + every * *number;
        budget.deposit(1, now);
        budget.try_withdraw(now)
    };
    (0..per_s * seconds).filter(retried).count() as u32
}

#[test]
fn a_storm_gets_its_ratio_and_no_more() {
    let budget = Budget::new(BudgetSettings::default(), Moment::START);
    let minute = 60;
    let retries = storm(&budget, Moment::START, 1000, minute);
    assert!(retries <= 200 * minute, "{retries}");
    assert!(retries >= 175 * minute, "{retries}");
}

#[test]
fn ten_seconds_of_outage_after_any_calm_are_not_amplified_beyond_the_ratio() {
    for calm_s in [0, 1, 60] {
        let budget = Budget::new(BudgetSettings::default(), Moment::START);
        let second = Duration::from_secs(1);
        (1..=calm_s * 1000).for_each(|ms| budget.deposit(1, Moment::START + second * ms / 1000));
        let retries = storm(&budget, Moment::START + second * calm_s, 1000, 10);
        assert!((1700..=2000).contains(&retries), "{retries} retries of 10,000 requests after {calm_s} s");
    }
}

#[test]
fn a_quiet_service_may_retry_everything() {
    let budget = Budget::new(BudgetSettings::default(), Moment::START);
    assert_eq!(storm(&budget, Moment::START, 5, 60), 5 * 60);
}

#[test]
fn what_is_saved_is_worth_a_window_and_no_more() {
    let budget = Budget::new(settings(200, 0), Moment::START);
    let second = Duration::from_secs(1);
    (1..=600).for_each(|s| budget.deposit(1000, Moment::START + second * s));
    let saved = |now| (0..).take_while(|_| budget.try_withdraw(now)).count();
    let now = Moment::START + second * 600;
    let spent = saved(now);
    assert!(
        (1640..=1820).contains(&spent),
        "a window's share of 1000/s is 1818, and some has leaked: {spent}"
    );
    budget.deposit(1000, now);
    assert_eq!(saved(now + WINDOW * 3), 181, "what comes in counts in full");
    budget.deposit(1000, now + WINDOW * 3);
    budget.try_withdraw(now + WINDOW * 4);
    assert_eq!(saved(now + WINDOW * 5), 0, "a window later nothing is left of it");
}

#[test]
fn remaining_is_the_unspent_share() {
    let budget = Budget::new(settings(200, 10), Moment::START);
    assert_eq!(budget.remaining(Moment::START), 1.0);
    (0..25).for_each(|_| assert!(budget.try_withdraw(Moment::START)));
    assert_eq!(budget.remaining(Moment::START), 0.75);
    assert_eq!(budget.remaining(Moment::START + WINDOW), 1.0);
    assert_eq!(Budget::new(settings(200, 0), Moment::START).remaining(Moment::START), 0.0);
}

#[test]
fn a_core_earns_with_every_request() {
    let budget = LocalBudget::new(Arc::new(Budget::new(settings(1100, 0), Moment::START)));
    (0..100).for_each(|_| budget.deposit(Moment::START));
    let later = Moment::START + WINDOW;
    assert_eq!((0..200).filter(|_| budget.try_withdraw(later)).count(), 100);
}

#[test]
fn cores_together_never_overspend() {
    const CORES: u32 = 4;
    const REQUESTS: u32 = 20_000;
    const STEP: Duration = Duration::from_micros(500);
    let clock = Clock::manual();
    let budget = Arc::new(Budget::new(settings(200, 10), clock.now()));
    let core = || {
        let local = LocalBudget::new(Arc::clone(&budget));
        let retried = |_: &u32| {
            clock.advance(STEP);
            local.deposit(clock.now());
            local.try_withdraw(clock.now())
        };
        (0..REQUESTS).filter(retried).count() as u32
    };
    let retries: u32 = thread::scope(|scope| {
        let cores: Vec<_> = (0..CORES).map(|_| scope.spawn(core)).collect();
        cores.into_iter().map(|core| core.join().unwrap()).sum()
    });
    let seconds = (clock.now() - Moment::START + WINDOW).as_secs_f64();
    let limit = 0.2 * f64::from(CORES * REQUESTS) + 10.0 * seconds;
    assert!(f64::from(retries) <= limit, "{retries} of {limit}");
    assert!(f64::from(retries) >= 0.9 * 0.18 * f64::from(CORES * REQUESTS), "{retries}");
}

proptest! {
    #[test]
    fn retries_stay_within_ratio_and_floor(
        ratio_permille in 0..=1000u32,
        floor_per_s in 0..100u32,
        // Of each step: requests, attempts to retry, milliseconds until the next.
        steps in prop::collection::vec((0..200u32, 0..200u32, 0..20_000u64), 1..100),
    ) {
        let budget = Budget::new(settings(ratio_permille, floor_per_s), Moment::START);
        let mut now = Moment::START;
        let (mut requests, mut retries) = (0, 0);
        for (sent, wanted, pause_ms) in steps {
            budget.deposit(sent, now);
            requests += sent;
            retries += (0..wanted).filter(|_| budget.try_withdraw(now)).count();
            let floor_s = (now.since(Moment::START) + WINDOW).as_secs_f64();
            let limit =
                f64::from(requests) * f64::from(ratio_permille) / 1000.0 + f64::from(floor_per_s) * floor_s;
            prop_assert!(retries as f64 <= limit + 1e-6, "{retries} of {limit}");
            now = now + Duration::from_millis(pause_ms);
        }
    }
}
