//! What is asked and what an answer says. The wire format itself is the `domain` crate's.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::{A, Aaaa, Srv};

use crate::answer::ResolveFailure;
use crate::host::HostName;

/// A whole message as received.
pub(super) type Reply = Message<Vec<u8>>;

/// The records of one kind in an answer; at least one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Records<T> {
    pub(super) records: Vec<T>,
    /// The shortest in the answer, aliases included.
    pub(super) ttl: Duration,
}

/// RFC 2782. Ordered by priority, so that a bound on their number keeps the preferred ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServiceRecord {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: HostName,
    pub(super) along: Along,
}

/// Addresses of a target that came along with its record, a family each; none where it has to be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Along {
    pub(super) v4: Option<Records<IpAddr>>,
    pub(super) v6: Option<Records<IpAddr>>,
}

/// A question for a recursive name server. Without EDNS: what does not fit into 512 octets comes over TCP, which
/// every server must speak (RFC 7766), while some middleboxes still drop EDNS.
pub(super) fn query(id: u16, name: &HostName, kind: Rtype) -> Message<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    let name: Name<Vec<u8>> = name.as_str().parse().expect("host names are a subset of domain names");
    builder.push((name, kind)).expect("a vector takes a question of at most 259 octets");
    builder.into_message()
}

/// What the reply means: records, a denial, or nothing that can be understood.
pub(super) fn interpret<T>(
    reply: &Reply,
    name: &HostName,
    kind: Rtype,
    server: SocketAddr,
    read: impl Fn(&Reply) -> Option<Records<T>>,
) -> Result<Records<T>, ResolveFailure> {
    let name: Box<str> = name.as_str().into();
    if reply.header().rcode() == Rcode::NXDOMAIN {
        return Err(ResolveFailure::NoSuchName { name });
    }
    match read(reply) {
        None => Err(ResolveFailure::Malformed { name, server: server.to_string().into() }),
        Some(found) if found.records.is_empty() => {
            let kind = if kind == Rtype::SRV { "SRV" } else { "A or AAAA" };
            Err(ResolveFailure::NoRecords { name, kind })
        }
        Some(found) => Ok(found),
    }
}

/// The A and AAAA records at the end of the aliases; `None` when the message cannot be parsed.
pub(super) fn addresses(reply: &Reply) -> Option<Records<IpAddr>> {
    let canonical = reply.canonical_name()?;
    let mut records = Vec::new();
    for record in reply.answer().ok()?.limit_to::<A>() {
        let record = record.ok()?;
        if *record.owner() == canonical {
            records.push(IpAddr::V4(record.data().addr()));
        }
    }
    for record in reply.answer().ok()?.limit_to::<Aaaa>() {
        let record = record.ok()?;
        if *record.owner() == canonical {
            records.push(IpAddr::V6(record.data().addr()));
        }
    }
    Some(Records { records, ttl: shortest_ttl(reply)? })
}

/// The SRV records at the end of the aliases, without those that say "not here" (target `.`) or whose target or
/// port nobody could connect to; `None` when the message cannot be parsed.
pub(super) fn services(reply: &Reply) -> Option<Records<ServiceRecord>> {
    let canonical = reply.canonical_name()?;
    let along = along(reply).unwrap_or_default();
    let mut records = Vec::new();
    for record in reply.answer().ok()?.limit_to::<Srv<_>>() {
        let record = record.ok()?;
        let data = record.data();
        let target = HostName::parse(&format!("{}.", data.target()));
        let Ok(target) = target else { continue };
        if *record.owner() == canonical && data.port() != 0 {
            let (priority, weight, port) = (data.priority(), data.weight(), data.port());
            let along = along.get(&target).cloned().unwrap_or_default();
            records.push(ServiceRecord { priority, weight, port, target, along });
        }
    }
    Some(Records { records, ttl: shortest_ttl(reply)? })
}

/// The addresses in the additional section, by the names that have them. What is there of a family is all of it (RFC 2181
/// section 9); of a family that is not, only the authority for the name knows that there is none.
fn along(reply: &Reply) -> Option<HashMap<HostName, Along>> {
    let mut found: HashMap<HostName, Along> = HashMap::new();
    for record in reply.additional().ok()? {
        let record = record.ok()?;
        let ttl = record.ttl().into_duration();
        let ip = if let Some(a) = record.to_record::<A>().ok()? {
            IpAddr::V4(a.data().addr())
        } else if let Some(aaaa) = record.to_record::<Aaaa>().ok()? {
            IpAddr::V6(aaaa.data().addr())
        } else {
            continue;
        };
        let Ok(owner) = HostName::parse(&format!("{}.", record.owner())) else { continue };
        let along = found.entry(owner).or_default();
        let family = if ip.is_ipv4() { &mut along.v4 } else { &mut along.v6 };
        let family = family.get_or_insert(Records { records: Vec::new(), ttl });
        family.ttl = family.ttl.min(ttl);
        family.records.push(ip);
    }
    if reply.header().aa() {
        for along in found.values_mut() {
            let none = || Records { records: Vec::new(), ttl: Duration::MAX };
            along.v4.get_or_insert_with(none);
            along.v6.get_or_insert_with(none);
        }
    }
    Some(found)
}

fn shortest_ttl(reply: &Reply) -> Option<Duration> {
    let mut shortest = Duration::MAX;
    for record in reply.answer().ok()? {
        shortest = shortest.min(record.ok()?.ttl().into_duration());
    }
    Some(shortest)
}

#[cfg(test)]
mod tests {
    use domain::rdata::Cname;
    use proptest::prelude::*;

    use super::*;

    type Labels = Name<Vec<u8>>;

    fn name(text: &str) -> Labels {
        text.parse().unwrap()
    }

    fn host(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn addresses_are_those_at_the_end_of_the_aliases() {
        let query = query(1, &host("orders.internal"), Rtype::A);
        let mut reply = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).unwrap();
        reply.push((name("ORDERS.internal"), 60, Cname::new(name("real.internal")))).unwrap();
        reply.push((name("real.internal"), 300, A::from_octets(10, 0, 0, 1))).unwrap();
        reply.push((name("unasked.internal"), 300, A::from_octets(10, 6, 6, 6))).unwrap();
        let found = addresses(&reply.into_message()).unwrap();
        assert_eq!(found.records, [IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(found.ttl, Duration::from_secs(60));
    }

    #[test]
    fn services_are_in_order_of_priority_and_not_here_is_none() {
        let srv = name("_http._tcp.orders");
        let query = query(1, &host("_http._tcp.orders"), Rtype::SRV);
        let mut reply = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).unwrap();
        reply.push((&srv, 5, Srv::new(20, 1, 81, name("b.orders")))).unwrap();
        reply.push((&srv, 5, Srv::new(10, 2, 80, name("A.orders")))).unwrap();
        reply.push((&srv, 5, Srv::new(0, 0, 0, Labels::root_vec()))).unwrap();
        let mut found = services(&reply.into_message()).unwrap().records;
        found.sort_unstable();
        let seen: Vec<_> = found.iter().map(|r| (r.priority, r.weight, r.port, r.target.as_str())).collect();
        assert_eq!(seen, [(10, 2, 80, "a.orders."), (20, 1, 81, "b.orders.")]);
    }

    proptest! {
        #[test]
        fn hostile_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 12..300)) {
            let reply = Message::from_octets(octets).unwrap();
            addresses(&reply);
            services(&reply);
        }

        #[test]
        fn every_host_name_can_be_asked_for(text in "[a-z0-9_]{1,63}(\\.[a-z0-9_]{1,59}){0,3}\\.?") {
            if let Ok(host) = HostName::parse(&text) {
                let message = query(7, &host, Rtype::SRV);
                let asked = message.sole_question().unwrap().qname().to_string();
                prop_assert_eq!(asked.as_str(), host.without_root());
            }
        }
    }
}
