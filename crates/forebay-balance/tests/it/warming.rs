//! Slow start, as picks show it.

use std::time::Duration;

use forebay_balance::{Balance, Policy, Ramp};
use forebay_clock::Moment;

use crate::fleet::{Bench, Endpoint};

const POLICIES: [Policy; 4] = [Policy::LeastRequest, Policy::PeakEwma, Policy::RoundRobin, Policy::Random];
const HOUR: Duration = Duration::from_secs(3600);

/// A fleet whose last endpoint came `age` ago, a minute being the window; its picks per hundred of another's.
fn percent_of_share(policy: Policy, size: usize, age: Duration) -> f64 {
    let balance = Balance { ramp: Ramp::over(Duration::from_secs(60)), ..Balance::from(policy) };
    let now = Moment::START + HOUR;
    let newcomer = Moment::from_nanos((now - Moment::START).as_nanos() as u64 - age.as_nanos() as u64);
    let mut endpoints: Vec<Endpoint> = (0..size).map(Endpoint::new).collect();
    endpoints[size - 1].since = Some(newcomer);
    let mut bench = Bench::new(balance, endpoints, 5);
    let mut picks = vec![0; size];
    for _ in 0..2000 * size {
        bench.now = now;
        let tried = forebay_balance::Tried::default();
        let request = forebay_balance::Request::new(now, &tried);
        picks[bench.balancer.pick(&request, &mut bench.rng).expect("an endpoint").index] += 1;
    }
    let others = picks[..size - 1].iter().sum::<usize>() as f64 / (size - 1) as f64;
    picks[size - 1] as f64 * 100.0 / others
}

#[test]
fn a_new_endpoint_comes_to_its_share_in_proportion_to_its_age() {
    for policy in POLICIES {
        for size in [4, 12, 40] {
            for (age_s, expected) in [(0, 10.0), (3, 10.0), (30, 50.0), (60, 100.0)] {
                let percent = percent_of_share(policy, size, Duration::from_secs(age_s));
                // 2,000 times 10% is 200, whose standard deviation is 14.
                let tolerance = if policy == Policy::RoundRobin { 1.0 } else { 10.0 };
                assert!(
                    (percent - expected).abs() < tolerance,
                    "{policy} of {size} at {age_s} s: {percent}%"
                );
            }
        }
    }
}

#[test]
fn where_all_are_new_nobody_is() {
    for policy in POLICIES {
        let balance = Balance { ramp: Ramp::over(Duration::from_secs(60)), ..Balance::from(policy) };
        let endpoint = |number| Endpoint { since: Some(Moment::START), ..Endpoint::new(number) };
        let mut bench = Bench::new(balance, (0..10).map(endpoint).collect(), 5);
        let picks = bench.spread(10_000);
        assert!(picks.iter().all(|picks| (800..1200).contains(picks)), "{policy}: {picks:?}");
    }
}

#[test]
fn a_busy_newcomer_counts_as_busier() {
    // Both have one request; the newcomer has a tenth of its weight.
    let balance = Balance { ramp: Ramp::over(HOUR), ..Balance::from(Policy::LeastRequest) };
    let endpoints = vec![Endpoint { since: Some(Moment::START), ..Endpoint::new(0) }, Endpoint::new(1)];
    let mut bench = Bench::new(balance, endpoints, 5);
    bench.load(0, 1);
    bench.load(1, 9);
    assert_eq!(bench.pick(&[]).unwrap().index, 1);
    bench.load(1, 2);
    assert_eq!(bench.pick(&[]).unwrap().index, 0);
}
