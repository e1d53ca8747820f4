//! Who the client is, through the proxies in front of us: `Forwarded` (RFC 7239) and `X-Forwarded-*`.
//!
//! What a peer says is believed only when the peer is trusted; from anybody else these fields are replaced.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::fields::{list, trim};
use crate::head::{RequestHead, Scheme};
use crate::name::Name;
use crate::server::Peer;

/// Addresses looked at in one `X-Forwarded-For`, from the right: nobody has more proxies of his own.
const HOPS_MAX: usize = 32;

/// The name Forebay goes by in `Via` (RFC 9110 §7.6.3).
pub const VIA: &str = "1.1 forebay";

/// The client as it reached the outermost proxy that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// The scheme it used.
    pub scheme: Scheme,
}

/// Finds out who the client is and rewrites the fields that tell it to the upstream.
pub fn forward(head: &mut RequestHead, peer: &Peer, trusted: &[IpNet]) -> Client {
    let address = peer.address.ip().to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let client = if is_trusted(address) {
        Client {
            address: outermost(head, address, is_trusted),
            scheme: forwarded_scheme(head).unwrap_or(peer.scheme),
        }
    } else {
        forget_claims(head);
        Client { address, scheme: peer.scheme }
    };
    head.set_scheme(client.scheme);
    extend(head, peer, client.scheme);
    client
}

fn forget_claims(head: &mut RequestHead) {
    head.fields_mut().remove_where(|name| {
        matches!(
            name,
            Name::Forwarded
                | Name::XForwardedFor
                | Name::XForwardedProto
                | Name::XForwardedHost
                | Name::XForwardedPort
                | Name::XRealIp
                | Name::ForebayAttempt
                | Name::ForebayPriority
        )
    });
}

/// Walks from the nearest proxy outwards, as far as each hop is trusted.
fn outermost(head: &RequestHead, peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    let forwarded: Vec<&[u8]> = head.fields().get_all(Name::XForwardedFor).flat_map(list).collect();
    for hop in forwarded.iter().rev().take(HOPS_MAX) {
        let Some(address) = parse_address(hop) else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// An address, with or without brackets and port.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(trim(text)).ok()?;
    let address =
        text.parse().ok().or_else(|| text.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()));
    address
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
        .map(|ip: IpAddr| ip.to_canonical())
}

fn forwarded_scheme(head: &RequestHead) -> Option<Scheme> {
    match head.fields().only(Name::XForwardedProto)? {
        proto if proto.eq_ignore_ascii_case(b"https") => Some(Scheme::Https),
        proto if proto.eq_ignore_ascii_case(b"http") => Some(Scheme::Http),
        _ => None,
    }
}

/// Adds our peer to the chain, and what it did not say.
fn extend(head: &mut RequestHead, peer: &Peer, scheme: Scheme) {
    let text = peer.address_text.as_bytes();
    if head.fields().get(Name::XForwardedFor).is_some() {
        let mut chain = head.fields().get_all(Name::XForwardedFor).collect::<Vec<_>>().join(&b", "[..]);
        chain.extend_from_slice(b", ");
        chain.extend_from_slice(text);
        head.fields_mut().set("x-forwarded-for", &chain);
    } else {
        head.fields_mut().add(Name::XForwardedFor, text);
    }
    if head.fields().get(Name::XForwardedProto).is_none() {
        head.fields_mut().add(Name::XForwardedProto, scheme.text().as_bytes());
    }
    if head.fields().get(Name::XForwardedHost).is_none() {
        head.fields_mut().add_same(Name::XForwardedHost, Name::Host);
    }
    if head.fields().get(Name::Forwarded).is_some() {
        // Only a trusted peer's is still here; the chain stays whole.
        let forwarded = head.fields().get_all(Name::Forwarded).collect::<Vec<_>>().join(&b", "[..]);
        let address = &peer.address_text;
        let hop =
            if address.contains(':') { format!("for=\"[{address}]\"") } else { format!("for={address}") };
        let chain = [&forwarded[..], b", ", hop.as_bytes()].concat();
        head.fields_mut().set("forwarded", &chain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;

    /// Gives the client's address and what the upstream reads.
    fn check(peer: &str, fields: &[(&str, &str)]) -> (String, String) {
        let mut head = RequestHead::new("GET", Scheme::Http, "shop.example", "/");
        for (name, value) in fields {
            head.fields_mut().append(name, value.as_bytes());
        }
        let address = std::net::SocketAddr::new(peer.parse().unwrap(), 1234);
        let peer = Peer::new(address, address, Scheme::Http);
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let client = forward(&mut head, &peer, &trusted);
        let value = |name| String::from_utf8_lossy(head.fields().value(name).unwrap_or(b"-")).into_owned();
        let seen = format!(
            "{} {} {} {}",
            value("x-forwarded-for"),
            value("x-forwarded-proto"),
            value("x-forwarded-host"),
            value("forwarded")
        );
        (client.address.to_string(), seen)
    }

    #[test]
    fn a_strangers_claims_are_replaced() {
        let claims = [
            ("x-forwarded-for", "1.1.1.1"),
            ("X-Forwarded-Proto", "https"),
            ("x-forwarded-host", "evil"),
            ("Forwarded", "for=1.1.1.1"),
        ];
        let (client, seen) = check("192.0.2.1", &claims);
        assert_eq!(client, "192.0.2.1");
        assert_eq!(seen, "192.0.2.1 http shop.example -");
    }

    #[test]
    fn a_trusted_chain_is_followed_to_the_first_stranger() {
        let chain = [("x-forwarded-for", "6.6.6.6, 192.0.2.7"), ("x-forwarded-for", "10.1.1.1")];
        let (client, seen) = check("10.0.0.1", &chain);
        assert_eq!(client, "192.0.2.7");
        assert_eq!(seen, "6.6.6.6, 192.0.2.7, 10.1.1.1, 10.0.0.1 http shop.example -");
    }

    #[test]
    fn a_trusted_peer_says_scheme_and_host() {
        let said =
            [("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "www.example"), ("forwarded", "for=a")];
        let (client, seen) = check("::1", &said);
        assert_eq!(client, "::1");
        assert_eq!(seen, "::1 HTTPS www.example for=a, for=\"[::1]\"");
    }

    #[test]
    fn addresses_come_in_several_spellings() {
        for text in ["192.0.2.1", "192.0.2.1:80", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80"] {
            assert_eq!(parse_address(text.as_bytes()).unwrap().to_string(), "192.0.2.1", "{text}");
        }
        assert_eq!(parse_address(b"[2001:db8::1]").unwrap().to_string(), "2001:db8::1");
        assert_eq!(parse_address(b"unknown"), None);
    }
}
