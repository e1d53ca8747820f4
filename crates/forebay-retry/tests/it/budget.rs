//! Retries stay within their share, whatever happens at the same time.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use forebay_retry::{Budget, BudgetSettings, LocalBudget};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(10);

fn settings(ratio_permille: u32, floor_per_s: u32) -> BudgetSettings {
    BudgetSettings { ratio_permille, floor_per_s, window: WINDOW }
}

/// How many retries are let through if there is no end of attempts.
fn spend_all(budget: &Budget, now: Moment) -> usize {
    (0..).take_while(|_| budget.try_withdraw(now)).count()
}

/// Sends `per_s` requests a second for `seconds`, each of which fails and is tried again as often as may be, and says
/// when retries were let through.
fn storm(budget: &Budget, start: Moment, per_s: u32, seconds: u32) -> Vec<Moment> {
    let mut retries = Vec::new();
    for number in 0..per_s * seconds {
        let now = start + SECOND * number / per_s;
        budget.deposit(1, now);
        retries.extend((0..4).take_while(|_| budget.try_withdraw(now)).map(|_| now));
    }
    retries
}

#[test]
fn no_second_of_an_outage_has_more_than_a_fifth_more_load() {
    for (calm_s, per_s) in [(0, 1000), (1, 1000), (60, 1000), (60, 50), (60, 360), (60, 101)] {
        let budget = Budget::new(BudgetSettings::default());
        (0..calm_s * per_s).for_each(|number| budget.deposit(1, Moment::START + SECOND * number / per_s));
        let retries = storm(&budget, Moment::START + SECOND * calm_s, per_s, 10);
        for (first, &from) in retries.iter().enumerate() {
            let count = retries[first..].iter().take_while(|&&retry| retry < from + SECOND).count();
            assert!(count <= per_s as usize / 5, "{count} retries in a second of {per_s} requests");
        }
        assert!(retries.len() * 100 >= per_s as usize * 10 * 18, "{} of {per_s} a second", retries.len());
    }
}

#[test]
fn a_quiet_service_may_retry_everything() {
    let budget = Budget::new(BudgetSettings::default());
    for number in 0..300 {
        let now = Moment::START + SECOND * number / 5;
        budget.deposit(1, now);
        assert!(budget.try_withdraw(now), "request {number}");
    }
}

#[test]
fn nothing_is_saved_beyond_a_window() {
    let budget = Budget::new(settings(200, 0));
    (1..=600).for_each(|s| budget.deposit(1000, Moment::START + SECOND * s));
    let now = Moment::START + SECOND * 600;
    assert_eq!(spend_all(&budget, now), 2000, "a window's share of 1000/s");
    assert_eq!(spend_all(&budget, now + WINDOW * 2), 0);
    budget.deposit(1000, now + WINDOW * 3);
    assert_eq!(spend_all(&budget, now + WINDOW * 3), 200);
}

#[test]
fn a_burst_is_worth_what_the_window_has_left() {
    let budget = Budget::new(BudgetSettings::default());
    (0..1000).for_each(|ms| budget.deposit(1, Moment::START + Duration::from_millis(ms)));
    let killed = Moment::START + SECOND;
    assert!(spend_all(&budget, killed) >= 190, "requests that a killed endpoint had in flight");
    assert_eq!(spend_all(&budget, killed + Duration::from_millis(500)), 0);
}

#[test]
fn remaining_is_the_unspent_share() {
    let budget = Budget::new(settings(200, 10));
    assert_eq!(budget.remaining(Moment::START), 1.0);
    (0..25).for_each(|_| assert!(budget.try_withdraw(Moment::START)));
    assert_eq!(budget.remaining(Moment::START), 0.75);
    assert_eq!(budget.left(Moment::START), (75, 100));
    assert_eq!(budget.remaining(Moment::START + WINDOW * 2), 1.0);
    assert_eq!(Budget::new(settings(200, 0)).remaining(Moment::START), 0.0);
}

#[test]
fn a_core_earns_with_every_request() {
    let budget = LocalBudget::new(Arc::new(Budget::new(settings(1000, 0))));
    (0..100).for_each(|_| budget.deposit(Moment::START));
    assert_eq!((0..200).filter(|_| budget.try_withdraw(Moment::START)).count(), 100);
}

#[test]
fn cores_together_never_overspend() {
    const CORES: u32 = 4;
    const REQUESTS: u32 = 20_000;
    const STEP: Duration = Duration::from_micros(500);
    let clock = Clock::manual();
    let budget = Arc::new(Budget::new(settings(200, 10)));
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
    let share = 0.2 * f64::from(CORES * REQUESTS);
    assert!(f64::from(retries) <= share, "{retries} of {share}");
    // A core that the system holds up for a window makes all others wait in vain: no lower bound near the share.
    assert!(f64::from(retries) >= 0.5 * share, "{retries} of {share}");
}

proptest! {
    #[test]
    fn no_window_holds_more_retries_than_its_share_or_floor(
        ratio_permille in 0..=1000u32,
        floor_per_s in 0..100u32,
        // Of each step: requests, attempts to retry, milliseconds until the next.
        steps in prop::collection::vec((0..200u32, 0..400u32, 0..5_000u64), 1..60),
    ) {
        let budget = Budget::new(settings(ratio_permille, floor_per_s));
        let mut now = Moment::START;
        let mut taken: Vec<(Moment, u64, u64)> = Vec::new();
        for (sent, wanted, pause_ms) in steps {
            budget.deposit(sent, now);
            let retries = (0..wanted).filter(|_| budget.try_withdraw(now)).count() as u64;
            taken.push((now, sent.into(), retries));
            // In the window up to now, its beginning included.
            let window = taken.iter().filter(|(at, ..)| now.since(*at) <= WINDOW);
            let (requests, retries) = window.fold((0, 0), |sum, (_, sent, retries)| (sum.0 + sent, sum.1 + retries));
            let limit = (requests * u64::from(ratio_permille) / 1000).max(u64::from(floor_per_s) * 10);
            if taken.last().is_some_and(|last| last.2 > 0) {
                prop_assert!(retries <= limit, "{retries} of {limit}");
            }
            now = now + Duration::from_millis(pause_ms);
        }
    }
}
