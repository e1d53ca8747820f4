//! What a request can be sent to, and what makes two of them the same.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::source::Source;

/// One address of one service, as its sources describe it. Immutable: what changes by itself is in
/// [`crate::LiveState`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The service's name in the configuration.
    pub service: Arc<str>,
    /// Where to connect.
    pub address: SocketAddr,
    /// The name for SNI and the certificate check; `None` is plain text.
    pub tls: Option<Arc<str>>,
    /// The `Host` to send; `None` leaves the client's own.
    pub authority: Option<Arc<str>>,
    /// Share of requests among endpoints of equal priority; at least 1.
    pub weight: u32,
    /// Lower is preferred; higher ones are for when the lower are gone (RFC 2782).
    pub priority: u16,
    /// Where it runs, when its source knows.
    pub zone: Option<Arc<str>>,
    /// Which release it runs, when its source knows.
    pub version: Option<Arc<str>>,
}

/// What tells the endpoints of one service apart, and by which live state finds them again after a re-resolution or
/// a reload: the address, and the name for SNI, since behind one address other names can be other servers.
pub(crate) type Identity = (SocketAddr, Option<Arc<str>>);

/// One address as a lookup answers it, before its source's scheme and its service's name are added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// Lower is preferred.
    pub priority: u16,
    /// At least 1.
    pub weight: u32,
    /// Where it runs, when that is known.
    pub zone: Option<Arc<str>>,
    /// Which release it runs, when that is known.
    pub version: Option<Arc<str>>,
}

impl Target {
    /// A target whose source says nothing about weight and priority.
    pub fn new(address: SocketAddr) -> Target {
        Target { address, priority: 0, weight: 1, zone: None, version: None }
    }
}

impl Endpoint {
    /// The endpoint that `source` makes of `target` for `service`.
    pub fn new(service: &Arc<str>, source: &Source, target: &Target) -> Endpoint {
        Endpoint {
            service: Arc::clone(service),
            address: target.address,
            tls: source.tls.clone(),
            authority: source.authority.clone(),
            weight: target.weight,
            priority: target.priority,
            zone: target.zone.clone(),
            version: target.version.clone(),
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        (self.address, self.tls.clone())
    }
}
