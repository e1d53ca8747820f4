//! Absolute `http` and `https` URLs: scheme, host, port, path (RFC 3986 §3, narrowed). No user, query or
//! fragment: credentials belong in a secret, and a base URL has no use for the rest.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::{Scalar, Shape};
use crate::value::Value;

/// The longest host name of DNS (RFC 1035 §2.3.4).
const HOST_LENGTH_MAX: usize = 253;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

/// Whom a URL names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// In lower case, never looked up here.
    Name(Box<str>),
    /// As `127.0.0.1`.
    V4(Ipv4Addr),
    /// As `[::1]`.
    V6(Ipv6Addr),
}

/// An absolute URL. The port is always known; the path is at least `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    /// Decides about TLS.
    pub scheme: Scheme,
    /// Whom to ask.
    pub host: Host,
    /// As written, else the scheme's own.
    pub port: u16,
    /// Begins with `/`; percent-encodings stay as written.
    pub path: Box<str>,
}

impl Scheme {
    /// 80 or 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// As in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

impl FromStr for HttpUrl {
    type Err = Problem;

    fn from_str(text: &str) -> Result<HttpUrl, Problem> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| Problem::new("has no scheme").help("begin it with http:// or https://"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(Problem::new("has another scheme than http and https")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Problem::new("has a user in it")
                .help("keep credentials in a secret of their own")
                .hidden());
        }
        let (host, port) = host_and_port(authority, scheme)?;
        Ok(HttpUrl { scheme, host, port, path: checked_path(path)?.into() })
    }
}

fn host_and_port(authority: &str, scheme: Scheme) -> Result<(Host, u16), Problem> {
    let end = authority.find(']').map_or_else(|| authority.find(':').unwrap_or(authority.len()), |at| at + 1);
    let (host, port) = authority.split_at(end);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => scheme.default_port(),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| Problem::new("has no valid port").help("ports go from 1 to 65535"))?,
        _ => return Err(Problem::new("has no valid port").help("ports go from 1 to 65535")),
    };
    Ok((parse_host(host)?, port))
}

fn parse_host(host: &str) -> Result<Host, Problem> {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner
            .parse()
            .map(Host::V6)
            .map_err(|_| Problem::new("has no valid IPv6 address in its brackets"));
    }
    if let Ok(address) = host.parse() {
        return Ok(Host::V4(address));
    }
    if host.is_empty() {
        return Err(Problem::new("has no host"));
    }
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed)
    };
    let labels = host.strip_suffix('.').unwrap_or(host);
    // A last label of digits is an address that somebody mistyped (RFC 3696 §2).
    let numeric =
        labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric || host.len() > HOST_LENGTH_MAX || !labels.split('.').all(label) {
        return Err(Problem::new("has no valid host"));
    }
    Ok(Host::Name(host.to_ascii_lowercase().into()))
}

fn checked_path(path: &str) -> Result<&str, Problem> {
    if let Some(which) = path.find(['?', '#']) {
        let part = if path[which..].starts_with('?') { "query" } else { "fragment" };
        return Err(Problem::new(format!("has a {part}")).help(format!("leave the {part} out")));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return Err(Problem::new("has a character that a URL cannot have").help("percent-encode it"));
    }
    Ok(if path.is_empty() { "/" } else { path })
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => address.fmt(f),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

impl Value for HttpUrl {
    const SHAPE: Shape =
        Shape::Scalar(Scalar::text("an absolute URL", "\"https://shop.example/path\"").pattern("^https?://"));

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed = text.parse::<HttpUrl>().map(|url| url.to_string()).map_err(|problem| problem.clause);
        assert_eq!(parsed, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn a_url_is_absolute_and_plain() {
        check("https://Shop.Example", Ok("https://shop.example/"));
        check("http://127.0.0.1:9001/a/b%20c", Ok("http://127.0.0.1:9001/a/b%20c"));
        check("http://[::1]:80/", Ok("http://[::1]/"));
        check("shop.example", Err("has no scheme"));
        check("ftp://shop.example", Err("has another scheme than http and https"));
        check("https://u:p@shop.example", Err("has a user in it"));
        check("https://", Err("has no host"));
        check("https://shop.example:0", Err("has no valid port"));
        check("https://shop.example:", Err("has no valid port"));
        check("http://1.2.3.400/", Err("has no valid host"));
        check("https://shop.example/?a", Err("has a query"));
        check("https://shop.example/#a", Err("has a fragment"));
        check("https://shop.example/a b", Err("has a character that a URL cannot have"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_printed_reads_back(text in "(https?://)?[a-z\\[\\]:./@?#%é0-9]{0,20}") {
            if let Ok(url) = text.parse::<HttpUrl>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }
    }
}
