//! `/services`: every service with its endpoints and sources, as they are at this moment.

use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;
use forebay_discovery::{Health, LiveEndpoint, LiveService, SourceReport, Standing};
use forebay_http::problem::Problem;
use serde_json::{Value, json};

use crate::asked::{Asked, Format};
use crate::reply::Reply;
use crate::sparing::SparingView;
use crate::state::AdminState;
use crate::table::write_table;

pub(crate) fn services(state: &AdminState, asked: Asked<'_>) -> Result<Reply, Problem> {
    let format = asked.format()?;
    let views = views(state);
    Ok(match format {
        Format::Json => Reply::json(&json!({
            "services": views.iter().map(ServiceView::document).collect::<Vec<_>>(),
        })),
        Format::Text if views.is_empty() => Reply::text("no service is configured\n"),
        Format::Text => Reply::text(views.iter().map(ServiceView::text).collect::<Vec<_>>().join("\n")),
    })
}

/// All services at this moment, by name.
pub(crate) fn views(state: &AdminState) -> Vec<ServiceView> {
    let now = state.clock.now();
    let sparings = (state.sparings)();
    let view = |service: &Arc<LiveService>| {
        let sparing = sparings.iter().find(|sparing| *sparing.service == **service.name());
        let sparing = sparing.map(|sparing| SparingView::of(sparing, now));
        ServiceView { sparing, ..ServiceView::of(service, now) }
    };
    state.discovery.services().iter().map(view).collect()
}

/// A service at one moment.
#[derive(Debug)]
pub(crate) struct ServiceView {
    pub(crate) name: String,
    pub(crate) endpoints: Vec<EndpointView>,
    pub(crate) sources: Vec<SourceView>,
    /// Addresses beyond what a service may have.
    pub(crate) left_out: usize,
    /// Where it is known.
    pub(crate) sparing: Option<SparingView>,
}

/// An endpoint at one moment.
#[derive(Debug)]
pub(crate) struct EndpointView {
    pub(crate) address: String,
    pub(crate) health: Health,
    /// Its registry calls it critical.
    pub(crate) critical: bool,
    /// Its registry calls it ready.
    pub(crate) ready: bool,
    /// For how long.
    pub(crate) age: Duration,
    /// Whether requests go there while there is a choice.
    pub(crate) eligible: bool,
    pub(crate) in_flight: u32,
    pub(crate) reason: Option<String>,
}

/// A source at one moment.
#[derive(Debug)]
pub(crate) struct SourceView {
    pub(crate) source: String,
    pub(crate) state: &'static str,
    pub(crate) standing: String,
    pub(crate) addresses: usize,
}

impl ServiceView {
    fn of(service: &LiveService, now: Moment) -> ServiceView {
        let set = service.latest();
        ServiceView {
            name: service.name().to_string(),
            endpoints: set.endpoints().iter().map(|endpoint| EndpointView::of(endpoint, now)).collect(),
            sources: service.sources().iter().map(|report| SourceView::of(report, now)).collect(),
            left_out: set.left_out(),
            sparing: None,
        }
    }

    fn eligible(&self) -> usize {
        self.endpoints.iter().filter(|endpoint| endpoint.eligible).count()
    }

    /// Why no request goes there: no endpoint is eligible, or the breaker is open.
    pub(crate) fn trouble(&self) -> Option<String> {
        if self.eligible() > 0 {
            return self.sparing.as_ref().and_then(|sparing| sparing.trouble.clone());
        }
        if self.endpoints.is_empty() {
            let sources = self.sources.iter().map(|source| format!("{} {}", source.source, source.standing));
            return Some(because("no endpoint", sources));
        }
        let endpoints = self.endpoints.iter().map(|endpoint| {
            let why = endpoint.reason.as_deref().unwrap_or(endpoint.state());
            format!("{} {why}", endpoint.address)
        });
        Some(because(&format!("0 of {} endpoints eligible", self.endpoints.len()), endpoints))
    }

    fn document(&self) -> Value {
        let endpoint = |endpoint: &EndpointView| {
            json!({
                "address": endpoint.address,
                "health": endpoint.health.text(),
                "critical": endpoint.critical,
                "registry": endpoint.registry(),
                "for_seconds": endpoint.age.as_secs(),
                "eligible": endpoint.eligible,
                "in_flight": endpoint.in_flight,
                "reason": endpoint.reason,
            })
        };
        let source = |source: &SourceView| {
            json!({
                "source": source.source,
                "state": source.state,
                "standing": source.standing,
                "addresses": source.addresses,
            })
        };
        json!({
            "name": self.name,
            "endpoints": self.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
            "sources": self.sources.iter().map(source).collect::<Vec<_>>(),
            "left_out": self.left_out,
            "sparing": self.sparing.as_ref().map(|sparing| &sparing.document),
        })
    }

    fn text(&self) -> String {
        let count = self.endpoints.len();
        let plural = if count == 1 { "" } else { "s" };
        let mut text = format!("{}: {count} endpoint{plural}, {} eligible", self.name, self.eligible());
        if self.left_out > 0 {
            text.push_str(&format!("; {} more left out", self.left_out));
        }
        text.push('\n');
        if count > 0 {
            let heading = ["ENDPOINT", "HEALTH", "FOR", "ELIGIBLE", "IN FLIGHT", "REASON"];
            let rows = self.endpoints.iter().map(EndpointView::row);
            write_table(&mut text, &with_heading(heading, rows));
        }
        let heading = ["SOURCE", "ADDRESSES", "STANDING"];
        write_table(&mut text, &with_heading(heading, self.sources.iter().map(SourceView::row)));
        if let Some(sparing) = &self.sparing {
            write_table(&mut text, &with_heading(["SPARED BY", "STANDING"], sparing.rows.iter().cloned()));
        }
        text
    }
}

impl EndpointView {
    fn of(endpoint: &LiveEndpoint, now: Moment) -> EndpointView {
        let verdict = endpoint.live.verdict();
        let eligible = endpoint.live.is_eligible(now);
        let critical = verdict.critical.as_ref();
        let since = critical.map_or(verdict.since, |critical| critical.since);
        let reason = critical.map(|critical| critical.reason.to_string());
        let probe = verdict.reason.map(|reason| reason.to_string());
        let held = verdict.hold.filter(|hold| hold.until > now).map(|hold| {
            format!("held out for {}: up and down {} times", age(hold.until.since(now)), hold.falls)
        });
        let ejected = endpoint
            .live
            .ejection(now)
            .map(|ejection| format!("left alone for {}: {}", age(ejection.until.since(now)), ejection.cause));
        let suspect = !eligible && verdict.health.is_eligible();
        EndpointView {
            address: endpoint.endpoint.address.to_string(),
            health: verdict.health,
            critical: critical.is_some(),
            ready: endpoint.live.is_vouched_for(),
            age: now.since(since),
            eligible,
            in_flight: endpoint.live.in_flight(),
            reason: reason
                .or(probe)
                .or(held)
                .or(ejected)
                .or_else(|| suspect.then(|| "a request has just failed to reach it".to_owned())),
        }
    }

    /// The worse of what its registry and our own checks say; where nothing is checked here, its registry's word.
    fn state(&self) -> &'static str {
        match self.health {
            _ if self.critical => "critical",
            Health::Unknown if self.ready => "ready",
            health => health.text(),
        }
    }

    /// What its registry says, if it comes from one.
    fn registry(&self) -> Option<&'static str> {
        match (self.critical, self.ready) {
            (true, _) => Some("critical"),
            (false, true) => Some("ready"),
            (false, false) => None,
        }
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.address.clone(),
            self.state().to_owned(),
            age(self.age),
            if self.eligible { "yes" } else { "no" }.to_owned(),
            self.in_flight.to_string(),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}

impl SourceView {
    fn of(report: &SourceReport, now: Moment) -> SourceView {
        SourceView {
            source: report.source.to_string(),
            state: match report.standing {
                Standing::Static => "static",
                Standing::Unresolved { .. } => "unresolved",
                Standing::Fresh { .. } => "fresh",
                Standing::Stale { .. } => "stale",
                Standing::GivenUp { .. } => "given-up",
                Standing::Unheard => "unheard",
                Standing::Told { .. } => "told",
                Standing::Outdated { .. } => "outdated",
            },
            standing: report.standing.describe(now),
            addresses: report.targets,
        }
    }

    fn row(&self) -> Vec<String> {
        vec![self.source.clone(), self.addresses.to_string(), self.standing.clone()]
    }
}

fn with_heading<const N: usize>(
    heading: [&str; N],
    rows: impl Iterator<Item = Vec<String>>,
) -> Vec<Vec<String>> {
    std::iter::once(heading.map(str::to_owned).to_vec()).chain(rows).collect()
}

/// A summary and its reasons on one line.
fn because(summary: &str, reasons: impl Iterator<Item = String>) -> String {
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() { summary.to_owned() } else { format!("{summary}: {}", reasons.join("; ")) }
}

/// The two largest units: "42s", "3m 12s", "2d 4h".
pub(crate) fn age(age: Duration) -> String {
    let s = age.as_secs();
    match (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use forebay_retry::BreakerStanding;

    use super::*;
    use crate::state::Sparing;

    fn endpoint(address: &str, health: Health, reason: Option<&str>) -> EndpointView {
        EndpointView {
            address: address.to_owned(),
            health,
            critical: false,
            ready: false,
            age: Duration::from_secs(130),
            eligible: health.is_eligible(),
            in_flight: 3,
            reason: reason.map(str::to_owned),
        }
    }

    fn source(source: &str, state: &'static str, standing: &str, addresses: usize) -> SourceView {
        SourceView { source: source.to_owned(), state, standing: standing.to_owned(), addresses }
    }

    fn view(endpoints: Vec<EndpointView>, sources: Vec<SourceView>) -> ServiceView {
        ServiceView { name: "orders".to_owned(), endpoints, sources, left_out: 0, sparing: None }
    }

    fn shop() -> ServiceView {
        let endpoints = vec![
            endpoint("127.0.0.1:9001", Health::Healthy, None),
            endpoint("10.0.0.17:9000", Health::Unhealthy, Some("connection refused")),
            EndpointView {
                critical: true,
                eligible: false,
                ..endpoint("10.0.0.18:9000", Health::Unknown, Some("TTL expired"))
            },
            EndpointView { ready: true, ..endpoint("10.0.0.19:9000", Health::Unknown, None) },
        ];
        let sources = vec![
            source("127.0.0.1:9001", "static", "written in the configuration", 1),
            source("registry", "told", "5 instances, 1 critical, 1 draining", 4),
            source("orders.internal:9000", "fresh", "answered 4s ago", 1),
        ];
        let sparing = Sparing {
            service: "orders".to_owned(),
            breaker: Some(BreakerStanding::Open {
                since: Moment::START,
                until: Moment::START + Duration::from_secs(5),
                times: 1,
            }),
            concurrency: Some((6, 40)),
            retries: (7, 10, Duration::from_secs(1)),
        };
        let sparing = SparingView::of(&sparing, Moment::START + Duration::from_secs(2));
        ServiceView { sparing: Some(sparing), ..view(endpoints, sources) }
    }

    #[test]
    fn people_read_aligned_columns() {
        assert_eq!(shop().text(), include_str!("services.golden"));
    }

    #[test]
    fn a_service_without_endpoints_shows_why() {
        let empty = view(vec![], vec![source("orders.internal:9000", "unresolved", "not looked up yet", 0)]);
        assert_eq!(
            empty.text(),
            "orders: 0 endpoints, 0 eligible\n  \
             SOURCE                ADDRESSES  STANDING\n  \
             orders.internal:9000  0          not looked up yet\n"
        );
    }

    #[test]
    fn a_service_is_in_trouble_when_no_endpoint_is_eligible() {
        fn check(view: &ServiceView, expected: Option<&str>) {
            assert_eq!(view.trouble().as_deref(), expected);
        }
        check(&shop(), Some("left alone for 3s more: too many requests failed"));
        check(&ServiceView { sparing: None, ..shop() }, None);
        let dead = || endpoint("127.0.0.1:9001", Health::Unhealthy, Some("connection refused"));
        check(
            &view(vec![dead()], vec![]),
            Some("0 of 1 endpoints eligible: 127.0.0.1:9001 connection refused"),
        );
        let unresolved = source("orders.internal:9000", "unresolved", "not looked up yet", 0);
        check(&view(vec![], vec![unresolved]), Some("no endpoint: orders.internal:9000 not looked up yet"));
        check(&view(vec![], vec![]), Some("no endpoint"));
    }

    #[test]
    fn programs_read_the_same() {
        let document = shop().document();
        assert_eq!(
            document["endpoints"][1],
            json!({
                "address": "10.0.0.17:9000",
                "health": "unhealthy",
                "critical": false,
                "registry": null,
                "for_seconds": 130,
                "eligible": false,
                "in_flight": 3,
                "reason": "connection refused",
            })
        );
        let registry = |at: usize| document["endpoints"][at]["registry"].clone();
        assert_eq!((registry(2), registry(3)), (json!("critical"), json!("ready")));
        assert_eq!(document["sources"][2]["state"], "fresh");
        let breaker = json!({ "state": "open", "for_seconds": 2, "until_seconds": 3, "times": 1 });
        assert_eq!(document["sparing"]["breaker"], breaker);
        assert_eq!(view(vec![], vec![]).document()["sparing"], Value::Null);
    }

    #[test]
    fn an_age_has_two_units() {
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3_600, "1h 0m"), (187_200, "2d 4h")]
        {
            assert_eq!(age(Duration::from_secs(seconds)), expected);
        }
    }
}
