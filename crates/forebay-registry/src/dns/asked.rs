//! What a name under the registry's domain stands for, by its labels alone. Looks nothing up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The domain itself.
    Apex,
    /// A name that has no records of its own, while names below it have: `service.consul`. A resolver that asks
    /// label by label (RFC 9156) must not be told that there is nothing.
    Parent,
    /// Instances of a service, all of them or those with a tag.
    Service {
        /// A name that starts with `_` may be half of a longer one.
        name: String,
        tag: Option<String>,
    },
    /// Where a node is.
    Node(String),
    /// The address that the name itself spells.
    Address(IpAddr),
    /// Nothing that anybody could register.
    Unknown,
}

/// The labels that say what the others mean.
#[derive(Clone, Copy)]
enum Kind {
    Service,
    Node,
    Address,
}

impl Kind {
    fn parse(label: &str) -> Option<Kind> {
        let kinds = [("service", Kind::Service), ("node", Kind::Node), ("addr", Kind::Address)];
        kinds.into_iter().find(|(text, _)| text.eq_ignore_ascii_case(label)).map(|(_, kind)| kind)
    }
}

impl Asked {
    /// From the labels in front of the domain, first to last.
    pub(super) fn parse(labels: &[&str], datacenter: &str) -> Asked {
        let Some((last, rest)) = labels.split_last() else { return Asked::Apex };
        if let Some(kind) = Kind::parse(last) {
            return Asked::of(kind, rest);
        }
        // `DC.dc` is how newer Consuls spell it.
        let (named, rest) = match rest.split_last() {
            Some((named, rest)) if last.eq_ignore_ascii_case("dc") => (named, rest),
            None if last.eq_ignore_ascii_case("dc") => return Asked::Parent,
            _ => (last, rest),
        };
        if !named.eq_ignore_ascii_case(datacenter) {
            return Asked::Unknown;
        }
        match rest.split_last() {
            None => Asked::Parent,
            Some((last, rest)) => Kind::parse(last).map_or(Asked::Unknown, |kind| Asked::of(kind, rest)),
        }
    }

    fn of(kind: Kind, labels: &[&str]) -> Asked {
        match (kind, labels) {
            (_, []) => Asked::Parent,
            (Kind::Service, [labels @ .., name]) => Asked::service(labels, name),
            (Kind::Node, labels) => Asked::Node(labels.join(".")),
            (Kind::Address, [digits]) => address(digits).map_or(Asked::Unknown, Asked::Address),
            (Kind::Address, _) => Asked::Unknown,
        }
    }

    /// `_NAME._TAG` is RFC 2782's order, in which a protocol says nothing about tags; `TAG.NAME` is Consul's own, and
    /// the tag may have dots.
    fn service(before: &[&str], last: &str) -> Asked {
        if let ([name], Some(tag)) = (before, last.strip_prefix('_'))
            && let Some(name) = name.strip_prefix('_')
        {
            let protocol = ["tcp", "udp"].iter().any(|protocol| tag.eq_ignore_ascii_case(protocol));
            return Asked::Service { name: name.into(), tag: (!protocol).then(|| tag.into()) };
        }
        let tag = (!before.is_empty()).then(|| before.join("."));
        Asked::Service { name: last.into(), tag }
    }
}

/// Eight hexadecimal digits, or thirty-two.
fn address(digits: &str) -> Option<IpAddr> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    match digits.len() {
        8 => u32::from_str_radix(digits, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into()),
        32 => u128::from_str_radix(digits, 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, tag: Option<&str>) -> Asked {
        Asked::Service { name: name.into(), tag: tag.map(Into::into) }
    }

    #[test]
    fn names_mean_what_they_mean_to_consul() {
        fn check(name: &str, expected: &Asked) {
            let labels: Vec<&str> = name.split('.').filter(|label| !label.is_empty()).collect();
            assert_eq!(Asked::parse(&labels, "dc1"), *expected, "{name}");
        }
        check("", &Asked::Apex);
        check("orders.service", &service("orders", None));
        check("Orders.SERVICE.DC1", &service("Orders", None));
        check("orders.service.dc1.dc", &service("orders", None));
        check("orders.service.dc2", &Asked::Unknown);
        check("orders.service.dc2.dc", &Asked::Unknown);
        check("v2.orders.service", &service("orders", Some("v2")));
        check("eu.west.orders.service.dc1", &service("orders", Some("eu.west")));
        check("_orders._tcp.service", &service("orders", None));
        check("_orders._UDP.service", &service("orders", None));
        check("_orders._v2.service.dc1", &service("orders", Some("v2")));
        check("_orders.tcp.service", &service("tcp", Some("_orders")));
        check("_tcp.service", &service("_tcp", None));
        check("a.node", &Asked::Node("a".into()));
        check("a.rack1.node.dc1", &Asked::Node("a.rack1".into()));
        check("7f000001.addr.dc1", &Asked::Address(Ipv4Addr::LOCALHOST.into()));
        check("00000000000000000000000000000001.addr", &Asked::Address(Ipv6Addr::LOCALHOST.into()));
        check("7f00001.addr.dc1", &Asked::Unknown);
        check("+f000001.addr.dc1", &Asked::Unknown);
        check("a.7f000001.addr.dc1", &Asked::Unknown);
        for parent in ["service", "node.dc1", "addr", "dc1", "dc", "dc1.dc", "service.dc1.dc"] {
            check(parent, &Asked::Parent);
        }
        for unknown in ["orders", "orders.query", "orders.connect.dc1", "dc2", "dc2.dc"] {
            check(unknown, &Asked::Unknown);
        }
    }
}
