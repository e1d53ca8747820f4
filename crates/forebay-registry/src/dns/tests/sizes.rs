//! What becomes of replies that are longer than a datagram.

use super::*;

fn many(count: u16) -> Registry {
    let mut registry = registry();
    for number in 0..count {
        register(&mut registry, "many", &format!("10.1.{}.{}", number / 250, number % 250), 8000);
    }
    registry
}

#[test]
fn what_does_not_fit_is_a_random_part_and_is_said_to_be_truncated() {
    let registry = many(1000);
    let check = |kind: Rtype, payload: Option<u16>, transport: Transport, expected: (u16, bool)| {
        let query = Asked { payload, ..Asked::of("many.service.consul", kind) };
        let reply = query.reply(&registry, &zone(), transport);
        let found = (reply.header_counts().ancount(), reply.header().tc());
        assert_eq!(found, expected, "{kind} {payload:?} {transport:?}");
        reply
    };
    let loopback = Transport::Udp { datagram_max: 8192 };
    check(Rtype::A, None, UDP, (29, true));
    check(Rtype::A, Some(100), UDP, (29, true));
    check(Rtype::A, Some(1232), UDP, (74, true));
    check(Rtype::A, Some(65_535), UDP, (74, true));
    check(Rtype::A, Some(8192), loopback, (509, true));
    check(Rtype::SRV, Some(1232), UDP, (26, true));
    check(Rtype::A, None, Transport::Tcp, (1000, false));
    let all = check(Rtype::SRV, None, Transport::Tcp, (1000, false));
    assert!(all.header_counts().arcount() > 500, "additional records fill what is left");

    let mut rng = fastrand::Rng::with_seed(3);
    let mut part = || {
        let query = Asked::of("many.service.consul", Rtype::A).octets();
        shown(&Message::from_octets(answer(&query, &registry, &zone(), UDP, &mut rng).unwrap()).unwrap())
    };
    assert_ne!(part(), part());
}

#[test]
fn what_just_fits_is_whole() {
    let registry = many(29);
    let reply = Asked::of("many.service.consul", Rtype::A).reply(&registry, &zone(), UDP);
    assert_eq!((reply.header_counts().ancount(), reply.header().tc()), (29, false));
    // All SRV records, and as many of their addresses as there is room for.
    let query = Asked { payload: Some(1232), ..Asked::of("many.service.consul", Rtype::SRV) };
    let reply = query.reply(&many(25), &zone(), UDP);
    assert_eq!((reply.header_counts().ancount(), reply.header().tc()), (25, false));
}
