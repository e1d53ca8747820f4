//! What outlives a configuration, found by name: what was learnt of a service or a policy stays true when another file is
//! put in force, unless the setting it was learnt under has changed.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebay_clock::Moment;
use forebay_cors::DeniedCalls;
use forebay_retry::{
    Breaker, BreakerSettings, BreakerStanding, Budget, BudgetSettings, Callers, Concurrency, Gcra, Latencies,
    LimitSettings, RateLimit,
};

use crate::latencies::PeakLatencies;
use crate::plan::{Plan, Service};

/// By the names of services, policies and routes.
#[derive(Default)]
pub(crate) struct Kept {
    services: BTreeMap<Arc<str>, KeptService>,
    denied: BTreeMap<Arc<str>, Arc<Mutex<DeniedCalls>>>,
    /// With the number of callers that are told apart.
    callers: BTreeMap<Arc<str>, Learnt<(Gcra, usize), Callers>>,
    /// By which callers find their places.
    hasher: RandomState,
}

/// What is kept of a service, besides its endpoints.
#[derive(Default)]
struct KeptService {
    budget: Learnt<BudgetSettings, Budget>,
    breaker: Learnt<BreakerSettings, Breaker>,
    concurrency: Learnt<LimitSettings, Concurrency>,
    /// By the percentile that a hedge waits for.
    latencies: Learnt<u32, Latencies>,
    peaks: Arc<PeakLatencies>,
}

/// A service's state, as all cores share it.
pub(crate) struct ServiceState {
    pub(crate) budget: Arc<Budget>,
    pub(crate) breaker: Option<Arc<Breaker>>,
    pub(crate) concurrency: Option<Arc<Concurrency>>,
    pub(crate) latencies: Option<Arc<Latencies>>,
    pub(crate) peaks: Arc<PeakLatencies>,
}

/// How a service is spared at one moment, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparing {
    /// Its name.
    pub service: Arc<str>,
    /// Where it has a breaker.
    pub breaker: Option<BreakerStanding>,
    /// Requests in flight and how many may be, where that is limited.
    pub concurrency: Option<(u32, u32)>,
    /// Retries that the present window may still have, of how many, and the window.
    pub retries: (u64, u64, Duration),
}

/// State, and the setting it was learnt under.
struct Learnt<S, T>(Option<(S, Arc<T>)>);

impl<S, T> Default for Learnt<S, T> {
    fn default() -> Self {
        Learnt(None)
    }
}

impl<S: Copy + PartialEq, T> Learnt<S, T> {
    /// The state under this setting: the one there is, or a new one.
    fn under(&mut self, setting: S, new: impl FnOnce(S) -> T) -> Arc<T> {
        match &self.0 {
            Some((known, state)) if *known == setting => state.clone(),
            _ => {
                let state = Arc::new(new(setting));
                self.0 = Some((setting, state.clone()));
                state
            }
        }
    }

    /// The state there is.
    fn state(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, state)| &**state)
    }

    /// The same for what may be off.
    fn if_set(&mut self, setting: Option<S>, new: impl FnOnce(S) -> T) -> Option<Arc<T>> {
        if setting.is_none() {
            self.0 = None;
        }
        setting.map(|setting| self.under(setting, new))
    }
}

impl Kept {
    /// Forgets what the plan does not name.
    pub(crate) fn retain(&mut self, plan: &Plan) {
        self.services.retain(|name, _| plan.services.iter().any(|service| service.name == *name));
        self.denied.retain(|name, _| plan.cors.iter().any(|policy| policy.name == *name));
        self.callers.retain(|name, _| {
            plan.routes.iter().any(|route| route.rate_limit.is_some() && route.name == *name)
        });
    }

    /// The state of a service under its present settings.
    pub(crate) fn service(&mut self, service: &Service, now: Moment) -> ServiceState {
        let kept = self.services.entry(service.name.clone()).or_default();
        let percentile = service.hedge.and_then(|hedge| hedge.percentile_permille());
        ServiceState {
            budget: kept.budget.under(service.budget, Budget::new),
            breaker: kept.breaker.if_set(service.breaker, Breaker::new),
            concurrency: kept.concurrency.if_set(service.limit, |limit| Concurrency::new(limit, now)),
            latencies: kept.latencies.if_set(percentile, Latencies::new),
            peaks: kept.peaks.clone(),
        }
    }

    /// What a route's callers have left of its limit, and by what they find it.
    pub(crate) fn callers(&mut self, route: &Arc<str>, limit: &RateLimit) -> (Arc<Callers>, RandomState) {
        let kept = self.callers.entry(route.clone()).or_default();
        let setting = (limit.gcra(), limit.callers_max());
        let callers = kept.under(setting, |(gcra, callers_max)| Callers::new(gcra, callers_max));
        (callers, self.hasher.clone())
    }

    /// How every service is spared.
    pub(crate) fn sparings(&self, now: Moment) -> Vec<Sparing> {
        let sparing = |(name, kept): (&Arc<str>, &KeptService)| {
            let budget = kept.budget.state()?;
            let (left, of) = budget.left(now);
            Some(Sparing {
                service: name.clone(),
                breaker: kept.breaker.state().map(|breaker| breaker.standing(now)),
                concurrency: kept.concurrency.state().map(|limit| (limit.in_flight(), limit.limit())),
                retries: (left, of, budget.settings().window),
            })
        };
        self.services.iter().filter_map(sparing).collect()
    }

    /// Who was denied by a policy.
    pub(crate) fn denied(&mut self, policy: &Arc<str>) -> Arc<Mutex<DeniedCalls>> {
        self.denied.entry(policy.clone()).or_default().clone()
    }

    /// All that policies have denied.
    pub(crate) fn denied_calls(&self) -> Vec<(Arc<str>, DeniedCalls)> {
        let read =
            |denied: &Mutex<DeniedCalls>| denied.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.denied.iter().map(|(name, denied)| (name.clone(), read(denied))).collect()
    }
}
