//! Whether a request may go to its service at all: a place below the limit of requests in flight, and the breaker's leave,
//! which also ends its retries.

use std::time::Duration;

use forebay_clock::Moment;
use forebay_http::problem::{Fault, Problem};
use forebay_retry::{Breaker, Ending, Pass, Permit, Told, is_failure};

use crate::forward::{Errand, Found, Halt, answered};

/// What a client is told to wait for when it was refused for lack of room.
const RETRY_AFTER_S: u32 = 1;

/// A place among the requests in flight, where the service has a limit.
pub(crate) fn permit<'e>(errand: &'e Errand<'_>, now: Moment) -> Result<Option<Permit<'e>>, Problem> {
    let shared = errand.shared();
    let Some(concurrency) = &shared.state.concurrency else { return Ok(None) };
    concurrency.admit(errand.priority, now).map(Some).map_err(|_| {
        shared.metrics.shed_of(errand.priority).inc(errand.core.metrics);
        let detail =
            format!("service {} has as many requests in flight as it can work on", errand.service.name);
        let problem = Problem::new(503, "overloaded", Fault::Upstream, detail);
        Problem { retry_after_s: Some(RETRY_AFTER_S), ..problem }
    })
}

/// Tells the limit how the request ended, as far as that says something about load.
pub(crate) fn tell(permit: &Permit<'_>, found: &Result<Found<'_>, Halt>, now: Moment) {
    let told = match found {
        Ok(found) if matches!(found.head.status(), 429 | 503) => Told::Refused,
        Ok(_) => Told::Answered,
        Err(Halt::Refused(_, Some(Ending::TimedOut))) => Told::Refused,
        Err(_) => return,
    };
    permit.tell(told, now);
}

/// The breaker's leave for one request, retries included. Dropped without a word, it is as if it had not been asked for.
pub(crate) struct Trial<'e>(Option<(&'e Breaker, Pass)>);

impl<'e> Trial<'e> {
    /// Asks for it; without a breaker there is always leave.
    pub(crate) fn of(errand: &'e Errand<'_>, now: Moment) -> Result<Trial<'e>, Problem> {
        let shared = errand.shared();
        let Some(breaker) = &shared.state.breaker else { return Ok(Trial(None)) };
        match breaker.admit(now) {
            Ok(pass) => Ok(Trial(Some((breaker, pass)))),
            Err(refused) => {
                shared.metrics.cut_off.inc(errand.core.metrics);
                Err(circuit_open(&errand.service.name, refused.retry_after))
            }
        }
    }

    /// Whether another attempt may be made.
    pub(crate) fn goes_on(&self) -> bool {
        self.0.as_ref().is_none_or(|(breaker, pass)| breaker.goes_on(pass))
    }

    /// Tells the breaker how the request ended, as far as that says something about the service.
    pub(crate) fn end(mut self, errand: &Errand<'_>, found: &Result<Found<'_>, Halt>, now: Moment) {
        let ending = match found {
            Ok(found) => answered(&found.head),
            // Or else a stranger could open the breaker by giving the service no time.
            Err(Halt::Refused(_, Some(Ending::TimedOut))) if errand.is_in_a_hurry => return,
            Err(Halt::Refused(_, Some(ending))) => *ending,
            Err(Halt::Refused(_, None) | Halt::ClientGone) => return,
        };
        let Some((breaker, pass)) = self.0.take() else { return };
        if breaker.record(pass, is_failure(ending), now) {
            tracing::warn!(service = &*errand.service.name, "service fails too often and is left alone");
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if let Some((breaker, pass)) = self.0.take() {
            breaker.forget(pass);
        }
    }
}

fn circuit_open(service: &str, retry_after: Duration) -> Problem {
    let detail = format!("service {service} fails too often at present and is left alone");
    let problem = Problem::new(503, "circuit-open", Fault::Upstream, detail);
    // Rounded up: sooner it would be refused again.
    let seconds = u32::try_from(retry_after.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Problem { retry_after_s: Some(seconds.max(RETRY_AFTER_S)), ..problem }
}
