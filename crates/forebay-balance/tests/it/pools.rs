//! Fail-over, preference for a zone, and panic, as picks show them.

use std::time::Duration;

use forebay_balance::{Balance, Policy, Request, Standing, Tried};
use forebay_config::Share;

use crate::fleet::{Bench, Endpoint, calm};

const PICKS: usize = 20_000;

/// The share of picks that go to the endpoints before `count`, in percent.
fn percent_of_first(bench: &mut Bench, count: usize) -> f64 {
    bench.spread(PICKS)[..count].iter().sum::<usize>() as f64 * 100.0 / PICKS as f64
}

#[track_caller]
fn check_share(bench: &mut Bench, count: usize, expected: f64) {
    let percent = percent_of_first(bench, count);
    // Five standard deviations of a share of 20,000 are below 2%.
    assert!((percent - expected).abs() < 2.0, "{percent}% instead of {expected}%");
}

#[test]
fn the_next_level_takes_over_what_the_first_cannot_carry() {
    for policy in Policy::ALL {
        let endpoint =
            |number| Endpoint { priority: if number < 10 { 5 } else { 9 }, ..Endpoint::new(number) };
        let mut bench = Bench::new(calm(policy), (0..20).map(endpoint).collect(), 3);
        for (sick, expected) in [(0, 100.0), (2, 100.0), (5, 70.0), (8, 28.0), (10, 0.0)] {
            bench.mark(&(0..20).map(|index| index >= sick).collect::<Vec<_>>());
            check_share(&mut bench, 10, expected);
        }
    }
}

#[test]
fn the_preferred_zone_gets_what_its_capacity_allows() {
    for policy in [Policy::LeastRequest, Policy::PeakEwma, Policy::RoundRobin, Policy::Random] {
        let endpoint = |number| Endpoint {
            zone: Some(if number < 10 { "here" } else { "there" }),
            ..Endpoint::new(number)
        };
        let balance = Balance { zone: Some("here".into()), ..Balance::from(policy) };
        let mut bench = Bench::new(balance, (0..20).map(endpoint).collect(), 3);
        for (sick, expected) in [(0, 100.0), (2, 800.0 / 9.0), (5, 200.0 / 3.0), (10, 0.0)] {
            bench.mark(&(0..20).map(|index| index >= sick).collect::<Vec<_>>());
            check_share(&mut bench, 10, expected);
        }
    }
}

#[test]
fn a_hashing_policy_knows_no_zone() {
    let endpoint =
        |number| Endpoint { zone: Some(if number < 2 { "here" } else { "there" }), ..Endpoint::new(number) };
    let balance = Balance { zone: Some("here".into()), ..Balance::from(Policy::Maglev) };
    check_share(&mut Bench::new(balance, (0..4).map(endpoint).collect(), 3), 2, 50.0);
}

#[test]
fn below_the_panic_threshold_all_count() {
    for policy in Policy::ALL {
        let check = |threshold: u32, healthy: usize, expected: Standing| {
            let panic_threshold = Share::from_millionths(threshold * 10_000);
            let balance = Balance { panic_threshold, ..Balance::from(policy) };
            let mut bench = Bench::new(balance, Endpoint::with_weights(&[1; 10]), 3);
            bench.mark(&(0..10).map(|index| index < healthy).collect::<Vec<_>>());
            assert_eq!(bench.pick(&[]).unwrap().standing, expected, "{policy}: {healthy} at {threshold}%");
            let picked = bench.spread(1000).into_iter().filter(|&picks| picks > 0).count();
            assert_eq!(picked, if expected == Standing::Panicked { 10 } else { healthy }, "{policy}");
        };
        check(50, 5, Standing::Untried);
        check(50, 4, Standing::Panicked);
        check(0, 1, Standing::Untried);
        check(0, 0, Standing::Panicked);
    }
}

#[test]
fn health_is_followed_between_two_counts() {
    for policy in Policy::ALL {
        let mut bench = Bench::new(policy, Endpoint::with_weights(&[1; 40]), 3);
        bench.pick(&[]);
        // No time passes from here on: the count is as old as can be.
        bench.mark(&(0..40).map(|index| index == 39).collect::<Vec<_>>());
        let tried = Tried::default();
        let request = Request { key: Some(1), ..Request::new(bench.now, &tried) };
        let pick = bench.balancer.pick(&request, &mut bench.rng).unwrap();
        assert_eq!((pick.index, pick.standing), (39, Standing::Untried), "{policy}");
        // A count later, so few are left that nobody is believed.
        let later = Request { now: bench.now + Duration::from_secs(1), ..request };
        assert_eq!(bench.balancer.pick(&later, &mut bench.rng).unwrap().standing, Standing::Panicked);
    }
}

#[test]
fn as_many_levels_and_zones_as_somebody_makes_up_are_fine() {
    let zones: Vec<&'static str> =
        (0..100).map(|number| &*Box::leak(format!("z{number}").into_boxed_str())).collect();
    let endpoint = |number: usize| Endpoint {
        zone: Some(zones[number % 100]),
        priority: number as u16,
        ..Endpoint::new(number)
    };
    let eligible: Vec<bool> = (0..1000).map(|index| index >= 500).collect();
    for zone in [None, Some("z1"), Some("elsewhere")] {
        let balance = Balance { zone: zone.map(Into::into), ..Balance::from(Policy::RoundRobin) };
        let mut bench = Bench::new(balance, (0..1000).map(endpoint).collect(), 3);
        assert_eq!(bench.pick(&[]).unwrap().index, 0);
        bench.mark(&eligible);
        let picks = bench.spread(2000);
        assert!(picks[..500].iter().all(|&picks| picks == 0), "{zone:?}");
        // Without an endpoint in the preferred zone there is nothing to prefer.
        assert!(zone == Some("z1") || picks[500..].iter().all(|&picks| picks > 0), "{zone:?}");
    }
}
