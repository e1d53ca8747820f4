//! What the target of `fuzz/` claims of the reply to any octets. Compiled for it and for the tests alone.

use std::sync::LazyLock;
use std::time::Duration;

use domain::base::{Message, Rtype};
use domain::rdata::{AllRecordData, Srv};
use forebay_clock::Moment;

use super::{DATAGRAM_MAX, LOOPBACK_DATAGRAM_MAX, Transport, Zone, answer};
use crate::instance::{Declared, Registration, Weights};
use crate::node::Node;
use crate::registry::Registry;

/// The first octet chooses one.
const TRANSPORTS: [Transport; 3] = [
    Transport::Udp { datagram_max: DATAGRAM_MAX },
    Transport::Udp { datagram_max: LOOPBACK_DATAGRAM_MAX },
    Transport::Tcp,
];

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::new(Node::own("web1.example", "6f1f6d4e", "10.0.0.1"));
    for number in 0..100 {
        register(&mut registry, "many", &format!("10.1.{}.{number}", number % 3), 8000 + number);
    }
    for address in ["", "10.2.0.1", "fd00::1", "db.example.com", "a.service.consul"] {
        register(&mut registry, "mixed", address, 5432);
    }
    register(&mut registry, "a", "b.service.consul", 1);
    register(&mut registry, "b", "a.service.consul", 1);
    register(&mut registry, "c", "web1.example.node.consul", 1);
    registry
});

static ZONE: LazyLock<Zone> =
    LazyLock::new(|| Zone::new("consul.", "dc1", Duration::from_secs(5), false).expect("a zone"));

/// Registers another instance, tagged `v1`, which nothing checks.
pub(crate) fn register(registry: &mut Registry, service: &str, address: &str, port: u16) {
    let registration = Registration {
        id: Some(format!("{service}-{address}-{port}").into()),
        service: service.into(),
        address: address.into(),
        port,
        tags: vec!["v1".into()],
        meta: [].into(),
        weights: Weights { passing: u32::from(port), warning: 1 },
        tagged_addresses: Default::default(),
        enable_tag_override: false,
        declared: Declared::Ready,
        checks: Vec::new(),
        replace_checks: false,
    };
    registry.register(Moment::START, registration).expect("room for an instance");
}

/// Answers, in time that does not depend on what is asked, with a reply that is one and fits.
pub fn query(data: &[u8]) {
    let Some((&first, query)) = data.split_first() else { return };
    let transport = TRANSPORTS[usize::from(first) % TRANSPORTS.len()];
    let mut rng = fastrand::Rng::with_seed(u64::from(first));
    if let Some(reply) = answer(query, &REGISTRY, &ZONE, transport, &mut rng) {
        check(query, &reply, transport);
    }
}

/// What holds for every reply.
pub(crate) fn check(query: &[u8], reply: &[u8], transport: Transport) {
    let query = Message::from_slice(query).expect("less than a header gets no reply");
    let reply = Message::from_slice(reply).expect("a reply has a header");
    assert!(!query.header().qr(), "a reply got a reply");
    assert!(reply.header().qr());
    assert_eq!(reply.header().id(), query.header().id());
    assert_eq!(reply.header().opcode(), query.header().opcode());
    assert_eq!(reply.header().rd(), query.header().rd());
    assert!(!reply.header().ra());
    let payload = query.opt().map_or(512, |opt| usize::from(opt.udp_payload_size()).max(512));
    let octets_max = match transport {
        Transport::Udp { datagram_max } => payload.min(datagram_max),
        Transport::Tcp => 65_535,
    };
    assert!(reply.as_slice().len() <= octets_max, "{} octets of {octets_max}", reply.as_slice().len());
    match (query.sole_question(), reply.sole_question()) {
        (Ok(asked), Ok(repeated)) => {
            // As it was spelled: some resolvers remember the case of each letter.
            assert_eq!(asked.qname().to_string(), repeated.qname().to_string());
            assert_eq!((asked.qtype(), asked.qclass()), (repeated.qtype(), repeated.qclass()));
        }
        (Ok(_), Err(error)) => panic!("the question is gone: {error}"),
        (Err(_), _) => assert_eq!(reply.header_counts().qdcount(), 0),
    }
    records(reply);
}

/// Every record can be read, stands where it should, and has a place to connect to.
fn records(reply: &Message<[u8]>) {
    for item in reply.answer().expect("an answer section") {
        let record = item.expect("a record");
        let record =
            record.into_record::<AllRecordData<_, _>>().expect("what a record says").expect("any type");
        assert_ne!(record.rtype(), Rtype::OPT);
    }
    for item in reply.answer().expect("an answer section").limit_to::<Srv<_>>() {
        assert!(!item.expect("an SRV record").data().target().is_root());
    }
    for item in reply.authority().expect("an authority section") {
        assert_eq!(item.expect("a record").rtype(), Rtype::SOA);
    }
    let additional = reply.additional().expect("an additional section");
    let opts = additional.filter(|item| item.as_ref().expect("a record").rtype() == Rtype::OPT).count();
    assert!(opts <= 1);
    assert!(reply.header_counts().nscount() <= 1);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use domain::base::iana::Class;
    use domain::base::{MessageBuilder, Name};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/dns_query");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).expect("a corpus") {
            query(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
            count += 1;
        }
        assert!(count >= 10, "the corpus has only {count} inputs");
    }

    /// A query that is one, about something near to what there is.
    fn sensible() -> impl Strategy<Value = Vec<u8>> {
        let label = prop_oneof![
            "[a-cA-C]",
            "many|mixed|MIXED|_tcp|_mixed|v1",
            "service|node|addr|dc1|dc",
            "[0-9a-f]{8}"
        ];
        let name = (vec(label, 0..5), prop_oneof!["consul", "consul", "CONSUL", "example"])
            .prop_map(|(labels, domain)| [labels.join("."), domain].join("."));
        let kind = prop_oneof![
            Just(Rtype::A),
            Just(Rtype::AAAA),
            Just(Rtype::SRV),
            Just(Rtype::ANY),
            Just(Rtype::SOA)
        ];
        let edns = prop::option::of((any::<u16>(), 0_u8..2));
        (0_u8..3, any::<u16>(), name, kind, edns).prop_filter_map(
            "a name",
            |(first, id, name, kind, edns)| {
                let name: Name<Vec<u8>> = name.trim_start_matches('.').parse().ok()?;
                let mut message = MessageBuilder::new_vec();
                message.header_mut().set_id(id);
                let mut message = message.question();
                message.push((name, kind, Class::IN)).ok()?;
                let mut message = message.additional();
                if let Some((payload, version)) = edns {
                    let written = message.opt(|opt| {
                        opt.set_udp_payload_size(payload);
                        opt.set_version(version);
                        Ok(())
                    });
                    written.ok()?;
                }
                Some([vec![first], message.finish()].concat())
            },
        )
    }

    proptest! {
        #[test]
        fn no_octets_break_an_answer(data in vec(any::<u8>(), 0..300)) {
            query(&data);
        }

        #[test]
        fn every_reply_is_one_and_fits(data in sensible()) {
            query(&data);
        }

        #[test]
        fn a_query_that_was_damaged_is_survived(data in sensible(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut data = data;
            let at = at.index(data.len());
            data[at] = to;
            query(&data);
            query(&data[..at]);
        }
    }
}
