//! What is answered about a small registry, question by question. What holds for every reply is in `fuzzing`.

use std::time::Duration;

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::AllRecordData;
use forebay_clock::Moment;

use super::fuzzing::{check as check_reply, register};
use super::{Transport, Zone, answer};
use crate::check::{CheckKind, CheckSpec, Status};
use crate::instance::Declared;
use crate::node::Node;
use crate::registry::Registry;

mod sizes;

const UDP: Transport = Transport::Udp { datagram_max: 1232 };

fn registry() -> Registry {
    Registry::new(Node::own("web1", "6f1f6d4e", "10.0.0.1"))
}

fn zone() -> Zone {
    Zone::new("consul", "dc1", Duration::ZERO, false).unwrap()
}

/// A query, before anything is wrong with it.
struct Asked {
    name: &'static str,
    kind: Rtype,
    class: Class,
    opcode: Opcode,
    payload: Option<u16>,
    version: u8,
}

impl Asked {
    fn of(name: &'static str, kind: Rtype) -> Asked {
        Asked { name, kind, class: Class::IN, opcode: Opcode::QUERY, payload: None, version: 0 }
    }

    fn octets(&self) -> Vec<u8> {
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_id(4711);
        message.header_mut().set_rd(true);
        message.header_mut().set_opcode(self.opcode);
        let mut message = message.question();
        message.push((self.name.parse::<Name<Vec<u8>>>().unwrap(), self.kind, self.class)).unwrap();
        let mut message = message.additional();
        if let Some(payload) = self.payload {
            let written = message.opt(|opt| {
                opt.set_udp_payload_size(payload);
                opt.set_version(self.version);
                opt.set_dnssec_ok(true);
                Ok(())
            });
            written.unwrap();
        }
        message.finish()
    }

    fn reply(&self, registry: &Registry, zone: &Zone, transport: Transport) -> Message<Vec<u8>> {
        let mut rng = fastrand::Rng::with_seed(7);
        let octets = self.octets();
        let reply = answer(&octets, registry, zone, transport, &mut rng).unwrap();
        check_reply(&octets, &reply, transport);
        Message::from_octets(reply).unwrap()
    }
}

/// The code, then the records of each section in lines that are sorted, without OPT.
fn shown(reply: &Message<Vec<u8>>) -> String {
    let mut text = format!("{}", reply.header().rcode());
    let sections = [("", reply.answer()), ("auth ", reply.authority()), ("more ", reply.additional())];
    for (title, section) in sections {
        let mut lines: Vec<String> = section
            .unwrap()
            .filter_map(|record| record.unwrap().into_record::<AllRecordData<_, _>>().unwrap())
            .filter(|record| record.rtype() != Rtype::OPT)
            .map(|record| format!("{title}{} {} {}", record.owner(), record.rtype(), record.data()))
            .map(|line| line.trim_end_matches('.').to_owned())
            .collect();
        lines.sort();
        for line in lines {
            text.push('\n');
            text.push_str(&line);
        }
    }
    text
}

fn asked(registry: &Registry, name: &'static str, kind: Rtype) -> String {
    shown(&Asked::of(name, kind).reply(registry, &zone(), UDP))
}

const SOA: &str = "auth consul SOA";

/// What the reply says, its SOA record by its name alone.
#[track_caller]
fn check(registry: &Registry, name: &'static str, kind: Rtype, expected: &[&str]) {
    let reply = asked(registry, name, kind);
    let found: Vec<&str> = reply.lines().map(|line| if line.starts_with(SOA) { SOA } else { line }).collect();
    assert_eq!(found, expected, "{name} {kind}");
}

#[test]
fn services_are_found_by_name_tag_and_rfc_2782() {
    let mut registry = registry();
    register(&mut registry, "orders", "10.0.0.7", 8080);
    register(&mut registry, "orders", "fd00::7", 8080);
    for name in ["orders.service.consul", "v1.orders.service.dc1.consul", "_orders._tcp.service.consul"] {
        check(&registry, name, Rtype::A, &["NOERROR", &format!("{name} A 10.0.0.7")]);
        check(&registry, name, Rtype::AAAA, &["NOERROR", &format!("{name} AAAA fd00::7")]);
    }
    check(
        &registry,
        "_orders._v1.service.consul",
        Rtype::SRV,
        &[
            "NOERROR",
            "_orders._v1.service.consul SRV 1 8080 8080 0a000007.addr.dc1.consul",
            "_orders._v1.service.consul SRV 1 8080 8080 fd000000000000000000000000000007.addr.dc1.consul",
            "more 0a000007.addr.dc1.consul A 10.0.0.7",
            "more fd000000000000000000000000000007.addr.dc1.consul AAAA fd00::7",
        ],
    );
    check(&registry, "v2.orders.service.consul", Rtype::A, &["NXDOMAIN", SOA]);
    check(&registry, "orders.service.dc2.consul", Rtype::A, &["NXDOMAIN", SOA]);
    check(&registry, "carts.service.consul", Rtype::A, &["NXDOMAIN", SOA]);
    check(&registry, "orders.service.consul", Rtype::TXT, &["NOERROR", SOA]);
    check(&registry, "_tcp.service.consul", Rtype::A, &["NOERROR", SOA]);
    check(&registry, "service.consul", Rtype::NS, &["NOERROR", SOA]);
}

#[test]
fn an_instance_without_an_address_of_its_own_is_at_its_node() {
    let mut registry = registry();
    register(&mut registry, "orders", "", 8080);
    register(&mut registry, "orders", "", 8081);
    check(&registry, "orders.service.consul", Rtype::A, &["NOERROR", "orders.service.consul A 10.0.0.1"]);
    check(
        &registry,
        "orders.service.consul",
        Rtype::SRV,
        &[
            "NOERROR",
            "orders.service.consul SRV 1 8080 8080 web1.node.dc1.consul",
            "orders.service.consul SRV 1 8081 8081 web1.node.dc1.consul",
            "more web1.node.dc1.consul A 10.0.0.1",
        ],
    );
    let everything = asked(&registry, "orders.service.consul", Rtype::ANY);
    assert_eq!(everything.lines().count(), 5, "{everything}");
}

#[test]
fn targets_and_nodes_can_be_looked_up() {
    let mut registry = registry();
    check(&registry, "WEB1.node.consul", Rtype::A, &["NOERROR", "WEB1.node.consul A 10.0.0.1"]);
    check(&registry, "web1.node.dc1.consul", Rtype::AAAA, &["NOERROR", SOA]);
    check(&registry, "web2.node.consul", Rtype::A, &["NXDOMAIN", SOA]);
    check(
        &registry,
        "0a000007.addr.dc1.consul",
        Rtype::A,
        &["NOERROR", "0a000007.addr.dc1.consul A 10.0.0.7"],
    );
    check(&registry, "0a000007.addr.dc1.consul", Rtype::AAAA, &["NOERROR", SOA]);
    check(&registry, "0a00007.addr.dc1.consul", Rtype::A, &["NXDOMAIN", SOA]);
    check(
        &registry,
        "consul",
        Rtype::NS,
        &["NOERROR", "consul NS web1.node.dc1.consul", "more web1.node.dc1.consul A 10.0.0.1"],
    );
    let before = asked(&registry, "consul", Rtype::SOA);
    assert!(before.starts_with("NOERROR\nconsul SOA web1.node.dc1.consul. hostmaster.consul. "), "{before}");
    register(&mut registry, "orders", "", 8080);
    assert_ne!(asked(&registry, "consul", Rtype::SOA), before, "the serial stands still");
    check(&registry, "consul", Rtype::A, &["NOERROR", SOA]);
}

#[test]
fn a_node_with_a_domain_is_not_cut_off_by_who_asks_label_by_label() {
    let registry = Registry::new(Node::own("web1.Rack.example", "6f1f6d4e", "10.0.0.1"));
    check(
        &registry,
        "web1.rack.example.node.consul",
        Rtype::A,
        &["NOERROR", "web1.rack.example.node.consul A 10.0.0.1"],
    );
    check(&registry, "rack.example.node.consul", Rtype::A, &["NOERROR", SOA]);
    check(&registry, "ack.example.node.consul", Rtype::A, &["NXDOMAIN", SOA]);
}

#[test]
fn only_instances_that_get_requests_are_answered() {
    let mut registry = registry();
    register(&mut registry, "orders", "10.0.0.1", 1);
    register(&mut registry, "orders", "10.0.0.2", 2);
    let ready = "NOERROR\norders.service.consul A 10.0.0.1\norders.service.consul A 10.0.0.2";
    let one = "NOERROR\norders.service.consul A 10.0.0.2";
    let ask = |registry: &Registry| asked(registry, "orders.service.consul", Rtype::A);
    assert_eq!(ask(&registry), ready);
    let now = Moment::START;
    let id = "orders-10.0.0.1-1";
    for declared in [Declared::Starting, Declared::Draining] {
        registry.declare(now, id, declared).unwrap();
        assert_eq!(ask(&registry), one, "{declared:?}");
    }
    registry.declare(now, id, Declared::Ready).unwrap();
    registry.maintain(now, Some(id), Some("repair")).unwrap();
    assert_eq!(ask(&registry), one);
    registry.maintain(now, Some(id), None).unwrap();
    assert_eq!(ask(&registry), ready);
    registry.register_check(now, ttl_check("lease"), Some(id)).unwrap();
    assert_eq!(ask(&registry), one, "a check that has not passed yet");
    registry.report(now, "lease", Status::Warning, "").unwrap();
    assert_eq!(ask(&registry), ready);
    let services = asked(&registry, "orders.service.consul", Rtype::SRV);
    assert!(services.contains("SRV 1 1 1 0a000001"), "the weight is that of the status: {services}");
    let strict = Zone::new("consul", "dc1", Duration::ZERO, true).unwrap();
    let reply = Asked::of("orders.service.consul", Rtype::A).reply(&registry, &strict, UDP);
    assert_eq!(shown(&reply), one);
    registry.maintain(now, None, Some("repair")).unwrap();
    // The name is there, so it is no NXDOMAIN.
    check(&registry, "orders.service.consul", Rtype::A, &["NOERROR", SOA]);
}

fn ttl_check(id: &str) -> CheckSpec {
    let spec = CheckSpec::new(CheckKind::Ttl(Duration::from_secs(10)));
    CheckSpec { id: Some(id.into()), name: id.into(), ..spec }
}

#[test]
fn hosts_are_aliases_unless_there_are_addresses() {
    let mut registry = registry();
    register(&mut registry, "search", "search.example.com", 443);
    check(
        &registry,
        "search.service.consul",
        Rtype::A,
        &["NOERROR", "search.service.consul CNAME search.example.com"],
    );
    check(
        &registry,
        "search.service.consul",
        Rtype::SRV,
        &["NOERROR", "search.service.consul SRV 1 443 443 search.example.com"],
    );
    register(&mut registry, "search", "10.0.0.9", 443);
    check(&registry, "search.service.consul", Rtype::A, &["NOERROR", "search.service.consul A 10.0.0.9"]);
    check(&registry, "search.service.consul", Rtype::AAAA, &["NOERROR", SOA]);
}

#[test]
fn aliases_of_our_own_names_are_followed_and_loops_end() {
    let mut registry = registry();
    register(&mut registry, "db", "primary.service.consul", 5432);
    check(
        &registry,
        "db.service.consul",
        Rtype::A,
        &["NXDOMAIN", "db.service.consul CNAME primary.service.consul", SOA],
    );
    register(&mut registry, "primary", "10.0.0.5", 5432);
    check(
        &registry,
        "db.service.consul",
        Rtype::A,
        &["NOERROR", "db.service.consul CNAME primary.service.consul", "primary.service.consul A 10.0.0.5"],
    );
    register(&mut registry, "a", "b.service.consul", 1);
    register(&mut registry, "b", "a.service.consul", 1);
    check(
        &registry,
        "a.service.consul",
        Rtype::A,
        &[
            "NOERROR",
            "a.service.consul CNAME b.service.consul",
            "b.service.consul CNAME a.service.consul",
            SOA,
        ],
    );
}

#[test]
fn what_cannot_be_answered_gets_the_code_for_it() {
    #[track_caller]
    fn check(asked: &Asked, code: OptRcode, authoritative: bool) {
        let reply = asked.reply(&registry(), &zone(), UDP);
        assert_eq!(reply.opt_rcode(), code);
        assert_eq!(reply.header().aa(), authoritative);
        assert!(!reply.header().ra());
        assert!(reply.header().rd(), "recursion desired is repeated");
    }
    let node = || Asked::of("web1.node.consul", Rtype::A);
    check(&node(), Rcode::NOERROR.into(), true);
    check(&Asked { class: Class::ANY, ..node() }, Rcode::NOERROR.into(), false);
    check(&Asked { class: Class::CH, ..node() }, Rcode::REFUSED.into(), false);
    check(&Asked::of("example.com", Rtype::A), Rcode::REFUSED.into(), false);
    check(&Asked::of("1.0.0.127.in-addr.arpa", Rtype::PTR), Rcode::REFUSED.into(), false);
    check(&Asked::of("xconsul", Rtype::A), Rcode::REFUSED.into(), false);
    check(&Asked::of("consul", Rtype::AXFR), Rcode::REFUSED.into(), false);
    check(&Asked { opcode: Opcode::UPDATE, ..node() }, Rcode::NOTIMP.into(), false);
    check(&Asked { payload: Some(1232), version: 1, ..node() }, OptRcode::BADVERS, false);
    check(&Asked { payload: Some(1232), ..node() }, Rcode::NOERROR.into(), true);
}

#[test]
fn what_is_no_query_gets_no_reply_or_an_error() {
    let (registry, zone) = (registry(), zone());
    let reply = |octets: &[u8]| answer(octets, &registry, &zone, UDP, &mut fastrand::Rng::with_seed(1));
    let query = Asked::of("web1.node.consul", Rtype::A).octets();
    assert_eq!(reply(&query[..11]), None, "less than a header");
    let mut to_us = query.clone();
    to_us[2] |= 0x80;
    assert_eq!(reply(&to_us), None, "a reply");
    let code = |octets: &[u8]| Message::from_octets(reply(octets).unwrap()).unwrap().header().rcode();
    assert_eq!(code(&query), Rcode::NOERROR);
    assert_eq!(code(&query[..query.len() - 1]), Rcode::FORMERR, "a question that ends early");
    for questions in [0, 2] {
        let mut query = query.clone();
        query[5] = questions;
        assert_eq!(code(&query), Rcode::FORMERR, "{questions} questions");
    }
    let with_opt = Asked { payload: Some(1232), ..Asked::of("web1.node.consul", Rtype::A) }.octets();
    let mut twice = [&with_opt[..], &with_opt[with_opt.len() - 11..]].concat();
    twice[11] = 2;
    assert_eq!(code(&twice), Rcode::FORMERR, "two OPT records");
    // The name is a pointer to itself.
    let mut looping = query[..12].to_vec();
    looping.extend([0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(code(&looping), Rcode::FORMERR, "a loop of compression");
}

#[test]
fn edns_is_repeated() {
    let query = Asked { payload: Some(4096), ..Asked::of("web1.node.consul", Rtype::A) };
    let reply = query.reply(&registry(), &zone(), UDP);
    let opt = reply.opt().unwrap();
    assert_eq!((opt.udp_payload_size(), opt.version(), opt.dnssec_ok()), (1232, 0, true));
    let reply = Asked::of("web1.node.consul", Rtype::A).reply(&registry(), &zone(), UDP);
    assert!(reply.opt().is_none(), "who does not speak EDNS gets none");
}

#[test]
fn any_domain_and_datacenter_will_do_in_any_case() {
    let zone = Zone::new("services.example.com.", "eu-west", Duration::from_secs(5), false).unwrap();
    let mut registry = registry();
    register(&mut registry, "orders", "10.0.0.7", 1);
    let reply =
        Asked::of("Orders.service.EU-west.services.Example.com", Rtype::A).reply(&registry, &zone, UDP);
    assert_eq!(shown(&reply), "NOERROR\nOrders.service.EU-west.services.Example.com A 10.0.0.7");
    let ttl = reply.answer().unwrap().next().unwrap().unwrap().ttl();
    assert_eq!(ttl.as_secs(), 5);
}
