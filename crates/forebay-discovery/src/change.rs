//! What is told to logs and metrics when it happens. The live state says the same to whoever asks.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::health::{Health, ProbeFailure};
use crate::outlier::Ejection;
use crate::service::{EndpointSet, SourceReport};
use crate::standing::Standing;

/// Something that people and metrics want to know about.
#[derive(Clone, Debug)]
pub enum Change {
    /// A service has other endpoints, or other facts about them, than before.
    Endpoints {
        /// Whose.
        service: Arc<str>,
        /// The new set.
        set: Arc<EndpointSet>,
    },
    /// A verdict changed.
    Health {
        /// Whose endpoint.
        service: Arc<str>,
        /// Which.
        address: SocketAddr,
        /// The new verdict.
        health: Health,
        /// Why, when it is unhealthy.
        reason: Option<ProbeFailure>,
    },
    /// A registry came to call an endpoint critical, or does so no longer.
    Advertised {
        /// Whose endpoint.
        service: Arc<str>,
        /// Which.
        address: SocketAddr,
        /// Why it is critical; `None` when it is ready.
        reason: Option<Arc<str>>,
    },
    /// A request could not reach an endpoint. Told now and then, and not by each request: whoever has checks of its own, such
    /// as a registry, does well to make them now.
    Suspected {
        /// Whose endpoint.
        service: Arc<str>,
        /// Which.
        address: SocketAddr,
    },
    /// An endpoint is left alone, because it fails far more often than the others. (Failures in a row are told by
    /// whoever counted the last of them.)
    Ejected {
        /// Whose endpoint.
        service: Arc<str>,
        /// Which.
        address: SocketAddr,
        /// For how long, and why.
        ejection: Ejection,
    },
    /// A source came to be answered, or stopped being, or gave its last good answer up.
    Standing {
        /// Whose source.
        service: Arc<str>,
        /// Which, and how it stands.
        report: SourceReport,
    },
}

impl Change {
    pub(crate) fn advertised(endpoint: &Endpoint, reason: Option<&Arc<str>>) -> Change {
        let Endpoint { service, address, .. } = endpoint;
        Change::Advertised { service: Arc::clone(service), address: *address, reason: reason.cloned() }
    }
}

/// Whether a standing differs in kind: a later answer or another failure of the same kind is no news.
pub(crate) fn is_turn(before: &Standing, after: &Standing) -> bool {
    let first_failure = |standing: &Standing| matches!(standing, Standing::Unresolved { failure: Some(_) });
    std::mem::discriminant(before) != std::mem::discriminant(after)
        || first_failure(before) != first_failure(after)
}
