//! That weights are kept: exactly by the policies that count, within 1% by the tables, within chance by those that draw.

use forebay_balance::{Balance, Candidate, Policy};
use forebay_config::Share;
use proptest::prelude::*;

use crate::fleet::{Bench, Endpoint};

/// How far, in parts of its share, the worst endpoint's picks are from what its weight says.
fn worst_error(weights: &[u32], picks: &[usize]) -> f64 {
    let (total, picked) = (weights.iter().sum::<u32>(), picks.iter().sum::<usize>());
    let error = |(&weight, &picks): (&u32, &usize)| {
        let expected = picked as f64 * f64::from(weight) / f64::from(total);
        (picks as f64 - expected).abs() / expected
    };
    weights.iter().zip(picks).map(error).fold(0.0, f64::max)
}

/// Picks for keys spread evenly over all there are, so that no chance is in it.
fn share_of_keys(balance: impl Into<Balance>, weights: &[u32], keys: u64) -> Vec<usize> {
    let mut bench = Bench::new(balance, Endpoint::with_weights(weights), 1);
    let mut picks = vec![0; weights.len()];
    for number in 0..keys {
        let key = (u64::MAX / keys) * number + u64::MAX / keys / 2;
        picks[bench.pick_for(&[], Some(key), None).expect("an endpoint").index] += 1;
    }
    picks
}

#[test]
fn maglev_keeps_weights_within_one_percent() {
    let check = |weights: &[u32]| {
        // Twice the table's seats, so that each is met twice.
        let error = worst_error(weights, &share_of_keys(Policy::Maglev, weights, 1 << 17));
        assert!(error < 0.01, "{weights:?}: {error}");
    };
    check(&[1]);
    check(&[1; 8]);
    check(&[1, 2, 3, 4]);
    check(&[3, 7, 1, 9, 5, 5, 2]);
    check(&[1, 50]);
}

#[test]
fn ring_hash_keeps_weights_within_three_deviations() {
    for weights in [&[1u32; 8][..], &[1, 2, 3, 4]] {
        let error = worst_error(weights, &share_of_keys(Policy::RingHash, weights, 1 << 16));
        assert!(error < 3.0 / 256f64.sqrt(), "{weights:?}: {error}");
    }
}

#[test]
fn drawn_endpoints_share_by_weight() {
    let check = |policy, weights: &[u32]| {
        const PICKS: usize = 100_000;
        let total: u32 = weights.iter().sum();
        let picks = Bench::new(policy, Endpoint::with_weights(weights), 3).spread(PICKS);
        for (&weight, picks) in weights.iter().zip(picks) {
            let expected = PICKS as f64 * f64::from(weight) / f64::from(total);
            // Five standard deviations of a binomial count, at most.
            assert!((picks as f64 - expected).abs() < 5.0 * expected.sqrt(), "{weights:?}: {picks}");
        }
    };
    for policy in [Policy::LeastRequest, Policy::PeakEwma, Policy::Random] {
        check(policy, &[1, 1]);
        check(policy, &[1, 2, 5]);
        check(policy, &[1, 100]);
        check(policy, &[1; 50]);
        check(policy, &[1, 1, 1, 1, 1, 1, 1, 1, 1, 30]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn round_robin_of_a_large_fleet_keeps_weights_within_one_percent(
        weights in prop::collection::vec(1..9u32, 33..80),
        seed: u64,
    ) {
        let rounds = 200;
        let total: u32 = weights.iter().sum();
        let picks = Bench::new(Policy::RoundRobin, Endpoint::with_weights(&weights), seed)
            .spread(total as usize * rounds);
        for (&weight, &picks) in weights.iter().zip(&picks) {
            let expected = weight as usize * rounds;
            // Where in its round each began makes a turn's difference.
            prop_assert!(picks.abs_diff(expected) <= 1 + expected / 200, "{weight}: {picks} of {expected}");
        }
    }

    #[test]
    fn loads_never_exceed_the_bound(
        policy in prop::sample::select(vec![Policy::Maglev, Policy::RingHash]),
        weights in prop::collection::vec(1..6u32, 1..30),
        headroom in 1..100u32,
        keys in 1..4u64,
        requests in 1..300usize,
    ) {
        let headroom = Share::from_millionths(headroom * 10_000);
        let balance = Balance { headroom, ..Balance::from(policy) };
        let mut bench = Bench::new(balance, Endpoint::with_weights(&weights), 1);
        let total: u32 = weights.iter().sum();
        for number in 0..requests {
            // A few keys as hot as can be.
            let key = forebay_balance::hash(&[(number as u64 % keys) as u8]);
            let index = bench.pick_for(&[], Some(key), None).unwrap().index;
            bench.load(index, 1);
            let factor = 1_000_000 + u64::from(headroom.millionths());
            let part = (number as u64 + 1) * u64::from(weights[index]) * factor;
            let bound = part.div_ceil(u64::from(total) * 1_000_000);
            let load = u64::from(bench.balancer.endpoints()[index].in_flight());
            prop_assert!(load <= bound, "{load} on an endpoint that may have {bound}");
        }
    }
}
