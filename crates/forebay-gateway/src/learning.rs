//! What an attempt teaches: about the endpoint, for ejection and latency; about the service, for hedges.

use std::time::Duration;

use forebay_clock::Moment;
use forebay_discovery::Met;
use forebay_retry::Ending;

use crate::attempt::Outcome;
use crate::forward::Errand;
use crate::generation::Upstream;

/// How long an endpoint that could not be reached is left alone, where there is another.
pub(crate) const SUSPECT_TIME: Duration = Duration::from_secs(1);

impl Errand<'_> {
    /// Remembers how an attempt ended. What the client did says nothing about the service.
    pub(crate) fn learn(&self, upstream: &Upstream, outcome: &Outcome, began: Moment, number: u32) {
        let now = self.core.now();
        match outcome {
            Outcome::Answered(_, head, _) => {
                upstream.endpoint.live.trust();
                self.record(upstream, Met::Answer(head.status()), now - began);
                if let Some(latencies) = self.shared().state.latencies.as_ref().filter(|_| number == 1) {
                    latencies.record(now - began, now);
                }
                self.reached();
            }
            Outcome::Failed(ending, _) => {
                self.missed(upstream, *ending, now - began);
                if ending.was_sent() {
                    self.reached();
                }
            }
            Outcome::ClientGone | Outcome::Refused(_) => self.reached(),
        }
    }

    /// Remembers that an attempt was given up because another was faster.
    pub(crate) fn outrun(&self, upstream: &Upstream, began: Moment) {
        let now = self.core.now();
        if let Some(latency) = &upstream.latency {
            latency.observe(now, now - began);
        }
        // It would have taken longer still: left out, the percentile would creep towards the fast ones.
        if let Some(latencies) = &self.shared().state.latencies {
            latencies.record(now - began, now);
        }
    }

    /// Remembers that an attempt brought no response.
    fn missed(&self, upstream: &Upstream, ending: Ending, took: Duration) {
        upstream.metrics.failures.inc(self.core.metrics);
        let now = self.core.now();
        if ending != Ending::TimedOut {
            self.shared().live.suspect(&upstream.endpoint, now, now + SUSPECT_TIME);
        } else if self.is_in_a_hurry {
            // Or else a stranger could have endpoints ejected by giving them no time.
            return;
        }
        self.record(upstream, Met::Nothing, took);
    }

    fn record(&self, upstream: &Upstream, met: Met, took: Duration) {
        if let Some(latency) = &upstream.latency {
            match met {
                Met::Answer(status) if status < 500 => latency.observe(self.core.now(), took),
                _ => latency.observe_failure(self.core.now(), took),
            }
        }
        let Some(settings) = &self.service.definition.outlier else { return };
        let (live, shared) = (&upstream.endpoint.live, self.shared());
        let Some(ejection) = shared.live.record(live, settings, met, self.core.now()) else { return };
        shared.metrics.ejections_by(ejection.cause).inc(self.core.metrics);
        tracing::warn!(
            service = &*self.service.name,
            endpoint = %upstream.endpoint.endpoint.address,
            cause = %ejection.cause,
            for_s = ejection.until.since(self.core.now()).as_secs(),
            "endpoint is left alone"
        );
    }

    fn reached(&self) {
        if let Some(keyed) = &self.keyed {
            keyed.reached();
        }
    }
}
