//! Metrics of decisions: counted by policy, kind and outcome, in advance so that counting takes no look-up.

use forebay_telemetry::metrics::{Core, Counter, Desc, Family, Registry};

use crate::decision::{Decision, Kind, Outcome, Reason};

const DECISIONS: Desc<3> = Desc::new(
    "cors_decisions",
    "Requests of pages of other origins, by what was decided.",
    ["policy", "kind", "outcome"],
);
const STRIPPED: Desc<1> = Desc::new(
    "cors_upstream_fields_removed",
    "Response fields of the CORS protocol that a service sent itself.",
    ["policy"],
);

/// The families of all policies.
#[derive(Clone)]
pub struct CorsFamilies {
    decisions: Family<Counter, 3>,
    stripped: Family<Counter, 1>,
}

impl CorsFamilies {
    /// Declares them; declaring them again yields the same.
    pub fn new(registry: &Registry) -> CorsFamilies {
        CorsFamilies { decisions: registry.counters(DECISIONS), stripped: registry.counters(STRIPPED) }
    }

    /// What a policy holds.
    pub fn policy(&self, name: &str) -> CorsMetrics {
        let series = |kind: Kind| {
            let allowed = self.decisions.series([name, kind.text(), Outcome::Allowed.text()]);
            let denied = Reason::ALL
                .map(|reason| self.decisions.series([name, kind.text(), Outcome::Denied(reason).text()]));
            Series { allowed, denied }
        };
        CorsMetrics {
            preflight: series(Kind::Preflight),
            actual: series(Kind::Actual),
            stripped: self.stripped.series([name]),
        }
    }
}

/// The counters of one policy.
pub struct CorsMetrics {
    preflight: Series,
    actual: Series,
    stripped: Counter,
}

struct Series {
    allowed: Counter,
    denied: [Counter; Reason::ALL.len()],
}

impl CorsMetrics {
    /// Counts a decision; a request that is not CORS is none.
    pub fn record(&self, core: Core, decision: &Decision) {
        let series = match decision.kind() {
            Kind::Preflight => &self.preflight,
            Kind::Actual => &self.actual,
        };
        match decision.outcome() {
            Outcome::NotCors => {}
            Outcome::Allowed => series.allowed.inc(core),
            Outcome::Denied(reason) => series.denied[reason as usize].inc(core),
        }
    }

    /// Counts what [`crate::Edits::apply`] removed.
    pub fn record_stripped(&self, core: Core, fields: usize) {
        if fields > 0 {
            self.stripped.add(core, fields as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use forebay_telemetry::metrics::Exposition;

    use super::*;
    use crate::decision::Granted;

    #[test]
    fn decisions_are_counted_by_reason() {
        let registry = Registry::new(1);
        let core = registry.claim_core().expect("a core");
        let metrics = CorsFamilies::new(&registry).policy("shop");
        for reason in Reason::ALL {
            let outcome = Outcome::Denied(reason);
            metrics.record(core, &Decision { kind: Kind::Preflight, outcome, granted: Granted::Nobody });
        }
        metrics.record_stripped(core, 2);
        let text = registry.expose(Exposition::negotiate(Some("text/plain")));
        for reason in Reason::ALL {
            let line = format!(
                "cors_decisions_total{{policy=\"shop\",kind=\"preflight\",outcome=\"denied: {reason}\"}} 1"
            );
            assert!(text.contains(&line), "{text}");
        }
        assert!(text.contains("cors_upstream_fields_removed_total{policy=\"shop\"} 2"), "{text}");
    }
}
