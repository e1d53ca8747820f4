//! The seam to whoever can speak HTTP.

use std::future::Future;

use crate::endpoint::Endpoint;
use crate::health::{HealthCheck, ProbeFailure};

/// Makes one active health check. Implemented over the gateway's own HTTP client.
pub trait Probe {
    /// Checks `endpoint` as [`HealthCheck::kind`] says. [`HealthCheck::timeout`] is enforced by the caller, which
    /// drops the future then.
    fn probe(
        &self,
        endpoint: &Endpoint,
        check: &HealthCheck,
    ) -> impl Future<Output = Result<(), ProbeFailure>>;
}
