//! What a catalog does with definitions, answers and probes, on a clock that the tests move.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::answer::Part;
use crate::health::Health;
use crate::merge::merge;
use crate::pushed::{Advertised, Pushed, PushedChange, PushedTarget, UNCLAIMED_MAX};
use crate::service::{EndpointSet, LiveEndpoint};
use crate::source::Source;
use crate::standing::Standing;

fn definition(sources: &[&str], health: Option<HealthCheck>) -> ServiceDefinition {
    let sources = sources.iter().map(|text| text.parse().unwrap()).collect();
    ServiceDefinition { sources, health, ..ServiceDefinition::default() }
}

fn orders(sources: &[&str], health: Option<HealthCheck>) -> Definitions {
    Definitions::from([("orders".into(), definition(sources, health))])
}

fn catalog() -> Catalog {
    Catalog::new(fastrand::Rng::with_seed(11))
}

fn answer(addresses: &[&str]) -> Result<Answer, ResolveFailure> {
    let targets = addresses.iter().map(|text| Target::new(text.parse().unwrap())).collect();
    let part = Part { name: "A".into(), targets: Some(targets) };
    Ok(Answer { parts: vec![part], ttl: Duration::from_secs(30) })
}

fn addresses(catalog: &Catalog) -> Vec<String> {
    let set = catalog.service("orders").unwrap().latest();
    set.endpoints().iter().map(|e| e.endpoint.address.to_string()).collect()
}

fn only(catalog: &Catalog) -> LiveEndpoint {
    catalog.service("orders").unwrap().latest().endpoints()[0].clone()
}

/// Probes whatever is due until there is a verdict.
fn fail_probes(catalog: &mut Catalog) {
    let order = catalog.pop_probe(catalog.next_probe()).unwrap();
    catalog.probed(Moment::START, order.id, Err(ProbeFailure::Refused));
}

#[test]
fn written_addresses_serve_at_once_and_names_when_looked_up() {
    let mut catalog = catalog();
    catalog.apply(Moment::START, orders(&["127.0.0.1:9001", "dns:orders.internal:9000"], None));
    assert_eq!(addresses(&catalog), ["127.0.0.1:9001"]);
    let lookup = catalog.pop_lookup(Moment::START).unwrap();
    assert_eq!(lookup.place.to_string(), "orders.internal:9000");
    assert_eq!(catalog.pop_lookup(Moment::START), None);
    catalog.resolved(Moment::START, lookup.id, answer(&["10.0.0.1:9000"]));
    assert_eq!(addresses(&catalog), ["127.0.0.1:9001", "10.0.0.1:9000"]);
    assert_eq!(catalog.next_lookup(), Moment::START + Duration::from_secs(30));
}

#[test]
fn a_reload_keeps_answers_handles_ids_and_verdicts() {
    let mut catalog = catalog();
    let check = Some(HealthCheck::http("/healthz"));
    catalog.apply(Moment::START, orders(&["dns:orders.internal:9000"], check.clone()));
    let lookup = catalog.pop_lookup(Moment::START).unwrap();
    catalog.resolved(Moment::START, lookup.id, answer(&["10.0.0.1:9000"]));
    fail_probes(&mut catalog);
    let (service, before) = (catalog.service("orders").unwrap(), only(&catalog));
    assert_eq!(before.live.health(), Health::Unhealthy);

    catalog.apply(Moment::START, orders(&["127.0.0.1:1", "dns:orders.internal:9000"], check));
    assert!(Arc::ptr_eq(&service, &catalog.service("orders").unwrap()));
    assert_eq!(addresses(&catalog), ["127.0.0.1:1", "10.0.0.1:9000"]);
    let after = service.latest().endpoints()[1].clone();
    assert!(Arc::ptr_eq(&before.live, &after.live));
    assert_eq!(after.live.health(), Health::Unhealthy);
    assert_eq!(catalog.pop_lookup(Moment::START), None, "the answer still holds");
}

#[test]
fn an_endpoint_that_left_and_came_back_is_another_one() {
    let mut catalog = catalog();
    catalog.apply(Moment::START, orders(&["127.0.0.1:1"], None));
    let before = only(&catalog).live.id();
    catalog.apply(Moment::START, orders(&[], None));
    catalog.apply(Moment::START, orders(&["127.0.0.1:1"], None));
    assert_ne!(before, only(&catalog).live.id());
}

#[test]
fn without_a_check_an_endpoint_is_unknown_again_and_not_probed() {
    let mut catalog = catalog();
    catalog.apply(Moment::START, orders(&["127.0.0.1:1"], Some(HealthCheck::tcp())));
    fail_probes(&mut catalog);
    catalog.apply(Moment::START, orders(&["127.0.0.1:1"], None));
    assert_eq!(only(&catalog).live.health(), Health::Unknown);
    assert_eq!(only(&catalog).live.verdict().reason, None);
    assert_eq!(catalog.next_probe(), Moment::NEVER);
}

#[test]
fn results_for_what_is_gone_are_ignored() {
    let mut catalog = catalog();
    catalog.apply(Moment::START, orders(&["dns:orders:1", "127.0.0.1:1"], Some(HealthCheck::tcp())));
    let lookup = catalog.pop_lookup(Moment::START).unwrap();
    let probe = catalog.pop_probe(catalog.next_probe()).unwrap();
    catalog.apply(Moment::START, Definitions::new());
    catalog.resolved(Moment::START, lookup.id, answer(&["10.0.0.1:1"]));
    catalog.probed(Moment::START, probe.id, Ok(()));
    assert!(catalog.service("orders").is_none());
    assert_eq!((catalog.next_lookup(), catalog.next_probe()), (Moment::NEVER, Moment::NEVER));
}

#[test]
fn the_same_place_twice_is_one_set_of_endpoints() {
    let mut catalog = catalog();
    catalog.apply(Moment::START, orders(&["dns:orders:1", "orders:1"], None));
    while let Some(lookup) = catalog.pop_lookup(Moment::START) {
        catalog.resolved(Moment::START, lookup.id, answer(&["10.0.0.1:1"]));
    }
    assert_eq!(addresses(&catalog), ["10.0.0.1:1"]);
}

#[test]
fn news_is_told_once() {
    let mut catalog = catalog();
    catalog.apply(Moment::START, orders(&["dns:orders:1"], None));
    let failure = || Err(ResolveFailure::NoSuchName { name: "orders".into() });
    let mut now = Moment::START;
    let mut told = Vec::new();
    for result in
        [failure(), failure(), answer(&["10.0.0.1:1"]), answer(&["10.0.0.1:1"]), failure(), failure()]
    {
        let lookup = catalog.pop_lookup(now).unwrap();
        catalog.resolved(now, lookup.id, result);
        told.extend(catalog.take_changes().into_iter().map(|change| match change {
            Change::Endpoints { set, .. } => format!("{} endpoints", set.endpoints().len()),
            Change::Standing { report, .. } => match report.standing {
                Standing::Unresolved { .. } => "unresolved".into(),
                Standing::Fresh { .. } => "fresh".into(),
                Standing::Stale { .. } => "stale".into(),
                standing => format!("{standing:?}"),
            },
            Change::Health { .. } => "health".into(),
            Change::Ejected { .. } => "ejected".into(),
            Change::Advertised { .. } => "advertised".into(),
            Change::Suspected { .. } => "suspected".into(),
        }));
        now = catalog.next_lookup();
    }
    assert_eq!(told, ["unresolved", "fresh", "1 endpoints", "stale"]);
}

fn instance(last: u8, weight: u32, advertised: Advertised) -> PushedTarget {
    let target = Target { weight, ..Target::new(([10, 0, 0, last], 80).into()) };
    PushedTarget { target, advertised }
}

fn critical() -> Advertised {
    Advertised::Critical { reason: "TTL expired".into() }
}

fn all(targets: Vec<PushedTarget>) -> Pushed {
    Pushed { targets, confirmed: Moment::START, failure: None }
}

fn latest(catalog: &Catalog) -> Arc<EndpointSet> {
    catalog.service("orders").unwrap().latest()
}

#[test]
fn what_was_pushed_before_its_service_is_configured_serves_at_once() {
    let mut catalog = catalog();
    catalog.push(Moment::START, "orders", all(vec![instance(1, 1, Advertised::Ready)]));
    catalog.push(Moment::START, "orders-v2", all(vec![instance(2, 1, critical())]));
    catalog.apply(Moment::START, orders(&["registry", "registry:orders-v2"], None));
    assert_eq!(addresses(&catalog), ["10.0.0.1:80", "10.0.0.2:80"]);
    let eligible: Vec<_> =
        latest(&catalog).endpoints().iter().map(|e| e.live.is_eligible(Moment::START)).collect();
    assert_eq!(eligible, [true, false]);
    assert_eq!(catalog.next_lookup(), Moment::NEVER, "nobody is asked");
}

#[test]
fn before_the_first_push_a_registry_has_not_been_heard_from() {
    let mut catalog = catalog();
    catalog.apply(Moment::START, orders(&["registry"], None));
    let standing = |catalog: &Catalog| {
        let reports = catalog.service("orders").unwrap().sources();
        format!(
            "{}: {}",
            reports[0].source,
            reports[0].standing.describe(Moment::START + Duration::from_secs(5))
        )
    };
    assert_eq!(standing(&catalog), "registry: not heard from yet");
    let mut pushed = all(vec![
        instance(1, 1, Advertised::Ready),
        instance(2, 1, Advertised::Draining),
        instance(3, 1, Advertised::Maintenance),
    ]);
    catalog.push(Moment::START, "orders", pushed.clone());
    assert_eq!(standing(&catalog), "registry: 3 instances, 1 draining, 1 in maintenance");
    pushed.failure = Some("cannot reach PostgreSQL".into());
    catalog.push(Moment::START, "orders", pushed);
    assert_eq!(
        standing(&catalog),
        "registry: 3 instances, 1 draining, 1 in maintenance, as of 5s ago: cannot reach PostgreSQL"
    );
    assert_eq!(addresses(&catalog), ["10.0.0.1:80"]);
}

#[test]
fn a_change_of_state_makes_no_other_set() {
    let mut catalog = catalog();
    catalog.apply(Moment::START, orders(&["registry"], None));
    catalog.push(
        Moment::START,
        "orders",
        all((1..4).map(|last| instance(last, 1, Advertised::Ready)).collect()),
    );
    let (before, second) = (latest(&catalog), latest(&catalog).endpoints()[1].clone());
    let _busy = second.live.enter();
    catalog.take_changes();
    catalog.push_one(Moment::START, "orders", PushedChange::Put(instance(2, 1, critical())));
    assert!(Arc::ptr_eq(&before, &latest(&catalog)));
    assert!(!second.live.is_eligible(Moment::START) && second.live.in_flight() == 1);
    let told = catalog.take_changes();
    assert!(matches!(&told[..], [Change::Advertised { reason: Some(_), .. }]), "{told:?}");
    catalog.push_one(Moment::START, "orders", PushedChange::Put(instance(2, 1, Advertised::Ready)));
    assert!(second.live.is_eligible(Moment::START));
}

#[test]
fn an_endpoint_that_comes_goes_or_weighs_more_leaves_the_others_as_they_are() {
    let mut catalog = catalog();
    catalog
        .apply(Moment::START, orders(&["127.0.0.1:1", "registry", "127.0.0.1:2"], Some(HealthCheck::tcp())));
    catalog.push(
        Moment::START,
        "orders",
        all((1..4).map(|last| instance(last, 1, Advertised::Ready)).collect()),
    );
    let before = latest(&catalog);
    let mut push = |change| {
        catalog.push_one(Moment::START, "orders", change);
        latest(&catalog)
    };
    let heavier = push(PushedChange::Put(instance(2, 5, Advertised::Ready)));
    let shared = |place: usize, set: &EndpointSet, other: usize| {
        let (a, b) = (&before.endpoints()[place], &set.endpoints()[other]);
        (Arc::ptr_eq(&a.endpoint, &b.endpoint), Arc::ptr_eq(&a.live, &b.live))
    };
    assert_eq!([0, 1, 3, 4].map(|place| shared(place, &heavier, place)), [(true, true); 4]);
    assert_eq!((shared(2, &heavier, 2), heavier.endpoints()[2].endpoint.weight), ((false, true), 5));
    let fewer = push(PushedChange::Put(instance(2, 5, Advertised::Draining)));
    assert_eq!(
        [(0, 0), (1, 1), (3, 2), (4, 3)].map(|(old, new)| shared(old, &fewer, new)),
        [(true, true); 4]
    );
    push(PushedChange::Gone(([10, 0, 0, 1], 80).into()));
    push(PushedChange::Put(instance(9, 1, Advertised::Ready)));
    assert_eq!(addresses(&catalog), ["127.0.0.1:1", "10.0.0.3:80", "10.0.0.9:80", "127.0.0.1:2"]);
    assert_eq!((catalog.watches.len(), catalog.probes_due.len()), (4, 4));
}

#[test]
fn what_nobody_asked_for_is_kept_within_a_bound() {
    let mut catalog = catalog();
    let many = |count: u16| {
        let target = |port: u16| Target::new(([10, 0, 0, 1], port).into());
        let ready = |port| PushedTarget { target: target(port), advertised: Advertised::Ready };
        all((1..=count).map(ready).collect())
    };
    catalog.push(Moment::START, "payments", many(UNCLAIMED_MAX as u16 - 1));
    assert_eq!(catalog.listings.len(), 1);
    catalog.push(Moment::START, "orders", many(1));
    assert_eq!(catalog.listings.len(), 1, "one too many");
    catalog.apply(Moment::START, orders(&["registry"], None));
    catalog.push(Moment::START, "orders", many(1));
    assert_eq!(latest(&catalog).endpoints().len(), 1, "what a service has is not counted");
}

/// One thing that may happen to a catalog; numbers choose among what is possible then.
#[derive(Clone, Debug)]
enum Happening {
    Apply { sources: Vec<usize>, checked: bool },
    Resolved { last_octets: Vec<u8> },
    ResolveFailed,
    Probed { healthy: bool },
    Pushed { instances: Vec<PushedTarget> },
    PushedOne { change: PushedChange },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => (prop::collection::vec(0..7usize, 0..5), any::<bool>())
            .prop_map(|(sources, checked)| Happening::Apply { sources, checked }),
        3 => prop::collection::vec(1..6u8, 1..4).prop_map(|last_octets| Happening::Resolved { last_octets }),
        1 => Just(Happening::ResolveFailed),
        4 => any::<bool>().prop_map(|healthy| Happening::Probed { healthy }),
        2 => prop::collection::vec(any_instance(), 0..6).prop_map(|instances| Happening::Pushed { instances }),
        4 => any_change().prop_map(|change| Happening::PushedOne { change }),
    ]
}

fn any_instance() -> impl Strategy<Value = PushedTarget> {
    let state = prop_oneof![
        3 => Just(Advertised::Ready),
        2 => Just(critical()),
        1 => Just(Advertised::Starting),
        1 => Just(Advertised::Draining),
    ];
    (1..6u8, 1..3u32, state).prop_map(|(last, weight, advertised)| instance(last, weight, advertised))
}

fn any_change() -> impl Strategy<Value = PushedChange> {
    prop_oneof![
        3 => any_instance().prop_map(PushedChange::Put),
        1 => (1..6u8).prop_map(|last| PushedChange::Gone(([10, 0, 0, last], 80).into())),
    ]
}

fn happen(catalog: &mut Catalog, now: &mut Moment, what: Happening) {
    const SOURCES: [&str; 7] =
        ["127.0.0.1:1", "dns:a:80", "dns:b:80", "https://a:80", "registry", "10.0.0.3:80", "registry:orders"];
    match what {
        Happening::Apply { sources, checked } => {
            let sources: Vec<&str> = sources.into_iter().map(|i| SOURCES[i]).collect();
            catalog.apply(*now, orders(&sources, checked.then(HealthCheck::tcp)));
        }
        Happening::Pushed { instances } => catalog.push(*now, "orders", all(instances)),
        Happening::PushedOne { change } => catalog.push_one(*now, "orders", change),
        Happening::Probed { healthy } if catalog.next_probe() != Moment::NEVER => {
            *now = (*now).max(catalog.next_probe());
            let order = catalog.pop_probe(*now).unwrap();
            let result = if healthy { Ok(()) } else { Err(ProbeFailure::Refused) };
            catalog.probed(*now, order.id, result);
        }
        Happening::Resolved { .. } | Happening::ResolveFailed if catalog.next_lookup() != Moment::NEVER => {
            *now = (*now).max(catalog.next_lookup());
            let lookup = catalog.pop_lookup(*now).unwrap();
            let result = match what {
                Happening::Resolved { last_octets } => {
                    let addresses: Vec<_> =
                        last_octets.iter().map(|last| format!("10.0.0.{last}:80")).collect();
                    answer(&addresses.iter().map(String::as_str).collect::<Vec<_>>())
                }
                _ => Err(ResolveFailure::NoSuchName { name: "a".into() }),
            };
            catalog.resolved(*now, lookup.id, result);
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn whatever_happens_state_follows_identity_and_nothing_is_left_behind(
        script in prop::collection::vec(happening(), 1..60),
    ) {
        let mut catalog = catalog();
        let mut now = Moment::START;
        catalog.apply(now, orders(&["dns:a:80"], Some(HealthCheck::tcp())));
        let service = catalog.service("orders").unwrap();
        for what in script {
            let before = service.latest();
            happen(&mut catalog, &mut now, what);
            let after = service.latest();
            let definition = &catalog.services["orders"].definition;

            let identities: HashSet<_> = after.endpoints().iter().map(|e| e.endpoint.identity()).collect();
            prop_assert_eq!(identities.len(), after.endpoints().len(), "one endpoint for each identity");
            for endpoint in after.endpoints() {
                let old = before.endpoints().iter().find(|e| e.endpoint.identity() == endpoint.endpoint.identity());
                prop_assert!(old.is_none_or(|old| Arc::ptr_eq(&old.live, &endpoint.live)));
            }
            prop_assert_eq!(before.version() == after.version(), Arc::ptr_eq(&before, &after));

            let watched = if definition.health.is_some() { after.endpoints().len() } else { 0 };
            prop_assert_eq!(catalog.watches.len(), watched);
            prop_assert_eq!(catalog.probes_due.len(), watched, "each endpoint has its next probe");
            let is_looked_up = |s: &&Source| !matches!(s.place, Place::Address(_) | Place::Registry { .. });
            let looked_up = definition.sources.iter().filter(is_looked_up).count();

            // Put together from nothing, it would be the same.
            let catalogued = &catalog.services["orders"];
            let found = definition.sources.iter().zip(&catalogued.supplies);
            let afresh = merge(&"orders".into(), found.map(|(source, supply)| (source, catalog.targets(supply))));
            prop_assert!(after.endpoints().iter().map(|e| &*e.endpoint).eq(&afresh.endpoints));
            prop_assert_eq!(&catalogued.runs, &afresh.runs);
            for (supply, run) in catalogued.supplies.iter().zip(&catalogued.runs) {
                for endpoint in after.endpoints().range(run.clone()) {
                    let critical = match supply {
                        Supply::Pushed(name) => catalog.listings[name]
                            .listing
                            .endpoint(endpoint.endpoint.address)
                            .is_some_and(|pushed| pushed.advertised != Advertised::Ready),
                        _ => false,
                    };
                    prop_assert_eq!(endpoint.live.is_critical(), critical);
                }
            }
            prop_assert_eq!(catalog.feeds.len(), looked_up);
            prop_assert_eq!(catalog.lookups_due.len(), looked_up, "each name has its next lookup");
        }
    }
}
