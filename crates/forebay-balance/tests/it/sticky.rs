//! Sessions that survive what happens to their endpoints.

use std::net::IpAddr;

use forebay_balance::{Balance, Facts, Policy, SameSite, Standing, Sticky, StickyKey, Token};

use crate::fleet::{Bench, Endpoint, calm};

struct Cookies(&'static str);

impl Facts for Cookies {
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> bool) {
        if name == "cookie" {
            each(self.0.as_bytes());
        }
    }
    fn query(&self) -> Option<&str> {
        None
    }
    fn path_parameter(&self, _name: &str) -> Option<&str> {
        None
    }
    fn address(&self) -> IpAddr {
        [127, 0, 0, 1].into()
    }
}

fn bench(policy: Policy, numbers: impl Iterator<Item = usize>) -> Bench {
    let balance = Balance { sticky: Some(StickyKey::new(Some("a secret"))), ..calm(policy) };
    Bench::new(balance, numbers.map(Endpoint::new).collect(), 3)
}

fn token(bench: &Bench, index: usize) -> Option<Token> {
    bench.balancer.fleet().token(index)
}

#[test]
fn a_session_stays_with_its_endpoint() {
    for policy in Policy::ALL {
        let mut here = bench(policy, 0..20);
        // Another node, whose sources list the endpoints in another order.
        let mut there = bench(policy, (0..20).rev());
        for index in 0..20 {
            let session = token(&here, index);
            assert_eq!(here.pick_for(&[], Some(1), session).unwrap().index, index);
            assert_eq!(there.pick_for(&[], Some(1), session).unwrap().index, 19 - index);
        }
    }
}

#[test]
fn a_session_moves_when_its_endpoint_cannot_serve_and_only_then() {
    for policy in Policy::ALL {
        let mut bench = bench(policy, 0..5);
        let session = token(&bench, 2);
        bench.load(2, 100);
        assert_eq!(bench.pick_for(&[], Some(1), session).unwrap().index, 2, "busy is no reason");
        assert_ne!(bench.pick_for(&[2], Some(1), session).unwrap().index, 2, "it has just failed");
        bench.mark(&[true, true, false, true, true]);
        let next = bench.pick_for(&[], Some(1), session).unwrap();
        assert!(next.index != 2 && next.standing == Standing::Untried);
        let gone = token(&self::bench(policy, 7..8), 0);
        assert!(bench.pick_for(&[], Some(1), gone).is_some(), "an endpoint that is gone altogether");
        bench.mark(&[false; 5]);
        assert_eq!(bench.pick_for(&[], Some(1), session).unwrap().index, 2, "in panic all are alike");
    }
}

#[test]
fn the_client_is_told_when_its_endpoint_is_another() {
    let sticky = Sticky {
        cookie: "forebay".into(),
        path: "/".into(),
        http_only: true,
        secure: None,
        same_site: SameSite::Lax,
        ttl: None,
    };
    let bench = bench(Policy::LeastRequest, 0..2);
    let (first, second) = (token(&bench, 0).unwrap(), token(&bench, 1).unwrap());
    assert_eq!(sticky.set(Some(first), first, true), None);
    let field = sticky.set(Some(first), second, true).unwrap();
    let (pair, _) = field.split_once(';').unwrap();
    let sent: &'static str = Box::leak(format!("a=b; {pair}").into_boxed_str());
    assert_eq!(sticky.read(&Cookies(sent)), Some(second));
    assert_eq!(sticky.read(&Cookies("forebay=10.0.0.1:9001")), None);
}
