//! Claims about picking, over fleets of every shape.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use fastrand::Rng;
use forebay_balance::{Balancer, Candidate, Fleet, Pick, Policy, Request, Standing, Tried};
use forebay_clock::Moment;
use proptest::prelude::*;

struct Endpoint {
    weight: NonZeroU32,
    in_flight: AtomicU32,
    eligible: AtomicBool,
}

impl Candidate for Endpoint {
    fn weight(&self) -> NonZeroU32 {
        self.weight
    }
    fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
    fn is_eligible(&self, _now: Moment) -> bool {
        self.eligible.load(Ordering::Relaxed)
    }
}

/// A balancer on a fleet that the test can change.
struct Bench {
    balancer: Balancer<Arc<Endpoint>>,
    rng: Rng,
}

impl Bench {
    fn new(policy: Policy, weights: &[u32], seed: u64) -> Bench {
        let endpoint = |&weight: &u32| {
            Arc::new(Endpoint {
                weight: NonZeroU32::new(weight).expect("weights start at 1"),
                in_flight: AtomicU32::new(0),
                eligible: AtomicBool::new(true),
            })
        };
        let mut rng = Rng::with_seed(seed);
        let fleet = Arc::new(Fleet::new(policy, weights.iter().map(endpoint).collect()));
        Bench { balancer: Balancer::new(fleet, &mut rng), rng }
    }

    fn mark(&self, eligible: &[bool]) {
        for (endpoint, &eligible) in self.balancer.endpoints().iter().zip(eligible) {
            endpoint.eligible.store(eligible, Ordering::Relaxed);
        }
    }

    fn load(&mut self, index: usize, requests: usize) {
        let endpoint = &self.balancer.endpoints()[index];
        endpoint.in_flight.fetch_add(requests as u32, Ordering::Relaxed);
    }

    fn pick(&mut self, tried: &[usize]) -> Option<Pick> {
        let mut set = Tried::default();
        tried.iter().for_each(|&index| set.insert(index));
        self.balancer.pick(&Request { now: Moment::START, tried: &set, key: None }, &mut self.rng)
    }

    /// How often each endpoint is picked by `requests` that end before the next begins.
    fn spread(&mut self, requests: usize) -> Vec<usize> {
        let mut picks = vec![0; self.balancer.endpoints().len()];
        (0..requests).for_each(|_| picks[self.pick(&[]).expect("an endpoint").index] += 1);
        picks
    }
}

fn policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(Policy::ALL.to_vec())
}

/// Weight, whether eligible, requests in flight, whether tried: for each endpoint.
fn fleet(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(u32, bool, usize, bool)>> {
    prop::collection::vec((1..5u32, any::<bool>(), 0..4usize, prop::bool::weighted(0.2)), size)
}

proptest! {
    #[test]
    fn the_best_standing_there_is_gets_picked(policy in policy(), fleet in fleet(1..40), seed: u64) {
        let weights: Vec<u32> = fleet.iter().map(|endpoint| endpoint.0).collect();
        let mut bench = Bench::new(policy, &weights, seed);
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
        let mut bench = Bench::new(Policy::RoundRobin, &weights, seed);
        bench.mark(&eligible);
        let share = |(&weight, &eligible): (&u32, &bool)| if eligible { weight as usize } else { 0 };
        let round: Vec<usize> = weights.iter().zip(&eligible).map(share).collect();
        let total: usize = round.iter().sum();
        prop_assert_eq!(bench.spread(3 * total), round.iter().map(|turns| 3 * turns).collect::<Vec<_>>());
    }

    #[test]
    fn least_request_never_picks_the_busier_of_two(loads in (0..9usize, 0..9usize), seed: u64) {
        prop_assume!(loads.0 != loads.1);
        let mut bench = Bench::new(Policy::LeastRequest, &[1, 1], seed);
        bench.load(0, loads.0);
        bench.load(1, loads.1);
        prop_assert_eq!(bench.pick(&[]).unwrap().index, usize::from(loads.0 > loads.1));
    }

    #[test]
    fn least_request_keeps_the_fullest_near_the_mean(size in 2..100usize, seed: u64) {
        const MEAN: usize = 50;
        let mut bench = Bench::new(Policy::LeastRequest, &vec![1; size], seed);
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
        let mut bench = Bench::new(policy, &weights, seed);
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
        assert_eq!(Bench::new(policy, &[], 1).pick(&[]), None);
    }
}

#[test]
fn idle_endpoints_share_by_weight() {
    let check = |weights: &[u32]| {
        const PICKS: usize = 100_000;
        let total: u32 = weights.iter().sum();
        let picks = Bench::new(Policy::LeastRequest, weights, 3).spread(PICKS);
        for (&weight, picks) in weights.iter().zip(picks) {
            let expected = PICKS as f64 * f64::from(weight) / f64::from(total);
            // Five standard deviations of a binomial count, at most.
            assert!((picks as f64 - expected).abs() < 5.0 * expected.sqrt(), "{weights:?}: {picks}");
        }
    };
    check(&[1, 1]);
    check(&[1, 2, 5]);
    check(&[1, 100]);
    check(&[1; 50]);
    check(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 30]);
}

#[test]
fn busy_endpoints_share_by_weight() {
    let weights = [1, 2, 4, 1, 2, 4, 1, 2, 4, 1];
    let mut bench = Bench::new(Policy::LeastRequest, &weights, 5);
    for _ in 0..100 * 22 {
        let index = bench.pick(&[]).unwrap().index;
        bench.load(index, 1);
    }
    for endpoint in bench.balancer.endpoints() {
        let per_weight = endpoint.in_flight() / endpoint.weight.get();
        assert!((95..=105).contains(&per_weight), "{per_weight}");
    }
}

#[test]
fn the_share_of_the_sick_is_spread_over_all_others() {
    // A sick stretch in front of one endpoint must not make that one a favourite.
    let mut bench = Bench::new(Policy::LeastRequest, &[1; 40], 9);
    let eligible: Vec<bool> = (0..40).map(|index| index >= 30).collect();
    bench.mark(&eligible);
    for picks in &bench.spread(10_000)[30..] {
        assert!((800..1200).contains(picks), "{picks}");
    }
}
