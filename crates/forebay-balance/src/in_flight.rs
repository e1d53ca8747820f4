//! Counts the requests that an endpoint has now. Never waits and never refuses: limits are another's work.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Candidate;

/// The live number of requests on one endpoint, shared by all cores.
///
/// Relaxed: a pick that misses the newest request is a slightly worse pick, never a wrong one.
#[derive(Debug, Default)]
pub struct InFlightCount(AtomicU32);

impl InFlightCount {
    /// Nothing in flight.
    pub const fn new() -> InFlightCount {
        InFlightCount(AtomicU32::new(0))
    }

    /// Requests in flight, as far as this core has heard.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One request on one endpoint: counted from [`InFlight::enter`] until dropped.
///
/// Holds whatever handle the caller has (`&E`, `Rc<E>`, `Arc<E>`), so that counting costs no second
/// reference count. Drop it when the response has been read to its end, not at its head: an endpoint that
/// still streams is busy.
#[must_use = "the request counts as in flight only while this lives"]
pub struct InFlight<H>(H)
where
    H: Deref,
    H::Target: Candidate;

impl<H> InFlight<H>
where
    H: Deref,
    H::Target: Candidate,
{
    /// Counts one more request on `endpoint`.
    pub fn enter(endpoint: H) -> InFlight<H> {
        endpoint.in_flight().0.fetch_add(1, Ordering::Relaxed);
        InFlight(endpoint)
    }

    /// The endpoint the request is on.
    pub fn endpoint(&self) -> &H {
        &self.0
    }
}

impl<H> Drop for InFlight<H>
where
    H: Deref,
    H::Target: Candidate,
{
    fn drop(&mut self) {
        self.0.in_flight().0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<H> fmt::Debug for InFlight<H>
where
    H: Deref,
    H::Target: Candidate,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InFlight").field(&self.0.in_flight().get()).finish()
    }
}
