//! Metrics of decisions: counted by policy and outcome, in advance so that counting takes no look-up. Never by subject.

use forebay_telemetry::metrics::{Core, Counter, Desc, Family, Registry};

use crate::refusal::{ALLOWED, OUTCOMES, Refusal};

const DECISIONS: Desc<2> =
    Desc::new("auth_decisions", "Requests to protected routes, by what was decided.", ["policy", "outcome"]);
const CACHED: Desc<1> =
    Desc::new("auth_cache_hits", "Requests whose caller was remembered from an earlier one.", ["policy"]);

/// The families of all policies.
#[derive(Clone)]
pub struct AuthFamilies {
    decisions: Family<Counter, 2>,
    cached: Family<Counter, 1>,
}

impl AuthFamilies {
    /// Declares them; declaring them again yields the same.
    pub fn new(registry: &Registry) -> AuthFamilies {
        AuthFamilies { decisions: registry.counters(DECISIONS), cached: registry.counters(CACHED) }
    }

    /// What a policy holds.
    pub fn policy(&self, name: &str) -> AuthMetrics {
        AuthMetrics {
            outcomes: OUTCOMES.map(|outcome| self.decisions.series([name, outcome])),
            cached: self.cached.series([name]),
        }
    }
}

/// The counters of one policy.
pub struct AuthMetrics {
    outcomes: [Counter; OUTCOMES.len()],
    cached: Counter,
}

impl AuthMetrics {
    /// Counts a decision.
    pub fn record(&self, core: Core, refusal: Option<&Refusal>) {
        let outcome = refusal.map_or(ALLOWED, Refusal::outcome);
        let known = OUTCOMES.iter().position(|known| *known == outcome).unwrap_or(OUTCOMES.len() - 1);
        self.outcomes[known].inc(core);
    }

    /// Counts a caller that was remembered.
    pub fn record_cached(&self, core: Core) {
        self.cached.inc(core);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::{Flaw, Silence};

    #[test]
    fn every_outcome_has_a_series_of_its_own() {
        let flaws = [
            Flaw::Malformed,
            Flaw::TooLarge,
            Flaw::Extension,
            Flaw::Algorithm,
            Flaw::Type,
            Flaw::Key,
            Flaw::UnknownKey,
            Flaw::Signature,
            Flaw::Expired,
            Flaw::TooEarly,
            Flaw::Issuer,
            Flaw::Audience,
            Flaw::Claim("a".into()),
            Flaw::Unknown,
        ];
        let refusals = [
            Refusal::Missing,
            Refusal::Repeated,
            Refusal::Scope { missing: "a".into() },
            Refusal::Denied { status: 401, challenge: None },
            Refusal::SourceDown,
            Refusal::Busy,
        ];
        let silences = Silence::ALL.map(Refusal::from);
        let refusals = refusals.into_iter().chain(silences);
        let outcomes = refusals.chain(flaws.into_iter().map(Refusal::from));
        let mut outcomes: Vec<&str> = outcomes.map(|refusal| refusal.outcome()).collect();
        outcomes.extend([ALLOWED, "other"]);
        outcomes.sort_unstable();
        let mut known = OUTCOMES;
        known.sort_unstable();
        assert_eq!(outcomes, known);
    }
}
