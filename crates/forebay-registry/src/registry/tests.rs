//! What the machine does, one claim at a time.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::absorbing::Snapshot;
use crate::check::{CheckKind, CheckSpec, HttpCheck, Status, TcpCheck};
use crate::instance::{Declared, InstanceState, Registration, Weights};
use crate::node::Lease;
use crate::probing::{ProbeAnswer, SUSPECT_EVERY};
use crate::refusal::Refusal;
use crate::reporting::WORDS_EVERY;

pub(super) fn registry() -> Registry {
    Registry::new(Node::own("Web-1", "id-1", "192.0.2.1"))
}

pub(super) fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

pub(super) fn instance(service: &str, id: &str) -> Registration {
    Registration {
        id: Some(id.into()),
        service: service.into(),
        address: "127.0.0.1".into(),
        port: 9001,
        tags: Vec::new(),
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        declared: Declared::Ready,
        checks: Vec::new(),
        replace_checks: false,
    }
}

pub(super) fn check(kind: CheckKind) -> CheckSpec {
    CheckSpec {
        id: None,
        name: "".into(),
        notes: "".into(),
        kind,
        status: Status::Critical,
        deregister_after: None,
        successes_before_passing: 0,
        failures_before_warning: 0,
        failures_before_critical: 0,
    }
}

pub(super) fn ttl(seconds: u64) -> CheckSpec {
    check(CheckKind::Ttl(Duration::from_secs(seconds)))
}

fn tcp() -> CheckSpec {
    let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(1));
    check(CheckKind::Tcp(TcpCheck { address: "127.0.0.1:9001".into(), interval, timeout }))
}

fn with(checks: Vec<CheckSpec>) -> Registration {
    Registration { checks, ..instance("orders", "orders-1") }
}

fn state(registry: &Registry) -> InstanceState {
    registry.instance("orders-1").unwrap().state()
}

fn status(registry: &Registry, check: &str) -> Status {
    registry.check(check).unwrap().0.status
}

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

#[test]
fn a_service_that_is_gone_keeps_an_index_and_one_that_never_was_has_one() {
    let mut registry = registry();
    let (orders, never) = (Topic::Service("Orders".into()), Topic::Service("never".into()));
    let first = registry.index(&orders);
    assert!(first > 0 && registry.index(&never) > 0);
    registry.register(at(0), instance("orders", "a")).unwrap();
    let registered = registry.index(&orders);
    assert!(registered > first);
    registry.deregister(at(0), "a").unwrap();
    let gone = registry.index(&orders);
    assert!(gone > registered);
    registry.register(at(0), instance("payments", "b")).unwrap();
    assert_eq!(registry.index(&orders), gone, "others' services do not concern who waits for it");
    assert_eq!(
        (registry.awaited(&orders), registry.awaited(&never)),
        (Topic::Service("orders".into()), Topic::Services)
    );
}

#[test]
fn forgetting_services_never_sets_an_index_back() {
    let mut registry = registry();
    registry.register(at(0), instance("first", "x")).unwrap();
    registry.deregister(at(0), "x").unwrap();
    let first = Topic::Service("first".into());
    let before = registry.index(&first);
    for number in 0..crate::indexes::TOMBSTONES_MAX {
        registry.register(at(0), instance(&format!("s{number}"), "x")).unwrap();
        registry.deregister(at(0), "x").unwrap();
    }
    assert!(registry.index(&first) > before);
    assert_eq!(registry.awaited(&first), Topic::Services);
}

#[test]
fn a_snapshot_is_served_at_once_and_what_fell_silent_lapses_after_a_full_lease() {
    let mut registry = registry();
    registry.register(at(0), with(vec![ttl(10), tcp()])).unwrap();
    registry.report(at(0), "service:orders-1:1", Status::Passing, "fine").unwrap();
    registry.maintain(at(0), None, Some("moving")).unwrap();
    let count = registry.count() + 100;
    let snapshot = Snapshot { count, me: Some(registry.me().clone()), others: Vec::new() };
    let mut restored = self::registry();
    restored.restore(at(1000), snapshot);
    assert_eq!(status(&restored, "service:orders-1:1"), Status::Passing);
    assert_eq!(restored.me().maintenance.as_deref(), Some("moving"));
    for topic in [Topic::Services, Topic::Service("orders".into()), Topic::Node("web-1".into()), Topic::Nodes]
    {
        assert!(restored.index(&topic) >= count, "{topic:?}");
    }
    assert_eq!(restored.take_effects(), Effects::default());
    assert_eq!(restored.next_due(), at(1010));
    assert!(restored.pop_probe(at(1010)).is_some());
    restored.lapse(at(1010));
    assert_eq!(status(&restored, "service:orders-1:1"), Status::Critical);
}

pub(super) fn other(name: &str, lease: Lease, instances: Vec<Registration>) -> Node {
    let mut node = Node { lease, ..Node::own(name, "id-2", "192.0.2.2") };
    let mut source = Registry::new(Node::own(name, "id-2", "192.0.2.2"));
    for registration in instances {
        source.register(at(0), registration).unwrap();
    }
    node.instances = source.me.instances;
    node
}

#[test]
fn an_instance_of_a_node_that_is_gone_is_critical_until_it_is_back() {
    let mut registry = registry();
    registry.absorb(other("web-2", Lease::Held, vec![instance("orders", "orders-2")]));
    let found = |registry: &Registry| {
        let found = registry.instances_of("orders").next().unwrap();
        (found.state(), found.why())
    };
    assert_eq!(found(&registry), (InstanceState::Ready, None));
    let orders = Topic::Service("orders".into());
    let before = registry.index(&orders);
    registry.confirm("WEB-2", Lease::Lapsed { since: at(9) }, at(9));
    assert_eq!(found(&registry).0, InstanceState::Critical);
    assert!(found(&registry).1.unwrap().contains("nobody vouches"));
    let lapsed = registry.index(&orders);
    assert!(lapsed > before);
    registry.confirm("web-2", Lease::Lapsed { since: at(12) }, at(12));
    assert_eq!(registry.index(&orders), lapsed, "it lapses once");
    assert_eq!(registry.node("web-2").unwrap().lease, Lease::Lapsed { since: at(9) });
    registry.absorb(other("web-2", Lease::Held, vec![instance("orders", "orders-2")]));
    assert_eq!(found(&registry), (InstanceState::Ready, None));
    registry.take_effects();
    registry.absorb(other("web-2", Lease::Held, vec![instance("orders", "orders-2")]));
    assert_eq!(registry.take_effects(), Effects::default(), "the same again is no change");
    registry.forget_node("web-2");
    assert_eq!((registry.instances_of("orders").count(), registry.nodes().count()), (0, 1));
}

#[test]
fn nobody_else_speaks_for_this_node() {
    let mut registry = registry();
    registry.register(at(0), instance("orders", "orders-1")).unwrap();
    registry.absorb(other("WEB-1", Lease::Held, vec![]));
    assert!(registry.instance("orders-1").is_some());
    assert_eq!(registry.me().address.as_ref(), "192.0.2.1");
}

#[test]
fn what_may_be_registered_is_bounded() {
    #[track_caller]
    fn refused(registration: Registration, expected: &str) {
        let mut registry = registry();
        assert_eq!(registry.register(at(0), registration).unwrap_err().to_string(), expected);
        assert_eq!(registry.services().count(), 0);
    }
    let plain = || instance("orders", "orders-1");
    refused(instance("", "x"), "Name is missing");
    refused(instance(&"x".repeat(256), "x"), "Name is longer than 255 bytes");
    refused(instance("a\nb", "x"), "Name has a control character");
    refused(instance("x", &"x".repeat(513)), "ID is longer than 512 bytes");
    refused(
        Registration { address: "0.0.0.0".into(), ..plain() },
        "Address is one that nobody can connect to; name the one others use",
    );
    refused(Registration { tags: vec!["t".into(); 129], ..plain() }, "there may be 128 Tags");
    let meta = |key: &str, value: &str| BTreeMap::from([(key.into(), value.into())]);
    refused(
        Registration { meta: meta("a b", ""), ..plain() },
        "Meta has a key that is not 1 to 128 letters, digits, - and _",
    );
    refused(
        Registration { meta: meta("k", &"v".repeat(513)), ..plain() },
        "Meta has a value of k longer than 512 bytes",
    );
    let many = (0..65).map(|number| (format!("k{number}").into(), "v".into())).collect();
    refused(Registration { meta: many, ..plain() }, "there may be 64 pairs in Meta");
    let weights = Weights { passing: 0, warning: 1 };
    refused(Registration { weights, ..plain() }, "Weights.Passing must be greater than 0");
    refused(with(vec![ttl(1); 65]), "there may be 64 checks of an instance");
    refused(with(vec![ttl(0)]), "TTL must be at least 1ms");
    let twice = CheckSpec { id: Some("c".into()), ..ttl(1) };
    refused(with(vec![twice.clone(), twice]), "CheckID \"c\" is there twice");
    let http = |url: &str| {
        let (interval, timeout) = (Duration::from_secs(1), Duration::from_secs(1));
        with(vec![check(CheckKind::Http(HttpCheck {
            url: url.into(),
            method: "GET".into(),
            header: BTreeMap::new(),
            body: "".into(),
            interval,
            timeout,
            tls_skip_verify: false,
        }))])
    };
    refused(http("ftp://a/"), "HTTP begins with neither http:// nor https://");
    refused(http("http:///x"), "HTTP names no host, or no valid port");
    refused(http("http://a:99999/x"), "HTTP names no host, or no valid port");
    refused(http("http://u:p@a/x"), "HTTP has a password in it; send it in Header");
    for right in ["http://localhost:80/x?y", "https://[::1]/", "http://[fe80::1]:80"] {
        registry().register(at(0), http(right)).unwrap();
    }
}

#[test]
fn a_node_takes_ten_thousand_instances() {
    let mut registry = registry();
    for number in 0..10_000 {
        registry.register(at(0), instance("orders", &format!("o{number}"))).unwrap();
    }
    let error = registry.register(at(0), instance("orders", "one-more")).unwrap_err();
    assert_eq!(error, Refusal::TooMany { what: "instances of a node", max: 10_000 });
    registry.register(at(0), Registration { port: 1, ..instance("orders", "o7") }).unwrap();
    assert_eq!(registry.instances_of("orders").count(), 10_000);
}
