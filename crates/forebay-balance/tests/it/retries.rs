//! That each try goes to another endpoint where there is one, whatever else is preferred.

use forebay_balance::{Policy, Standing};

use crate::fleet::{Bench, Endpoint, calm};

#[test]
fn every_try_goes_to_another_endpoint_while_there_is_one() {
    for policy in Policy::ALL {
        for size in [1, 2, 3, 5, 8, 40] {
            let mut bench = Bench::new(policy, Endpoint::with_weights(&vec![1; size]), 7);
            let mut tried = Vec::new();
            for _ in 0..size.min(8) {
                let pick = bench.pick_for(&tried, Some(7), None).unwrap();
                assert_eq!(
                    (pick.standing, tried.contains(&pick.index)),
                    (Standing::Untried, false),
                    "{policy}"
                );
                tried.push(pick.index);
            }
            if size <= 8 {
                let pick = bench.pick_for(&tried, Some(7), None).unwrap();
                assert_eq!(pick.standing, Standing::Retried, "{policy} {size}");
            }
        }
    }
}

#[test]
fn a_try_leaves_its_level_and_zone_rather_than_go_back() {
    let endpoints = vec![
        Endpoint { zone: Some("a"), ..Endpoint::new(0) },
        Endpoint { zone: Some("b"), ..Endpoint::new(1) },
        Endpoint { priority: 1, ..Endpoint::new(2) },
    ];
    let balance = forebay_balance::Balance { zone: Some("a".into()), ..calm(Policy::LeastRequest) };
    let mut bench = Bench::new(balance, endpoints, 1);
    for (tried, expected) in [(&[][..], 0), (&[0], 1), (&[0, 1], 2)] {
        let pick = bench.pick(tried).unwrap();
        assert_eq!((pick.index, pick.standing), (expected, Standing::Untried));
    }
    assert_eq!(bench.pick(&[0, 1, 2]).unwrap().standing, Standing::Retried);
}
