//! The admin listener's metrics: what is asked of it, and what it refuses.

use forebay_telemetry::metrics::{Counter, Desc, Family, Registry};

/// Stands for requests that came to no route.
const NO_ROUTE: &str = "none";

const REQUESTS: Desc<2> =
    Desc::new("forebay_admin_requests", "Requests to the admin listener.", ["route", "status"]);

/// Counts requests. Routes and statuses are few, so what clients send does not make series.
pub(crate) struct Telemetry {
    requests: Family<Counter, 2>,
}

impl Telemetry {
    pub(crate) fn new(registry: &Registry) -> Telemetry {
        Telemetry { requests: registry.counters(REQUESTS) }
    }

    pub(crate) fn answered(&self, route: Option<&str>, status: u16) {
        let status = status.to_string();
        self.requests.series([route.unwrap_or(NO_ROUTE), &status]).add_shared(1);
    }
}
