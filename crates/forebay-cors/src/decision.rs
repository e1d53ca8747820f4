//! What was decided about one request, and why. Holds no reference, so it may wait for the response.

use std::fmt;

use crate::origin::ORIGIN_BYTES_MAX;

/// What a policy says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No page of another origin asks: there is nothing to decide.
    NotCors,
    /// The page may.
    Allowed,
    /// The page may not.
    Denied(Reason),
}

/// Why a page may not, in words fit for a log and a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The `Origin` field is repeated, too long, or none that a browser sends.
    OriginMalformed,
    /// The policy does not list the origin.
    OriginNotAllowed,
    /// The policy does not list the method.
    MethodNotAllowed,
    /// `Access-Control-Request-Headers` is not the sorted list in lower case that browsers send.
    HeadersMalformed,
    /// The policy does not list one of the headers.
    HeaderNotAllowed,
    /// The policy does not open a private network to public pages.
    PrivateNetworkNotAllowed,
}

impl Reason {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Reason; 6] = [
        Reason::OriginMalformed,
        Reason::OriginNotAllowed,
        Reason::MethodNotAllowed,
        Reason::HeadersMalformed,
        Reason::HeaderNotAllowed,
        Reason::PrivateNetworkNotAllowed,
    ];

    /// The reason as a fixed text.
    pub const fn text(self) -> &'static str {
        match self {
            Reason::OriginMalformed => "origin malformed",
            Reason::OriginNotAllowed => "origin not allowed",
            Reason::MethodNotAllowed => "method not allowed",
            Reason::HeadersMalformed => "request headers malformed",
            Reason::HeaderNotAllowed => "header not allowed",
            Reason::PrivateNetworkNotAllowed => "private network not allowed",
        }
    }

    /// The setting that decided.
    pub const fn setting(self) -> &'static str {
        match self {
            Reason::OriginMalformed | Reason::OriginNotAllowed => "origins",
            Reason::MethodNotAllowed => "methods",
            Reason::HeadersMalformed | Reason::HeaderNotAllowed => "headers",
            Reason::PrivateNetworkNotAllowed => "private_network",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl Outcome {
    /// As a fixed text: `not cors`, `allowed`, `denied: origin not allowed`.
    pub const fn text(self) -> &'static str {
        match self {
            Outcome::NotCors => "not cors",
            Outcome::Allowed => "allowed",
            Outcome::Denied(Reason::OriginMalformed) => "denied: origin malformed",
            Outcome::Denied(Reason::OriginNotAllowed) => "denied: origin not allowed",
            Outcome::Denied(Reason::MethodNotAllowed) => "denied: method not allowed",
            Outcome::Denied(Reason::HeadersMalformed) => "denied: request headers malformed",
            Outcome::Denied(Reason::HeaderNotAllowed) => "denied: header not allowed",
            Outcome::Denied(Reason::PrivateNetworkNotAllowed) => "denied: private network not allowed",
        }
    }

    /// Why not, if so.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Outcome::Denied(reason) => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// Whether a request asks for permission or uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// OPTIONS with `Origin` and `Access-Control-Request-Method`.
    Preflight,
    /// Anything else.
    Actual,
}

impl Kind {
    /// As in metrics.
    pub const fn text(self) -> &'static str {
        match self {
            Kind::Preflight => "preflight",
            Kind::Actual => "actual",
        }
    }
}

/// What was decided about one request, kept until its response is there.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
    pub(crate) granted: Granted,
}

/// To whom a response may say that it is readable.
#[derive(Clone, Copy, Debug)]
// A box would be an allocation for each request.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Granted {
    Nobody,
    /// To everybody: `*`.
    Everybody,
    /// The origin with this number in the policy's list.
    Listed(u32),
    /// An origin that only a pattern names.
    Covered(OriginText),
}

/// A copy of an allowed origin.
#[derive(Clone, Copy)]
pub(crate) struct OriginText {
    len: u16,
    bytes: [u8; ORIGIN_BYTES_MAX],
}

impl Granted {
    /// Nobody for a longer text, which no policy allows.
    pub(crate) fn covered(origin: &[u8]) -> Granted {
        let mut text = OriginText { len: origin.len() as u16, bytes: [0; ORIGIN_BYTES_MAX] };
        let Some(bytes) = text.bytes.get_mut(..origin.len()) else { return Granted::Nobody };
        bytes.copy_from_slice(origin);
        Granted::Covered(text)
    }
}

impl OriginText {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for OriginText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl Decision {
    /// What was decided.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What was asked.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}
