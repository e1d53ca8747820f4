//! What the registry says in the log, only what somebody may want to do something about; and what it counts.

use forebay_store::StoreError;
use forebay_telemetry::metrics::{Counter, Desc, Family, Registry as Metrics};

/// Stands for requests that came to no route.
const NO_ROUTE: &str = "none";

const REQUESTS: Desc<2> =
    Desc::new("forebay_registry_requests", "Requests to the registry's listener.", ["route", "status"]);

/// Counts requests over HTTP. Routes and statuses are few, so what clients send does not make series.
pub(crate) struct Requests(Family<Counter, 2>);

impl Requests {
    pub(crate) fn new(metrics: &Metrics) -> Requests {
        Requests(metrics.counters(REQUESTS))
    }

    pub(crate) fn answered(&self, route: Option<&str>, status: u16) {
        self.0.series([route.unwrap_or(NO_ROUTE), &status.to_string()]).add_shared(1);
    }
}

pub(crate) fn row_unreadable(row: &str, error: &StoreError) {
    tracing::warn!(row, %error, "a stored part of the registry is left out; it has to be registered again");
}

pub(crate) fn not_stored(error: &StoreError) {
    tracing::error!(%error, "the registry cannot be stored; what changes now would be gone after a restart");
}

pub(crate) fn stored_again() {
    tracing::info!("the registry is stored again");
}

pub(crate) fn sharing_lost(place: &str, error: &StoreError) {
    tracing::warn!(place, %error, "the registry's shared store cannot be used; other nodes stay as last known");
}

pub(crate) fn sharing(place: &str) {
    tracing::info!(place, "the registry is shared with other nodes");
}

pub(crate) fn name_taken(name: &str, id: &str, place: &str) {
    tracing::error!(
        node = name,
        other_id = id,
        place,
        "another process is registered under this node's name, so nothing is shared; \
         give this one another name with `[registry] node`, or stop the other"
    );
}

pub(crate) fn node_gone(name: &str) {
    tracing::warn!(node = name, "node does not renew its lease; its instances count as critical");
}

pub(crate) fn node_back(name: &str) {
    tracing::info!(node = name, "node renews its lease again");
}
