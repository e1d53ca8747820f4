//! What may be registered, and how much.

use std::time::Duration;

use super::fixtures::{at, instance, registry, ttl, with};
use super::*;
use crate::check::{CheckKind, CheckSpec, HttpCheck};
use crate::instance::{Registration, TaggedAddress, Weights};
use crate::refusal::Refusal;

#[track_caller]
fn refused(registration: Registration, expected: &str) {
    let mut registry = registry();
    assert_eq!(registry.register(at(0), registration).unwrap_err().to_string(), expected);
    assert_eq!(registry.services().count(), 0);
}

#[test]
fn what_may_be_registered_is_bounded() {
    let plain = || instance("orders", "orders-1");
    refused(instance("", "x"), "Name is missing");
    refused(instance(&"x".repeat(256), "x"), "Name is longer than 255 bytes");
    refused(instance("a\nb", "x"), "Name has a control character");
    refused(instance("x", &"x".repeat(513)), "ID is longer than 512 bytes");
    refused(
        Registration { address: "0.0.0.0".into(), ..plain() },
        "Address is one that nobody can connect to; name the one others use",
    );
    refused(
        Registration { address: "::ffff:0.0.0.0".into(), ..plain() },
        "Address is one that nobody can connect to; name the one others use",
    );
    refused(Registration { tags: vec!["t".into(); 129], ..plain() }, "Tags has more than 128");
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
    refused(Registration { meta: many, ..plain() }, "Meta has more than 64");
    let tagged = |tag: &str, address: &str| (tag.into(), TaggedAddress { address: address.into(), port: 0 });
    refused(
        Registration { tagged_addresses: [tagged("lan", "a b")].into(), ..plain() },
        "TaggedAddresses is neither an IP address nor a host's name",
    );
    refused(
        Registration { tagged_addresses: [tagged("", "a")].into(), ..plain() },
        "TaggedAddresses has an address without a tag",
    );
    let many = (0..17).map(|number| tagged(&format!("n{number}"), "a")).collect();
    refused(Registration { tagged_addresses: many, ..plain() }, "TaggedAddresses has more than 16");
    let weights = Weights { passing: 0, warning: 1 };
    refused(Registration { weights, ..plain() }, "Weights.Passing must be greater than 0");
}

#[test]
fn what_may_be_checked_is_bounded() {
    refused(with(vec![ttl(1); 65]), "there may be 64 checks of an instance");
    refused(with(vec![ttl(0)]), "TTL must be at least 1ms");
    for own in ["serfHealth", "_node_maintenance", "_service_maintenance:orders-1", "_forebay_state:orders-1"]
    {
        refused(
            with(vec![CheckSpec { id: Some(own.into()), ..ttl(1) }]),
            &format!("CheckID {own:?} is that of a check which the registry makes itself"),
        );
        let spec = CheckSpec { id: None, name: own.into(), ..ttl(1) };
        assert!(registry().register_check(at(0), spec, None).is_err(), "a name that becomes an id");
    }
    let twice = CheckSpec { id: Some("c".into()), ..ttl(1) };
    refused(with(vec![twice.clone(), twice]), "CheckID \"c\" is there twice");
    let http = |url: &str| {
        let check = HttpCheck::get(url, Duration::from_secs(1), Duration::from_secs(1));
        with(vec![CheckSpec::new(CheckKind::Http(check))])
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
