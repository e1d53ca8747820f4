//! An origin as a policy writes it: exact, with any subdomain, with any port, any at all, or `null`. Refuses whatever
//! no browser would ever send, because it would never match.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use forebay_config::{Node, Reader, Shape, Value};

/// The longest host name of DNS in presentation form (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;
/// The longest label of a host name (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// The longest scheme; those of extensions and app shells have a dozen letters or two.
pub(crate) const SCHEME_BYTES_MAX: usize = 32;
/// The longest port: 65535.
pub(crate) const PORT_BYTES_MAX: usize = 5;
/// The longest origin that can be allowed: scheme, `://`, host, `:65535`. Longer ones are refused unread.
pub const ORIGIN_BYTES_MAX: usize = SCHEME_BYTES_MAX + 3 + HOST_BYTES_MAX + 1 + PORT_BYTES_MAX;

/// One entry of a policy's `origins`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OriginPattern {
    /// `*`
    Any,
    /// `null`, which sandboxed frames, local files and some redirects send.
    Null,
    /// Scheme, host and port.
    Site(Site),
}

/// Origins that share a scheme and a host, or a host's subdomains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    pub(crate) scheme: Box<str>,
    /// As browsers send it: lower case, ASCII, IPv6 in brackets.
    pub(crate) host: Box<str>,
    /// Whether it stands for the subdomains of `host`, of any depth, and not for `host` itself.
    pub(crate) subdomains: bool,
    pub(crate) port: Port,
}

/// The port of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Port {
    /// The scheme's own, which origins leave out.
    Default,
    Number(u16),
    /// `:*`, the default one included.
    Any,
}

/// Why an entry is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Reads on after `origin "…"`.
    pub(crate) clause: String,
    pub(crate) note: &'static str,
    pub(crate) help: String,
}

const NEVER_MATCHES: &str = "browsers never send an origin like this, so it would never match";

fn refuse<T>(clause: impl Into<String>, note: &'static str, help: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { clause: clause.into(), note, help: help.into() })
}

impl OriginPattern {
    /// Whether it is itself an origin, and no pattern.
    pub(crate) fn is_origin(&self) -> bool {
        match self {
            OriginPattern::Any => false,
            OriginPattern::Null => true,
            OriginPattern::Site(site) => site.exact().is_some(),
        }
    }

    pub(crate) fn parse(text: &str) -> Result<OriginPattern, Refusal> {
        match text {
            "*" => return Ok(OriginPattern::Any),
            "null" => return Ok(OriginPattern::Null),
            _ => {}
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let help = format!("write \"https://{}\"", text.trim_start_matches('/'));
            return refuse("has no scheme", "an origin is a scheme, a host and, if unusual, a port", help);
        };
        checked_scheme(scheme)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !path.is_empty() {
            let help =
                if path == "/" { "remove the trailing slash".into() } else { format!("remove \"{path}\"") };
            return refuse(
                "has a path",
                "browsers send origins without one, so this would never match",
                help,
            );
        }
        if authority.contains('@') {
            return refuse("has a user in it", NEVER_MATCHES, "remove everything up to the `@`");
        }
        let (host, port) = split_port(authority);
        let port = checked_port(scheme, port)?;
        let (subdomains, host) = match host.strip_prefix("*.") {
            Some(base) => (true, base),
            None => (false, host),
        };
        checked_host(host, subdomains)?;
        Ok(OriginPattern::Site(Site { scheme: scheme.into(), host: host.into(), subdomains, port }))
    }
}

fn checked_scheme(scheme: &str) -> Result<(), Refusal> {
    let lower = scheme.to_ascii_lowercase();
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme == "file" {
        return refuse("is a file", "pages from files have the origin `null`", "serve the page over HTTP");
    }
    if scheme.is_empty() || scheme.len() > SCHEME_BYTES_MAX || !scheme.bytes().all(valid) {
        return refuse("has no valid scheme", NEVER_MATCHES, "begin it with https://");
    }
    if scheme != lower {
        return refuse("has capital letters in its scheme", NEVER_MATCHES, format!("write `{lower}://`"));
    }
    Ok(())
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let from = authority.find(']').unwrap_or(0);
    match authority[from..].find(':') {
        Some(colon) => (&authority[..from + colon], Some(&authority[from + colon + 1..])),
        None => (authority, None),
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn checked_port(scheme: &str, port: Option<&str>) -> Result<Port, Refusal> {
    let Some(text) = port else { return Ok(Port::Default) };
    if text == "*" {
        return Ok(Port::Any);
    }
    let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(number) if canonical && default_port(scheme) == Some(number) => refuse(
            format!("spells out the default port of {scheme}"),
            "browsers leave the default port out, so this would never match",
            format!("remove `:{number}`"),
        ),
        Ok(number) if canonical => Ok(Port::Number(number)),
        _ => refuse("has no valid port", NEVER_MATCHES, "ports go from 1 to 65535; `:*` is any"),
    }
}

fn checked_host(host: &str, subdomains: bool) -> Result<(), Refusal> {
    if host.is_empty() {
        return refuse("has no host", NEVER_MATCHES, "write for example \"https://shop.example\"");
    }
    if !host.is_ascii() {
        let note = "browsers send the ASCII form of such a host, so this would never match";
        return refuse("has a host beyond ASCII", note, "write its ASCII form, which begins with `xn--`");
    }
    if host.contains('*') {
        let note = "a star stands for whole subdomains, at the front";
        return refuse(
            "has a `*` in the middle",
            note,
            "write \"https://*.shop.example\", or list the origins",
        );
    }
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let help = format!("write `{}`", host.to_ascii_lowercase());
        return refuse(
            "has capital letters in its host",
            "browsers send lower case, so this would never match",
            help,
        );
    }
    if let Some(canonical) = canonical_address(host) {
        return match canonical {
            _ if subdomains => refuse("has subdomains of an address", NEVER_MATCHES, "remove the `*.`"),
            Ok(canonical) if canonical == host => Ok(()),
            Ok(canonical) => {
                let note = "browsers shorten addresses, so this would never match";
                refuse("has an address in another form", note, format!("write `{canonical}`"))
            }
            Err(()) => refuse("has no valid address", NEVER_MATCHES, "mend it, or write a name"),
        };
    }
    if host.len() > HOST_BYTES_MAX || !is_name(host.as_bytes()) {
        return refuse("has no valid host", NEVER_MATCHES, "write for example \"https://shop.example\"");
    }
    Ok(())
}

/// The form in which browsers send an address; nothing for a name.
fn canonical_address(host: &str) -> Option<Result<String, ()>> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return Some(address.ok_or(()).map(|address| match (address.to_ipv4_mapped(), address.segments()) {
            (Some(_), [.., high, low]) => format!("[::ffff:{high:x}:{low:x}]"),
            _ => format!("[{address}]"),
        }));
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    // The last label decides whether a host is an address (WHATWG URL, "ends in a number").
    let numeric = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    numeric.then(|| host.parse::<Ipv4Addr>().map(|address| address.to_string()).map_err(drop))
}

/// Whether these are labels as an origin has them. Underscores occur in practice.
pub(crate) fn is_name(host: &[u8]) -> bool {
    // Without a branch per byte. The ends count as dots, so that every empty label is two dots that touch.
    let (mut seen, mut touching, mut before) = (0, 0, DOT);
    for &byte in host {
        let class = HOST_BYTES[usize::from(byte)];
        seen |= class;
        touching |= before & class;
        before = class;
    }
    let labels_are_short = || match host.len() {
        0..=LABEL_BYTES_MAX => true,
        _ => host.split(|&byte| byte == b'.').all(|label| label.len() <= LABEL_BYTES_MAX),
    };
    seen & ODD == 0 && (touching | before) & DOT == 0 && labels_are_short()
}

/// What a byte is in a host name: part of a label (0), between labels, or in none.
static HOST_BYTES: [u8; 256] = {
    let mut table = [ODD; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => 0,
            b'.' => DOT,
            _ => ODD,
        };
        byte += 1;
    }
    table
};
const DOT: u8 = 1;
const ODD: u8 = 2;

/// Whether this is a port as an origin has it: a number without leading zero that is not the scheme's own.
pub(crate) fn is_port(scheme: &[u8], port: &[u8]) -> bool {
    let digits = !port.is_empty() && port.len() <= PORT_BYTES_MAX && port.iter().all(u8::is_ascii_digit);
    if !digits || port[0] == b'0' {
        return false;
    }
    let number = port.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    let default = matches!((scheme, number), (b"http", 80) | (b"https", 443));
    number <= 65535 && !default
}

impl Site {
    /// Whether nobody on the network between can pretend to be it. Schemes of extensions and app shells are not
    /// fetched from a network at all, and loopback is not one.
    pub(crate) fn is_secure(&self) -> bool {
        &*self.scheme != "http" || self.is_loopback()
    }

    fn is_loopback(&self) -> bool {
        let host = &*self.host;
        host == "localhost"
            || host.ends_with(".localhost")
            || host == "[::1]"
            || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether its subdomains belong to people who have nothing to do with each other (publicsuffix.org).
    pub(crate) fn is_public_suffix(&self) -> bool {
        let suffix = psl::suffix(self.host.as_bytes());
        self.subdomains
            && suffix.is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == self.host.as_bytes())
    }

    /// All names beside it, where they belong to one owner.
    pub(crate) fn family(&self) -> Option<Site> {
        let (_, parent) = self.host.split_once('.')?;
        let family = Site { host: parent.into(), subdomains: true, ..self.clone() };
        let named = canonical_address(&self.host).is_none() && parent.contains('.');
        (named && !self.subdomains && !family.is_public_suffix()).then_some(family)
    }

    /// The one origin it stands for, if it is one.
    pub(crate) fn exact(&self) -> Option<String> {
        (!self.subdomains && self.port != Port::Any).then(|| self.to_string())
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.subdomains { "*." } else { "" };
        write!(f, "{}://{star}{}", self.scheme, self.host)?;
        match self.port {
            Port::Default => Ok(()),
            Port::Number(number) => write!(f, ":{number}"),
            Port::Any => f.write_str(":*"),
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginPattern::Any => f.write_str("*"),
            OriginPattern::Null => f.write_str("null"),
            OriginPattern::Site(site) => site.fmt(f),
        }
    }
}

impl Value for OriginPattern {
    const SHAPE: Shape = Shape::text("an origin", "\"https://shop.example\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<OriginPattern> {
        let Some(text) = node.as_str() else { return reader.wrong_kind(node, &Self::SHAPE) };
        OriginPattern::parse(text)
            .map_err(|refusal| {
                let message = format!("origin \"{text}\" {}", refusal.clause);
                reader.error(node.origin(), message).note(refusal.note).help(refusal.help);
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), &str>) {
        let parsed = OriginPattern::parse(text);
        match (&parsed, expected) {
            (Ok(pattern), Ok(())) => assert_eq!(pattern.to_string(), text),
            (Err(refusal), Err(clause)) => assert_eq!(refusal.clause, clause, "{text}"),
            _ => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn only_what_a_browser_could_send_is_an_origin() {
        check("*", Ok(()));
        check("null", Ok(()));
        check("https://shop.example", Ok(()));
        check("https://*.shop.example:8443", Ok(()));
        check("http://localhost:*", Ok(()));
        check("http://[::1]:3000", Ok(()));
        check("capacitor://localhost", Ok(()));
        check("https://xn--bcher-kva.example", Ok(()));
        check("shop.example", Err("has no scheme"));
        check("HTTPS://shop.example", Err("has capital letters in its scheme"));
        check("file://", Err("is a file"));
        check("https://shop.example/", Err("has a path"));
        check("https://shop.example/a?b", Err("has a path"));
        check("https://me@shop.example", Err("has a user in it"));
        check("https://shop.example:443", Err("spells out the default port of https"));
        check("http://shop.example:80", Err("spells out the default port of http"));
        check("http://shop.example:443", Ok(()));
        check("https://shop.example:0443", Err("has no valid port"));
        check("https://shop.example:", Err("has no valid port"));
        check("https://bücher.example", Err("has a host beyond ASCII"));
        check("https://Shop.example", Err("has capital letters in its host"));
        check("https://app*.example", Err("has a `*` in the middle"));
        check("https://*", Err("has a `*` in the middle"));
        check("https://*.127.0.0.1", Err("has subdomains of an address"));
        check("https://127.0.0.01", Err("has no valid address"));
        check("https://[0:0::1]", Err("has an address in another form"));
        check("https://a..example", Err("has no valid host"));
        check("https://", Err("has no host"));
    }

    #[test]
    fn public_suffixes_are_known() {
        let public = |text: &str| match OriginPattern::parse(text) {
            Ok(OriginPattern::Site(site)) => site.is_public_suffix(),
            other => panic!("{other:?}"),
        };
        assert!(public("https://*.com"));
        assert!(public("https://*.co.uk"));
        assert!(public("https://*.github.io"));
        assert!(!public("https://*.shop.example"));
        assert!(!public("https://*.octo.github.io"));
        assert!(!public("https://github.io"));
        assert!(!public("https://*.corp-internal"));
    }
}
