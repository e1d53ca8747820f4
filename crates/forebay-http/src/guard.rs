//! Decides whether a request may come in at all: refuses those that a foreign web page made a browser send.
//!
//! A page can point its own host name at 127.0.0.1 and then read this listener as if it were its own server (DNS
//! rebinding), or send requests without reading the answers (CSRF). In the first case `Host` names the page's server, in
//! the second `Origin` does, and no page can forge either.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::head::RequestHead;
use crate::name::Name;
use crate::problem::{Fault, Problem};

/// Checks `Host` and `Origin` of a request that arrived at `local`. `listener` is what the refusal calls it: `admin
/// listener`.
///
/// # Errors
/// 421 (RFC 9110 §15.5.20) when the authority is not this listener's, under one of a loopback listener's names, with its
/// port or none; 403 when an `Origin` (RFC 6454) is not the request's own.
pub fn guard(head: &RequestHead, local: SocketAddr, listener: &str) -> Result<(), Problem> {
    // HTTP/1.0 allows no `Host`, and old health checkers send none. Browsers always do.
    if !head.authority().is_empty() && !names(head.authority(), local) {
        return Err(foreign_host(local, listener));
    }
    let own = |origin: &[u8]| is_own_origin(origin, head);
    if head.fields().get_all(Name::Origin).all(own) { Ok(()) } else { Err(foreign_origin(listener)) }
}

/// Whether an authority is a name of this listener.
fn names(authority: &str, local: SocketAddr) -> bool {
    let (host, port) = split_port(authority);
    if port.is_some_and(|port| port.parse() != Ok(local.port())) {
        return false;
    }
    let address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse().map(IpAddr::V6),
        None => host.parse().map(IpAddr::V4),
    };
    match address.map(|address| address.to_canonical()) {
        Ok(address) => {
            address == local.ip().to_canonical()
                || address == Ipv4Addr::LOCALHOST
                || address == Ipv6Addr::LOCALHOST
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Host, brackets kept, and port. The parser has seen to it that what follows the last colon is a port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether an origin is the one that the request itself is for. `null` is nobody's.
fn is_own_origin(origin: &[u8], head: &RequestHead) -> bool {
    let Some((scheme, authority)) = std::str::from_utf8(origin).ok().and_then(|text| text.split_once("://"))
    else {
        return false;
    };
    scheme == head.scheme().text() && authority.eq_ignore_ascii_case(head.authority())
}

fn foreign_host(local: SocketAddr, listener: &str) -> Problem {
    let detail = format!(
        "the request is for another host than this {listener}, as when a web page's name is pointed here \
         (DNS rebinding); use http://localhost:{}/, and tunnel to the same port number",
        local.port()
    );
    Problem::new(421, "foreign-host", Fault::Client, detail)
}

fn foreign_origin(listener: &str) -> Problem {
    let detail = format!(
        "a web page of another origin sent this request, and this {listener} serves no pages of others. Outside a \
         browser, leave out the Origin field"
    );
    Problem::new(403, "foreign-origin", Fault::Client, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Scheme;

    #[track_caller]
    fn check(local: &str, host: &str, origin: &str, expected: u16) {
        let mut head = RequestHead::new("GET", Scheme::Http, host, "/config");
        if host.is_empty() {
            head.fields_mut().remove(Name::Host);
        }
        for origin in origin.split_whitespace() {
            head.fields_mut().append("origin", origin.as_bytes());
        }
        let status =
            guard(&head, local.parse().unwrap(), "listener").map_or_else(|problem| problem.status, |()| 200);
        assert_eq!(status, expected, "{local}, Host {host:?}, Origin {origin:?}");
    }

    #[test]
    fn a_request_must_be_for_this_listener() {
        let own = "127.0.0.1:9180";
        for host in [
            "127.0.0.1:9180",
            "127.0.0.1",
            "localhost:9180",
            "LocalHost",
            "[::1]:9180",
            "[::1]",
            "[0::1]",
            "",
        ] {
            check(own, host, "", 200);
        }
        for host in [
            "evil.example",
            "evil.example:9180",
            "127.0.0.1.evil.example:9180",
            "localhost.evil.example",
            "localhost.",
            "127.0.0.1:9181",
            "localhost:80",
            "localhost:09999",
            "[::1]:1",
            "127.0.0.2:9180",
            "127.1",
            "2130706433",
            "0.0.0.0:9180",
            "[::]:9180",
            "[localhost]",
            "[127.0.0.1]",
        ] {
            check(own, host, "", 421);
        }
    }

    #[test]
    fn a_listener_goes_by_its_own_address_too() {
        check("127.0.0.2:9180", "127.0.0.2:9180", "", 200);
        check("127.0.0.2:9180", "127.0.0.3:9180", "", 421);
        check("[::1]:9180", "[::1]:9180", "", 200);
        check("[::ffff:127.0.0.2]:9180", "127.0.0.2:9180", "", 200);
        check("127.0.0.1:9180", "[::ffff:127.0.0.1]", "", 200);
    }

    #[test]
    fn an_origin_must_be_the_one_the_request_is_for() {
        let own = "127.0.0.1:9180";
        check(own, "127.0.0.1:9180", "http://127.0.0.1:9180", 200);
        check(own, "localhost:9180", "http://LOCALHOST:9180", 200);
        check(own, "[::1]:9180", "http://[::1]:9180", 200);
        for origin in [
            "http://evil.example",
            "http://localhost:9180",
            "http://127.0.0.1:3000",
            "http://127.0.0.1",
            "https://127.0.0.1:9180",
            "http://127.0.0.1:9180/",
            "http://127.0.0.1:9180@evil.example",
            "null",
            "127.0.0.1:9180",
            "http://127.0.0.1:9180 http://evil.example",
            "http://evil.example http://127.0.0.1:9180",
            "caf\u{e9}",
        ] {
            check(own, "127.0.0.1:9180", origin, 403);
        }
        check(own, "", "http://127.0.0.1:9180", 403);
    }

    #[test]
    fn a_foreign_host_is_refused_before_its_own_origin_is_believed() {
        check("127.0.0.1:9180", "evil.example:9180", "http://evil.example:9180", 421);
    }
}
