//! What the registry says in the log, only what somebody may want to do something about; and what it counts.

use domain::base::Rtype;
use domain::base::iana::OptRcode;
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

const DNS_QUERIES: Desc<2> = Desc::new(
    "forebay_registry_dns_queries",
    "Queries in DNS that the registry answered, by the type of record asked for and the code of the answer.",
    ["type", "code"],
);
/// Types that are told apart; whoever asks for others finds nothing here anyway.
const TYPES: [(Rtype, &str); 10] = [
    (Rtype::A, "A"),
    (Rtype::AAAA, "AAAA"),
    (Rtype::SRV, "SRV"),
    (Rtype::ANY, "ANY"),
    (Rtype::CNAME, "CNAME"),
    (Rtype::NS, "NS"),
    (Rtype::SOA, "SOA"),
    (Rtype::TXT, "TXT"),
    (Rtype::PTR, "PTR"),
    (Rtype::HTTPS, "HTTPS"),
];
/// Codes that answers have.
const CODES: [(OptRcode, &str); 6] = [
    (OptRcode::NOERROR, "NOERROR"),
    (OptRcode::NXDOMAIN, "NXDOMAIN"),
    (OptRcode::REFUSED, "REFUSED"),
    (OptRcode::FORMERR, "FORMERR"),
    (OptRcode::NOTIMP, "NOTIMP"),
    (OptRcode::BADVERS, "BADVERS"),
];

/// Counts queries in DNS.
#[derive(Clone)]
pub(crate) struct Queries(Family<Counter, 2>);

impl Queries {
    pub(crate) fn new(metrics: &Metrics) -> Queries {
        Queries(metrics.counters(DNS_QUERIES))
    }

    /// `kind` is that of the question, if there was one.
    pub(crate) fn answered(&self, kind: Option<Rtype>, code: OptRcode) {
        let kind = kind.map_or("none", |kind| word(&TYPES, kind));
        self.0.series([kind, word(&CODES, code)]).add_shared(1);
    }
}

/// What a label says; what nobody tells apart is one.
fn word<T: PartialEq>(known: &[(T, &'static str)], value: T) -> &'static str {
    known.iter().find(|(one, _)| *one == value).map_or("other", |(_, word)| word)
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
