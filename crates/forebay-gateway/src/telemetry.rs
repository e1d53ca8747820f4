//! The gateway's metric families, and the handles that routes, services and endpoints hold.

use forebay_auth::{AuthFamilies, AuthMetrics};
use forebay_cors::{CorsFamilies, CorsMetrics};
use forebay_discovery::Cause;
use forebay_retry::Priority;
use forebay_telemetry::metrics::{
    Buckets, Counter, Desc, Family, Gauge, Grid, Histogram, MethodLabel, Registry, StatusClass, Unit,
};

const DURATION: Desc<3> = Desc::new(
    "http_server_request_duration_seconds",
    "From a request's head to the last byte of its response.",
    ["route", "method", "status_class"],
)
.unit(Unit::Seconds);
const REFUSED: Desc<1> =
    Desc::new("http_server_requests_refused", "Requests that were not valid HTTP, by problem.", ["problem"]);
const RATE_LIMITED: Desc<1> = Desc::new(
    "http_server_requests_rate_limited",
    "Requests refused because more came than the route's limit takes.",
    ["route"],
);
const FORGOTTEN: Desc<1> = Desc::new(
    "http_server_rate_limit_forgotten",
    "Callers forgotten before their burst was back, because there were too many to tell apart.",
    ["route"],
);
const CONNECTIONS: Desc<1> =
    Desc::new("http_server_connections", "Open client connections, by listener role.", ["role"]);
const ATTEMPTS: Desc<2> = Desc::new(
    "http_upstream_attempts",
    "Requests sent to an endpoint, retries included.",
    ["service", "endpoint"],
);
const FAILURES: Desc<2> = Desc::new(
    "http_upstream_failures",
    "Attempts that brought no response: refused, broken, timed out.",
    ["service", "endpoint"],
);
const RETRIES: Desc<1> = Desc::new("http_upstream_retries", "Attempts after the first.", ["service"]);
const DENIED: Desc<1> = Desc::new(
    "http_upstream_retries_denied",
    "Failed attempts that the retry budget left at that.",
    ["service"],
);
const PANICS: Desc<1> = Desc::new(
    "http_upstream_panic_picks",
    "Requests sent to an endpoint believed unhealthy, because all are.",
    ["service"],
);
const EJECTIONS: Desc<2> = Desc::new(
    "http_upstream_ejections",
    "Endpoints left alone for a while, by what they were found out by.",
    ["service", "cause"],
);
const HEDGES: Desc<1> =
    Desc::new("http_upstream_hedges", "Second attempts beside one that took long.", ["service"]);
const CUT_OFF: Desc<1> =
    Desc::new("http_upstream_cut_off", "Attempts that an open circuit breaker did not allow.", ["service"]);
const SHED: Desc<2> = Desc::new(
    "http_upstream_shed",
    "Requests refused because the service had as many in flight as it can work on.",
    ["service", "priority"],
);
const CONNECTS: Desc<1> =
    Desc::new("http_upstream_connects", "Connections opened to endpoints.", ["service"]);
const IDLE: Desc<0> =
    Desc::new("http_upstream_connections_idle", "Kept connections to endpoints that no request uses.", []);

/// What ejections are counted by.
const CAUSES: [&str; 3] = ["errors", "unreached", "rate"];

fn place(cause: Cause) -> usize {
    match cause {
        Cause::Errors(_) => 0,
        Cause::Unreached(_) => 1,
        Cause::Rate => 2,
    }
}

/// How often endpoints were left alone. Cores count what they find out; whoever hears of
/// [`Change::Ejected`](forebay_discovery::Change) counts that here.
#[derive(Clone)]
pub struct Ejections(Family<Counter, 2>);

impl Ejections {
    /// Declares them; declaring them again yields the same.
    pub fn new(registry: &Registry) -> Ejections {
        Ejections(registry.counters(EJECTIONS))
    }

    /// Counts one, on a thread that is no core's.
    pub fn count(&self, service: &str, cause: Cause) {
        self.0.series([service, CAUSES[place(cause)]]).add_shared(1);
    }
}

/// All families of the gateway.
#[derive(Clone)]
pub(crate) struct Families {
    duration: Family<Histogram, 3>,
    refused: Family<Counter, 1>,
    rate_limited: Family<Counter, 1>,
    forgotten: Family<Counter, 1>,
    connections: Family<Gauge, 1>,
    attempts: Family<Counter, 2>,
    failures: Family<Counter, 2>,
    retries: Family<Counter, 1>,
    denied: Family<Counter, 1>,
    panics: Family<Counter, 1>,
    ejections: Ejections,
    hedges: Family<Counter, 1>,
    cut_off: Family<Counter, 1>,
    shed: Family<Counter, 2>,
    connects: Family<Counter, 1>,
    idle: Family<Gauge, 0>,
    cors: CorsFamilies,
    auth: AuthFamilies,
}

impl Families {
    /// Declares them; declaring them again yields the same.
    pub(crate) fn new(registry: &Registry) -> Families {
        Families {
            duration: registry.histograms(DURATION, Buckets::HTTP),
            refused: registry.counters(REFUSED),
            rate_limited: registry.counters(RATE_LIMITED),
            forgotten: registry.counters(FORGOTTEN),
            connections: registry.gauges(CONNECTIONS),
            attempts: registry.counters(ATTEMPTS),
            failures: registry.counters(FAILURES),
            retries: registry.counters(RETRIES),
            denied: registry.counters(DENIED),
            panics: registry.counters(PANICS),
            ejections: Ejections::new(registry),
            hedges: registry.counters(HEDGES),
            cut_off: registry.counters(CUT_OFF),
            shed: registry.counters(SHED),
            connects: registry.counters(CONNECTS),
            idle: registry.gauges(IDLE),
            cors: CorsFamilies::new(registry),
            auth: AuthFamilies::new(registry),
        }
    }

    pub(crate) fn route(&self, route: &str) -> RouteMetrics {
        RouteMetrics { duration: self.duration.grid([route]) }
    }

    pub(crate) fn rate_limit(&self, route: &str) -> RateLimitMetrics {
        RateLimitMetrics {
            refused: self.rate_limited.series([route]),
            forgotten: self.forgotten.series([route]),
        }
    }

    pub(crate) fn service(&self, service: &str) -> ServiceMetrics {
        ServiceMetrics {
            retries: self.retries.series([service]),
            denied: self.denied.series([service]),
            panics: self.panics.series([service]),
            ejections: CAUSES.map(|cause| self.ejections.0.series([service, cause])),
            hedges: self.hedges.series([service]),
            cut_off: self.cut_off.series([service]),
            shed: Priority::ALL.map(|priority| self.shed.series([service, priority.text()])),
            connects: self.connects.series([service]),
        }
    }

    pub(crate) fn endpoint(&self, service: &str, endpoint: &str) -> EndpointMetrics {
        EndpointMetrics {
            attempts: self.attempts.series([service, endpoint]),
            failures: self.failures.series([service, endpoint]),
        }
    }

    pub(crate) fn cors(&self, policy: &str) -> CorsMetrics {
        self.cors.policy(policy)
    }

    pub(crate) fn auth(&self, policy: &str) -> AuthMetrics {
        self.auth.policy(policy)
    }

    pub(crate) fn refused(&self, problem: &str) -> Counter {
        self.refused.series([problem])
    }

    pub(crate) fn connections(&self, role: &str) -> Gauge {
        self.connections.series([role])
    }

    pub(crate) fn idle(&self) -> Gauge {
        self.idle.series([])
    }
}

/// What a route holds.
pub(crate) struct RouteMetrics {
    pub(crate) duration: Grid<Histogram, 3, (MethodLabel, StatusClass)>,
}

/// What a route with a limit holds.
pub(crate) struct RateLimitMetrics {
    pub(crate) refused: Counter,
    pub(crate) forgotten: Counter,
}

/// What a service holds.
#[derive(Clone)]
pub(crate) struct ServiceMetrics {
    pub(crate) retries: Counter,
    pub(crate) denied: Counter,
    pub(crate) panics: Counter,
    ejections: [Counter; CAUSES.len()],
    pub(crate) hedges: Counter,
    pub(crate) cut_off: Counter,
    shed: [Counter; Priority::ALL.len()],
    pub(crate) connects: Counter,
}

impl ServiceMetrics {
    pub(crate) fn ejections_by(&self, cause: Cause) -> &Counter {
        &self.ejections[place(cause)]
    }

    pub(crate) fn shed_of(&self, priority: Priority) -> &Counter {
        &self.shed[priority as usize]
    }
}

/// What an endpoint holds.
#[derive(Clone)]
pub(crate) struct EndpointMetrics {
    pub(crate) attempts: Counter,
    pub(crate) failures: Counter,
}

#[cfg(test)]
mod tests {
    use forebay_telemetry::metrics::Exposition;

    use super::*;

    #[test]
    fn ejections_are_counted_by_cause_whoever_finds_them_out() {
        let registry = Registry::new(1);
        let core = registry.claim_core().unwrap();
        Families::new(&registry).service("a").ejections_by(Cause::Errors(5)).inc(core);
        Ejections::new(&registry).count("a", Cause::Rate);
        Ejections::new(&registry).count("a", Cause::Rate);
        let text = registry.expose(Exposition::PrometheusText);
        for line in [
            "http_upstream_ejections_total{service=\"a\",cause=\"errors\"} 1",
            "http_upstream_ejections_total{service=\"a\",cause=\"unreached\"} 0",
            "http_upstream_ejections_total{service=\"a\",cause=\"rate\"} 2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }
}
