//! Which endpoints may be picked at all, and that none of them starves.

use forebay_balance::{Candidate, Policy, Standing};
use proptest::prelude::*;

use crate::fleet::{Bench, Endpoint, calm, policy};

/// Weight, whether eligible, requests in flight, whether tried: for each endpoint.
fn fleet(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(u32, bool, usize, bool)>> {
    prop::collection::vec((1..5u32, any::<bool>(), 0..4usize, prop::bool::weighted(0.2)), size)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_best_standing_there_is_gets_picked(policy in policy(), fleet in fleet(1..40), seed: u64) {
        let weights: Vec<u32> = fleet.iter().map(|endpoint| endpoint.0).collect();
        let mut bench = Bench::new(calm(policy), Endpoint::with_weights(&weights), seed);
        bench.mark(&fleet.iter().map(|endpoint| endpoint.1).collect::<Vec<_>>());
        (0..fleet.len()).for_each(|index| bench.load(index, fleet[index].2));
        let tried: Vec<usize> = (0..fleet.len()).filter(|&index| fleet[index].3).take(8).collect();
        let is_untried = |index: usize| !tried.contains(&index);

        let pick = bench.pick(&tried).unwrap();
        let expected = if (0..fleet.len()).any(|index| fleet[index].1 && is_untried(index)) {
            Standing::Untried
        } else if fleet.iter().any(|endpoint| endpoint.1) {
            Standing::Retried
        } else {
            Standing::Panicked
        };
        prop_assert_eq!(pick.standing, expected);
        prop_assert_eq!(fleet[pick.index].1, expected != Standing::Panicked);
        let any_untried = (0..fleet.len()).any(is_untried);
        prop_assert_eq!(is_untried(pick.index), expected != Standing::Retried && any_untried);
    }

    #[test]
    fn round_robin_spreads_exactly_among_the_eligible(
        weights in prop_oneof![
            prop::collection::vec(Just(1u32), 1..20),
            prop::collection::vec(1..6u32, 1..20),
        ],
        sick in prop::collection::vec(any::<bool>(), 20),
        seed: u64,
    ) {
        let eligible: Vec<bool> = weights.iter().zip(&sick).map(|(_, sick)| !sick).collect();
        prop_assume!(eligible.contains(&true));
        let mut bench = Bench::new(calm(Policy::RoundRobin), Endpoint::with_weights(&weights), seed);
        bench.mark(&eligible);
        let share = |(&weight, &eligible): (&u32, &bool)| if eligible { weight as usize } else { 0 };
        let round: Vec<usize> = weights.iter().zip(&eligible).map(share).collect();
        let total: usize = round.iter().sum();
        prop_assert_eq!(bench.spread(3 * total), round.iter().map(|turns| 3 * turns).collect::<Vec<_>>());
    }

    #[test]
    fn least_request_never_picks_the_busier_of_two(loads in (0..9usize, 0..9usize), seed: u64) {
        prop_assume!(loads.0 != loads.1);
        let mut bench = Bench::new(Policy::LeastRequest, Endpoint::with_weights(&[1, 1]), seed);
        bench.load(0, loads.0);
        bench.load(1, loads.1);
        prop_assert_eq!(bench.pick(&[]).unwrap().index, usize::from(loads.0 > loads.1));
    }

    #[test]
    fn least_request_keeps_the_fullest_near_the_mean(size in 2..100usize, seed: u64) {
        const MEAN: usize = 50;
        let mut bench = Bench::new(Policy::LeastRequest, Endpoint::with_weights(&vec![1; size]), seed);
        for _ in 0..MEAN * size {
            let index = bench.pick(&[]).unwrap().index;
            bench.load(index, 1);
        }
        let fullest = bench.balancer.endpoints().iter().map(|endpoint| endpoint.in_flight()).max();
        // Two choices keep the excess at ln ln n / ln 2 + O(1); one choice would be past 15 here.
        prop_assert!(fullest.unwrap() as usize <= MEAN + 5, "{fullest:?}");
    }

    #[test]
    fn nobody_eligible_starves(policy in policy(), fleet in fleet(1..30), seed: u64) {
        let weights: Vec<u32> = fleet.iter().map(|endpoint| endpoint.0).collect();
        let mut bench = Bench::new(calm(policy), Endpoint::with_weights(&weights), seed);
        bench.mark(&fleet.iter().map(|endpoint| endpoint.1).collect::<Vec<_>>());
        let nobody_eligible = fleet.iter().all(|endpoint| !endpoint.1);
        let picks = bench.spread(100 * fleet.len());
        for (index, endpoint) in fleet.iter().enumerate() {
            prop_assert_eq!(picks[index] > 0, endpoint.1 || nobody_eligible, "{:?}", picks);
        }
    }
}

#[test]
fn an_empty_fleet_has_nothing_to_pick() {
    for policy in Policy::ALL {
        assert_eq!(Bench::new(policy, Vec::new(), 1).pick(&[]), None);
    }
}

#[test]
fn busy_endpoints_share_by_weight() {
    let weights = [1, 2, 4, 1, 2, 4, 1, 2, 4, 1];
    let mut bench = Bench::new(Policy::LeastRequest, Endpoint::with_weights(&weights), 5);
    for _ in 0..100 * 22 {
        let index = bench.pick(&[]).unwrap().index;
        bench.load(index, 1);
    }
    for endpoint in bench.balancer.endpoints() {
        let per_weight = endpoint.in_flight() / endpoint.weight().get();
        assert!((95..=105).contains(&per_weight), "{per_weight}");
    }
}

#[test]
fn the_share_of_the_sick_is_spread_over_all_others() {
    // A sick stretch in front of one endpoint must not make that one a favourite.
    let mut bench = Bench::new(calm(Policy::LeastRequest), Endpoint::with_weights(&[1; 40]), 9);
    let eligible: Vec<bool> = (0..40).map(|index| index >= 30).collect();
    bench.mark(&eligible);
    for picks in &bench.spread(10_000)[30..] {
        assert!((800..1200).contains(picks), "{picks}");
    }
}
