//! What can be wrong with a source's spelling: the only thing in this crate that a person types.

use std::net::{AddrParseError, Ipv6Addr};

/// Why a source could not be understood. `Display` says what is wrong; [`Error::note`] why it matters and
/// [`Error::help`] what to write instead. Where it stands is known to the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was written.
    #[error("source is empty")]
    Empty,
    /// `registry:` and nothing that could be a name there.
    #[error("source {spelling:?} names no service of the registry")]
    Registry {
        /// As written.
        spelling: String,
    },
    /// `file:` and nothing that could be a path.
    #[error("source {spelling:?} names no file")]
    File {
        /// As written.
        spelling: String,
    },
    /// `ftp://…` and the like.
    #[error("source {spelling:?} has unknown scheme {scheme:?}")]
    Scheme {
        /// As written.
        spelling: String,
        /// The part before `://`.
        scheme: String,
    },
    /// A URL with more than a scheme, a host and a port.
    #[error("source {spelling:?} has a {part}")]
    UrlPart {
        /// As written.
        spelling: String,
        /// The surplus part.
        part: &'static str,
    },
    /// `localhost` alone.
    #[error("source {spelling:?} has no port")]
    PortMissing {
        /// As written.
        spelling: String,
    },
    /// Not a number from 1 to 65535.
    #[error("source {spelling:?} has invalid port {port:?}")]
    Port {
        /// As written.
        spelling: String,
        /// What stands in the port's place.
        port: String,
    },
    /// `::1:9001`, which may be an address with or without a port.
    #[error("source {spelling:?} is an IPv6 address without brackets")]
    Brackets {
        /// As written.
        spelling: String,
    },
    /// Something in brackets, or four numbers, that is no IP address.
    #[error("source {spelling:?} has invalid IP address {host:?}")]
    Address {
        /// As written.
        spelling: String,
        /// What stands in the address's place.
        host: String,
        /// What the parser of addresses says.
        source: AddrParseError,
    },
    /// `dns:` followed by an IP address.
    #[error("source {spelling:?} looks an IP address up in DNS")]
    AddressInDns {
        /// As written.
        spelling: String,
    },
    /// A host name that DNS cannot hold (RFC 1035 section 2.3.1, underscores allowed).
    #[error("source {spelling:?} has invalid host name {host:?}: {flaw}")]
    Host {
        /// As written.
        spelling: String,
        /// The host name.
        host: String,
        /// What is wrong with it.
        flaw: HostFlaw,
    },
    /// An SRV name that does not begin with `_service._protocol.`, or one followed by a port.
    #[error("source {spelling:?} is not a service record's name")]
    Srv {
        /// As written.
        spelling: String,
    },
}

/// What makes a host name invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostFlaw {
    /// No characters, or nothing but the root's dot.
    #[error("it is empty")]
    Empty,
    /// More than 253 characters.
    #[error("it is longer than 253 characters")]
    TooLong,
    /// Two dots in a row, or a dot in front.
    #[error("a label is empty")]
    LabelEmpty,
    /// A label of more than 63 characters.
    #[error("a label is longer than 63 characters")]
    LabelTooLong,
    /// A hyphen at either end of a label.
    #[error("a label begins or ends with a hyphen")]
    Hyphen,
    /// Anything but ASCII letters, digits, `-` and `_`.
    #[error("{0:?} is not allowed")]
    Character(char),
}

impl Error {
    /// Why this is refused rather than guessed at.
    pub fn note(&self) -> &'static str {
        match self {
            Error::Empty => "a source says where a service's endpoints are found",
            Error::Registry { .. } => {
                "names in the registry are letters, digits, `-`, `_` and `.`, 128 characters at most"
            }
            Error::File { .. } => "the file says where the endpoints are",
            Error::Scheme { .. } => "the scheme says whether endpoints speak TLS or how they are looked up",
            Error::UrlPart { .. } => "an endpoint is a host and a port; the request brings the rest",
            Error::PortMissing { .. } => "only URLs have a default port",
            Error::Port { .. } => "ports are numbers from 1 to 65535",
            Error::Brackets { .. } => "without brackets the port cannot be told from the address",
            Error::Address { .. } => "it has the shape of an address, so it is not looked up as a name",
            Error::AddressInDns { .. } => "an address needs no lookup",
            Error::Host { .. } => "DNS cannot hold such a name, so the lookup would always fail",
            Error::Srv { .. } => {
                "service records have names like _http._tcp.orders.internal and carry the port"
            }
        }
    }

    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            Error::Empty => {
                r#"write an address "127.0.0.1:9001", a name "dns:orders.internal:9000", a URL or "registry""#
                    .into()
            }
            Error::Registry { spelling } if spelling["registry:".len()..].parse::<u16>().is_ok() => {
                format!(r#"write "dns:{spelling}" for a port of the host "registry""#)
            }
            Error::Registry { .. } => {
                r#"write "registry" for the service's own name or "registry:orders" for another"#.into()
            }
            Error::File { .. } => r#"write "file:endpoints.json", relative to the configuration file"#.into(),
            Error::Scheme { .. } => r#"use "http://", "https://", "dns:" or "dns+srv:""#.into(),
            Error::UrlPart { part, .. } => format!("remove the {part}"),
            Error::PortMissing { spelling } => {
                let host = spelling.trim_start_matches("dns:");
                format!(r#"add the port, as in "{host}:80""#)
            }
            Error::Port { .. } => r#"write a colon and a number, as in "orders.internal:9000""#.into(),
            Error::Brackets { spelling } => match spelling.rsplit_once(':') {
                Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => {
                    format!(r#"write "[{host}]:{port}""#)
                }
                _ => r#"write it like "[::1]:9001""#.into(),
            },
            Error::Address { .. } => r#"write it like "127.0.0.1:9001" or "[::1]:9001""#.into(),
            Error::AddressInDns { spelling } => {
                format!(r#"write "{}""#, spelling.trim_start_matches("dns:"))
            }
            Error::Host { flaw: HostFlaw::Character(c), .. } if !c.is_ascii() => {
                "write the name in its ASCII form, which begins with \"xn--\"".into()
            }
            Error::Host { .. } => "correct the name".into(),
            Error::Srv { .. } => r#"write "dns+srv:_http._tcp.orders.internal", without a port"#.into(),
        }
    }
}
