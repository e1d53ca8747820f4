//! Where a service's endpoints come from, as spelled in the configuration. Looks nothing up.
//!
//! | spelling | meaning |
//! |---|---|
//! | `127.0.0.1:9001`, `[::1]:9001` | this address |
//! | `localhost:9001`, `dns:orders.internal:9000` | every A and AAAA record of the name; `dns:` only makes it plain |
//! | `http://host[:80]`, `https://host[:443]` | the same, and requests carry this host's name |
//! | `dns+srv:_http._tcp.orders.internal` | every SRV record of the name; `_https` means TLS |
//! | `file:endpoints.json` | what the file says, see [`crate::file`] |
//! | `registry`, `registry:orders-v2` | what registered under the service's own name, or another |
//!
//! A URL names somebody else's server, which is addressed by its own name; the other spellings name instances of
//! the user's own service, which see the `Host` that the client sent.
//! `dns+srv:` says that it is DNS and which record, as `mongodb+srv:` does; the name itself then tells whether to
//! speak TLS, and by RFC 9525 the certificate must match the name asked for, not the target that DNS answered.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::Error;
use crate::host::HostName;

/// One source of endpoints. A service may list any mix of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// Where to look.
    pub place: Place,
    /// The name for SNI and the certificate check; `None` is plain text.
    pub tls: Option<Arc<str>>,
    /// The `Host` that requests carry; `None` leaves the client's own.
    pub authority: Option<Arc<str>>,
}

/// Where to look for endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nowhere: this is the endpoint.
    Address(SocketAddr),
    /// A and AAAA records; every address is an endpoint.
    Host {
        /// Subject to the search domains of resolv.conf unless it ends in a dot.
        name: HostName,
        /// The port that A and AAAA records do not carry.
        port: u16,
    },
    /// SRV records (RFC 2782); priority, weight and port come from them.
    Service {
        /// `_service._protocol.domain`.
        name: HostName,
    },
    /// A file that somebody keeps up to date: see [`crate::file`].
    File(Box<Path>),
    /// Nowhere: a registry pushes what it has, see [`crate::Discovery::push`].
    Registry {
        /// Under which name; `None` is that of the service whose source this is.
        name: Option<Arc<str>>,
    },
}

/// Names in a registry are no longer.
const REGISTRY_NAME_LENGTH_MAX: usize = 128;

impl Source {
    /// The same source, a file's path taken as relative to `folder`.
    pub fn within(self, folder: &Path) -> Source {
        match self.place {
            Place::File(path) => Source { place: Place::File(folder.join(path).into()), ..self },
            _ => self,
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Source, Error> {
        let spelling = || text.to_owned();
        if text.is_empty() {
            return Err(Error::Empty);
        }
        if text == "registry" {
            return Ok(Source { place: Place::Registry { name: None }, tls: None, authority: None });
        }
        if let Some(name) = text.strip_prefix("registry:") {
            return parse_registry(text, name);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return parse_file(text, path);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return parse_url(text, scheme, rest);
        }
        if let Some(name) = text.strip_prefix("dns+srv:") {
            return parse_srv(text, name);
        }
        let (in_dns, rest) = match text.strip_prefix("dns:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (host, port) = split_port(text, rest)?;
        let port = port.ok_or_else(|| Error::PortMissing { spelling: spelling() })?;
        let place = parse_place(text, host, port)?;
        if in_dns && matches!(place, Place::Address(_)) {
            return Err(Error::AddressInDns { spelling: spelling() });
        }
        Ok(Source { place, tls: None, authority: None })
    }
}

fn parse_url(text: &str, scheme: &str, rest: &str) -> Result<Source, Error> {
    let spelling = || text.to_owned();
    let (tls, port_default) = match scheme {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => return Err(Error::Scheme { spelling: spelling(), scheme: scheme.to_owned() }),
    };
    // "https://host/" is what people copy from a browser, and its path says nothing.
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let surplus = [('#', "fragment"), ('?', "query"), ('/', "path"), ('@', "user name")];
    if let Some(&(_, part)) = surplus.iter().find(|(c, _)| rest.contains(*c)) {
        return Err(Error::UrlPart { spelling: spelling(), part });
    }
    let (host, port) = split_port(text, rest)?;
    let port = port.unwrap_or(port_default);
    let place = parse_place(text, host, port)?;
    let host = match &place {
        Place::Address(address) => address.ip().to_string(),
        Place::Host { name, .. } | Place::Service { name } => name.without_root().to_owned(),
        Place::File(_) | Place::Registry { .. } => host.to_owned(),
    };
    let authority = match (&place, port == port_default) {
        (Place::Address(SocketAddr::V6(_)), true) => format!("[{host}]"),
        (Place::Address(address), false) => address.to_string(),
        (_, true) => host.clone(),
        (_, false) => format!("{host}:{port}"),
    };
    Ok(Source { place, tls: tls.then(|| host.into()), authority: Some(authority.into()) })
}

fn parse_registry(text: &str, name: &str) -> Result<Source, Error> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    // A number alone would be the port of a host called "registry".
    let is_port = name.bytes().all(|c| c.is_ascii_digit());
    if is_port || name.len() > REGISTRY_NAME_LENGTH_MAX || !name.bytes().all(allowed) {
        return Err(Error::Registry { spelling: text.to_owned() });
    }
    Ok(Source { place: Place::Registry { name: Some(name.into()) }, tls: None, authority: None })
}

fn parse_file(text: &str, path: &str) -> Result<Source, Error> {
    if path.is_empty() || path.contains('\0') {
        return Err(Error::File { spelling: text.to_owned() });
    }
    Ok(Source { place: Place::File(Path::new(path).into()), tls: None, authority: None })
}

fn parse_srv(text: &str, name: &str) -> Result<Source, Error> {
    let malformed = || Error::Srv { spelling: text.to_owned() };
    if name.contains(':') {
        return Err(malformed());
    }
    let name = parse_name(text, name)?;
    let mut labels = name.without_root().splitn(3, '.');
    let (service, protocol, domain) = match (labels.next(), labels.next(), labels.next()) {
        (Some(s), Some(p), Some(d)) if s.starts_with('_') && p.starts_with('_') => (s, p, d),
        _ => return Err(malformed()),
    };
    let tls = (service == "_https" && protocol == "_tcp").then(|| domain.into());
    Ok(Source { tls, place: Place::Service { name }, authority: None })
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`; the brackets stay.
fn split_port<'a>(text: &str, rest: &'a str) -> Result<(&'a str, Option<u16>), Error> {
    let (host, port) = if rest.starts_with('[') {
        rest.split_at(rest.find(']').map_or(rest.len(), |end| end + 1))
    } else if rest.matches(':').count() > 1 {
        return Err(Error::Brackets { spelling: text.to_owned() });
    } else {
        rest.split_at(rest.find(':').unwrap_or(rest.len()))
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    match port.strip_prefix(':') {
        Some(port) => Ok((host, Some(parse_port(text, port)?))),
        None => Err(Error::Port { spelling: text.to_owned(), port: port.to_owned() }),
    }
}

fn parse_port(text: &str, port: &str) -> Result<u16, Error> {
    // `u16::from_str` would take "+80".
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let number = port.parse().ok().filter(|&n: &u16| digits && n != 0);
    number.ok_or_else(|| Error::Port { spelling: text.to_owned(), port: port.to_owned() })
}

fn parse_place(text: &str, host: &str, port: u16) -> Result<Place, Error> {
    let bad_address = |source| Error::Address { spelling: text.to_owned(), host: host.to_owned(), source };
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap_or(inner);
        let ip: Ipv6Addr = inner.parse().map_err(bad_address)?;
        return Ok(Place::Address(SocketAddr::new(IpAddr::V6(ip), port)));
    }
    // RFC 1123 section 2.1: a name's last label is never all digits, so this can only be an address.
    let last_label = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    if !last_label.is_empty() && last_label.bytes().all(|b| b.is_ascii_digit()) {
        let ip: IpAddr = host.parse().map_err(bad_address)?;
        return Ok(Place::Address(SocketAddr::new(ip, port)));
    }
    Ok(Place::Host { name: parse_name(text, host)?, port })
}

fn parse_name(text: &str, host: &str) -> Result<HostName, Error> {
    HostName::parse(host).map_err(|flaw| Error::Host {
        spelling: text.to_owned(),
        host: host.to_owned(),
        flaw,
    })
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.authority, &self.tls) {
            (Some(authority), Some(_)) => write!(f, "https://{authority}"),
            (Some(authority), None) => write!(f, "http://{authority}"),
            (None, _) => write!(f, "{}", self.place),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Address(address) => write!(f, "{address}"),
            Place::Host { name, port } => write!(f, "{name}:{port}"),
            Place::Service { name } => write!(f, "dns+srv:{name}"),
            Place::File(path) => write!(f, "file:{}", path.display()),
            Place::Registry { name: None } => f.write_str("registry"),
            Place::Registry { name: Some(name) } => write!(f, "registry:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_means_one_thing() {
        fn check(text: &str, place: &str, tls: Option<&str>, authority: Option<&str>) {
            let source: Source = text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"));
            let seen = (source.place.to_string(), source.tls.as_deref(), source.authority.as_deref());
            assert_eq!(seen, (place.to_owned(), tls, authority), "{text:?}");
        }
        check("127.0.0.1:9001", "127.0.0.1:9001", None, None);
        check("[::1]:9001", "[::1]:9001", None, None);
        check("localhost:9001", "localhost:9001", None, None);
        check("dns:Orders.internal:9000", "orders.internal:9000", None, None);
        check("http://orders:8080", "orders:8080", None, Some("orders:8080"));
        check("http://127.0.0.1:8080", "127.0.0.1:8080", None, Some("127.0.0.1:8080"));
        check("http://[::1]", "[::1]:80", None, Some("[::1]"));
        check(
            "https://api.payments.example",
            "api.payments.example:443",
            Some("api.payments.example"),
            Some("api.payments.example"),
        );
        check(
            "https://api.payments.example.:8443/",
            "api.payments.example.:8443",
            Some("api.payments.example"),
            Some("api.payments.example:8443"),
        );
        check("https://10.0.0.1", "10.0.0.1:443", Some("10.0.0.1"), Some("10.0.0.1"));
        check("dns+srv:_http._tcp.orders.internal", "dns+srv:_http._tcp.orders.internal", None, None);
        check("file:eds.json", "file:eds.json", None, None);
        check("registry", "registry", None, None);
        check("registry:Orders-v2", "registry:Orders-v2", None, None);
        check(
            "dns+srv:_https._tcp.orders.internal",
            "dns+srv:_https._tcp.orders.internal",
            Some("orders.internal"),
            None,
        );
    }

    #[test]
    fn a_mistake_is_named_explained_and_mended() {
        let spellings = [
            "",
            "registry:",
            "registry:9000",
            "registry:orders v2",
            "file:",
            "ftp://files.example",
            "https://api.example/v1",
            "https://api.example?x=1",
            "https://me@api.example",
            "localhost",
            "dns:orders.internal",
            "orders:",
            "orders:http",
            "orders:+80",
            "orders:0",
            "orders:65536",
            "::1:9001",
            "[::1]",
            "[::1]9001",
            "fe80::1",
            "[orders]:9001",
            "256.0.0.1:80",
            "10.0.1:80",
            "dns:127.0.0.1:80",
            "kö.example:80",
            "-a.example:80",
            ":80",
            "dns+srv:orders.internal",
            "dns+srv:_http._tcp.orders.internal:80",
            "dns+srv:_http._tcp",
        ];
        let mut seen = String::new();
        for text in spellings {
            let error = text.parse::<Source>().expect_err(text);
            seen += &format!("{error}\n   = note: {}\n   = help: {}\n", error.note(), error.help());
        }
        assert_eq!(seen, include_str!("source_errors.golden"), "\n{seen}");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_prints_as_what_it_means(text in "(dns:|dns\\+srv:|registry:?|https?://)?[a-z0-9_.:\\[\\]/-]{0,24}") {
            if let Ok(source) = text.parse::<Source>() {
                let printed = source.to_string();
                let again: Source = printed.parse().map_err(|e| TestCaseError::fail(format!("{text} {printed}: {e}")))?;
                prop_assert_eq!(again.to_string(), printed);
                prop_assert_eq!((again.tls, again.authority), (source.tls, source.authority));
            }
        }
    }
}
