//! What becomes of this node's own instances and their checks, one claim at a time.

use std::net::SocketAddr;
use std::time::Duration;

use super::fixtures::{at, instance, registry, state, status, tcp, ttl, with};
use super::*;
use crate::check::{CheckKind, CheckSpec, Status, TcpCheck};
use crate::instance::{Declared, InstanceState, Registration};
use crate::probing::{ProbeAnswer, SUSPECT_EVERY};
use crate::refusal::Refusal;
use crate::reporting::WORDS_EVERY;

#[test]
fn an_instance_without_checks_is_ready_for_as_long_as_it_is_registered() {
    let mut registry = registry();
    registry.register(at(0), instance("Orders", "orders-1")).unwrap();
    assert_eq!(state(&registry), InstanceState::Ready);
    let found: Vec<_> = registry.instances_of("ORDERS").map(|found| found.instance.id.to_string()).collect();
    assert_eq!(found, ["orders-1"]);
    registry.deregister(at(1), "orders-1").unwrap();
    assert_eq!(registry.instances_of("orders").count(), 0);
    assert_eq!(
        registry.deregister(at(1), "orders-1"),
        Err(Refusal::UnknownInstance { id: "orders-1".into() })
    );
}

#[test]
fn a_check_is_critical_until_it_passes_and_once_its_lease_is_over() {
    let mut registry = registry();
    registry.register(at(0), with(vec![ttl(10)])).unwrap();
    assert_eq!(state(&registry), InstanceState::Critical);
    registry.report(at(1), "service:orders-1", Status::Passing, "fine").unwrap();
    assert_eq!((state(&registry), registry.next_due()), (InstanceState::Ready, at(11)));
    registry.report(at(5), "service:orders-1", Status::Warning, "slow").unwrap();
    let found = registry.instance("orders-1").unwrap();
    assert_eq!((found.state(), found.status()), (InstanceState::Ready, Status::Warning));
    assert_eq!(found.why().unwrap(), "check service:orders-1 warning: slow");
    registry.lapse(at(14));
    assert_eq!(status(&registry, "service:orders-1"), Status::Warning);
    registry.lapse(at(15));
    assert_eq!(state(&registry), InstanceState::Critical);
    let index = registry.count();
    registry.lapse(at(100));
    assert_eq!(registry.count(), index, "it expires once");
    let why = registry.instance("orders-1").unwrap().why().unwrap();
    assert_eq!(
        why,
        "check service:orders-1 critical: TTL expired (last output before timeout follows): slow"
    );
    registry.report(at(101), "service:orders-1", Status::Passing, "").unwrap();
    assert_eq!(state(&registry), InstanceState::Ready);
}

#[test]
fn a_report_that_says_nothing_new_changes_no_index_and_stores_nothing() {
    let mut registry = registry();
    registry.register(at(0), with(vec![ttl(10)])).unwrap();
    registry.report(at(1), "service:orders-1", Status::Passing, "fine").unwrap();
    registry.take_effects();
    let count = registry.count();
    registry.report(at(2), "service:orders-1", Status::Passing, "fine").unwrap();
    assert_eq!((registry.count(), registry.take_effects()), (count, Effects::default()));
    assert_eq!(registry.next_due(), at(12));
}

#[test]
fn other_words_alone_are_seen_at_once_and_told_once_in_a_while() {
    let mut registry = registry();
    registry.register(at(0), with(vec![ttl(600)])).unwrap();
    registry.report(at(1), "service:orders-1", Status::Passing, "load 1").unwrap();
    let count = registry.count();
    registry.report(at(2), "service:orders-1", Status::Passing, "load 2").unwrap();
    registry.report(at(3), "service:orders-1", Status::Passing, "load 3").unwrap();
    assert_eq!((registry.count(), &*registry.check("service:orders-1").unwrap().0.output), (count, "load 3"));
    assert_eq!(registry.next_due(), at(1) + WORDS_EVERY);
    registry.lapse(at(1) + WORDS_EVERY);
    assert_eq!(registry.count(), count + 1);
    registry.report(at(300), "service:orders-1", Status::Passing, "load 4").unwrap();
    assert_eq!(registry.count(), count + 2, "after a quiet time other words are told at once");
    registry.report(at(301), "service:orders-1", Status::Critical, "load 5").unwrap();
    assert_eq!(registry.count(), count + 3, "another status is always told at once");
}

#[test]
fn what_stays_critical_is_deregistered() {
    let mut registry = registry();
    let spec = CheckSpec { deregister_after: Some(Duration::from_secs(60)), ..ttl(10) };
    registry.register(at(0), with(vec![spec])).unwrap();
    registry.report(at(0), "service:orders-1", Status::Passing, "").unwrap();
    registry.lapse(at(10));
    registry.lapse(at(69));
    assert_eq!(state(&registry), InstanceState::Critical);
    registry.lapse(at(70));
    assert!(registry.instance("orders-1").is_none() && registry.check("service:orders-1").is_none());
    assert_eq!(registry.next_due(), Moment::NEVER);
}

#[test]
fn the_same_registration_again_changes_nothing_and_renews_nothing() {
    let mut registry = registry();
    registry.register(at(0), with(vec![ttl(10)])).unwrap();
    registry.report(at(1), "service:orders-1", Status::Passing, "").unwrap();
    let count = registry.count();
    registry.register(at(5), with(vec![ttl(10)])).unwrap();
    assert_eq!((registry.count(), registry.next_due()), (count, at(11)));
}

#[test]
fn checks_that_stay_keep_what_they_found_out() {
    let mut registry = registry();
    let named = |id: &str| CheckSpec { id: Some(id.into()), ..ttl(10) };
    registry.register(at(0), with(vec![named("a"), named("b")])).unwrap();
    registry.report(at(1), "a", Status::Passing, "fine").unwrap();
    let other = Registration { port: 9002, ..with(vec![CheckSpec { notes: "!".into(), ..named("a") }]) };
    registry.register(at(2), other.clone()).unwrap();
    assert_eq!((status(&registry, "a"), status(&registry, "b")), (Status::Passing, Status::Critical));
    assert_eq!(registry.check("a").unwrap().0.due, at(11), "and the time that is left to it");
    registry.register(at(3), Registration { replace_checks: true, ..other }).unwrap();
    assert!(registry.check("b").is_none());
    assert_eq!(status(&registry, "a"), Status::Passing);
}

#[test]
fn an_instance_may_change_its_service() {
    let mut registry = registry();
    registry.register(at(0), instance("orders", "a")).unwrap();
    registry.register(at(0), instance("payments", "a")).unwrap();
    let names: Vec<_> = registry.services().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["payments"]);
    assert_eq!(registry.instances_of("orders").count(), 0);
}

#[test]
fn a_check_id_belongs_to_one_instance() {
    let mut registry = registry();
    let spec = CheckSpec { id: Some("alive".into()), ..ttl(10) };
    registry.register(at(0), with(vec![spec.clone()])).unwrap();
    let second = Registration { checks: vec![spec.clone()], ..instance("orders", "orders-2") };
    let error = registry.register(at(0), second).unwrap_err();
    assert_eq!(error.to_string(), r#"check id "alive" belongs to instance "orders-1""#);
    assert!(registry.instance("orders-2").is_none());
    assert!(registry.register_check(at(0), spec.clone(), None).is_err());
    registry.deregister(at(1), "orders-1").unwrap();
    assert_eq!(registry.register_check(at(1), spec, None).unwrap(), "alive".into());
}

#[test]
fn maintenance_outweighs_checks_and_checks_outweigh_words() {
    let mut registry = registry();
    registry.register(at(0), with(vec![ttl(10)])).unwrap();
    registry.declare(at(0), "orders-1", Declared::Draining).unwrap();
    assert_eq!(state(&registry), InstanceState::Critical);
    registry.report(at(0), "service:orders-1", Status::Passing, "").unwrap();
    assert_eq!(state(&registry), InstanceState::Draining);
    assert_eq!(registry.instance("orders-1").unwrap().why().unwrap(), "it says that it is draining");
    registry.maintain(at(0), Some("orders-1"), Some("disk swap")).unwrap();
    assert_eq!(state(&registry), InstanceState::Maintenance);
    registry.maintain(at(0), Some("orders-1"), None).unwrap();
    registry.maintain(at(0), None, Some("")).unwrap();
    let found = registry.instance("orders-1").unwrap();
    assert_eq!((found.state(), found.status()), (InstanceState::Maintenance, Status::Critical));
    registry.maintain(at(0), None, None).unwrap();
    registry.declare(at(0), "orders-1", Declared::Starting).unwrap();
    assert_eq!(state(&registry), InstanceState::Starting);
}

#[test]
fn a_check_of_the_node_counts_for_all_its_instances() {
    let mut registry = registry();
    registry.register(at(0), instance("orders", "orders-1")).unwrap();
    let spec = CheckSpec { name: "disk".into(), status: Status::Passing, ..ttl(10) };
    registry.register_check(at(0), spec, None).unwrap();
    let orders = Topic::Service("orders".into());
    let before = registry.index(&orders);
    registry.report(at(1), "disk", Status::Critical, "full").unwrap();
    assert!(registry.index(&orders) > before);
    assert_eq!(state(&registry), InstanceState::Critical);
    registry.deregister_check(at(2), "disk").unwrap();
    assert_eq!(state(&registry), InstanceState::Ready);
}

/// Feeds answers (`+` passing, `w` warning, `-` critical) and writes the status after each.
fn verdicts(spec: CheckSpec, answers: &str) -> String {
    let mut registry = registry();
    let mut rng = fastrand::Rng::with_seed(7);
    registry.register(at(0), with(vec![spec])).unwrap();
    let mut now = at(0);
    let mut seen = String::new();
    for answer in answers.chars() {
        now = now.max(registry.next_probe());
        let order = registry.pop_probe(now).unwrap();
        assert!(registry.pop_probe(now + WORDS_EVERY).is_none(), "one probe at a time");
        let status = match answer {
            '+' => Status::Passing,
            'w' => Status::Warning,
            _ => Status::Critical,
        };
        registry.probed(now, &order.id, ProbeAnswer { status, output: "".into() }, &mut rng);
        let wait = now.until(registry.next_probe());
        assert!((9.0..=11.0).contains(&wait.as_secs_f64()), "{wait:?}");
        seen.push(match state(&registry) {
            InstanceState::Ready if registry.instance("orders-1").unwrap().status() == Status::Warning => 'w',
            InstanceState::Ready => '+',
            _ => '-',
        });
    }
    seen
}

#[test]
fn answers_need_their_thresholds() {
    assert_eq!(verdicts(tcp(), "+-+w-"), "+-+w-");
    let spec = CheckSpec { successes_before_passing: 2, failures_before_critical: 3, ..tcp() };
    assert_eq!(verdicts(spec.clone(), "++-+--+---+-++"), "-++++++++---".to_owned() + "-+");
    let spec = CheckSpec { failures_before_warning: 2, ..spec };
    assert_eq!(verdicts(spec, "++----"), "-++w--");
}

#[test]
fn an_answer_for_a_check_that_was_registered_anew_is_ignored() {
    let mut registry = registry();
    let mut rng = fastrand::Rng::with_seed(7);
    registry.register(at(0), with(vec![tcp()])).unwrap();
    let order = registry.pop_probe(at(0)).unwrap();
    registry.deregister(at(0), "orders-1").unwrap();
    registry.register(at(0), with(vec![tcp()])).unwrap();
    let passing = ProbeAnswer { status: Status::Passing, output: "".into() };
    registry.probed(at(1), &order.id, passing, &mut rng);
    assert_eq!(state(&registry), InstanceState::Critical);
    assert!(registry.pop_probe(at(1)).is_some());
}

#[test]
fn an_answer_from_where_a_check_asked_before_is_ignored() {
    let elsewhere = || {
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(1));
        let other = TcpCheck { address: "127.0.0.1:9002".into(), interval, timeout };
        CheckSpec { id: Some("service:orders-1".into()), kind: CheckKind::Tcp(other), ..tcp() }
    };
    let again: [fn(&mut Registry, CheckSpec); 2] = [
        |registry, spec| registry.register(at(1), with(vec![spec])).unwrap(),
        |registry, spec| drop(registry.register_check(at(1), spec, Some("orders-1")).unwrap()),
    ];
    for register in again {
        let mut registry = registry();
        registry.register(at(0), with(vec![tcp()])).unwrap();
        let old = registry.pop_probe(at(0)).unwrap();
        register(&mut registry, elsewhere());
        let new = registry.pop_probe(at(1)).expect("the other place is asked at once");
        let passing = ProbeAnswer { status: Status::Passing, output: "".into() };
        registry.probed(at(2), &old.id, passing.clone(), &mut fastrand::Rng::with_seed(7));
        assert_eq!(state(&registry), InstanceState::Critical);
        registry.probed(at(2), &new.id, passing, &mut fastrand::Rng::with_seed(7));
        assert_eq!(state(&registry), InstanceState::Ready);
    }
}

#[test]
fn what_requests_met_is_looked_at_soon_and_not_too_often() {
    let mut registry = registry();
    let mut rng = fastrand::Rng::with_seed(7);
    registry.register(at(0), with(vec![tcp()])).unwrap();
    let order = registry.pop_probe(at(0)).unwrap();
    let passing = ProbeAnswer { status: Status::Passing, output: "".into() };
    registry.probed(at(1), &order.id, passing, &mut rng);
    registry.suspect(at(1), SocketAddr::from(([127, 0, 0, 1], 9999)));
    assert!(registry.next_probe() > at(9), "nobody is there whom it concerns");
    let address = SocketAddr::from(([127, 0, 0, 1], 9001));
    registry.suspect(at(1), address);
    registry.suspect(at(1), address);
    assert_eq!(registry.next_probe(), at(1) + SUSPECT_EVERY);
    registry.suspect(at(5), address);
    assert_eq!(registry.next_probe(), at(1) + SUSPECT_EVERY, "never later than it was");
    registry.pop_probe(at(5)).unwrap();
    registry.suspect(at(5), address);
    assert_eq!(registry.next_probe(), Moment::NEVER, "an answer is on its way");
}
