//! Endpoints that requests could not reach, on their way from the cores to whoever checks them. Never holds a core up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::live::EndpointId;

/// Suspicions that wait to be looked into. One that finds no room is told again with the next failure, and the next check
/// comes anyway.
pub const SUSPECTS_MAX: usize = 1024;
/// An endpoint is told about no more often: the shortest interval that a check may have.
pub const TELL_EVERY: Duration = Duration::from_millis(100);

/// A request could not reach an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Whose endpoint.
    pub service: Arc<str>,
    /// Which.
    pub id: EndpointId,
    /// Where it is.
    pub address: SocketAddr,
}
