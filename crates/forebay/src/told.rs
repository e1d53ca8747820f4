//! What the admin listener is told of the process it runs in.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use forebay_admin::{
    AdminState, AuthMaterial, Denied, GenerationStatus, ReadinessCheck, Reload, Sparing, Verdict,
};
use forebay_config::{Effective, Loaded};
use forebay_cors::DeniedCall;
use forebay_gateway::sources::SourceReport;
use forebay_gateway::{Gateway, Surroundings};
use forebay_registry::{Handle, Trouble};

use crate::root::Root;

/// The configuration in force and how the last reload went.
pub(crate) struct Told {
    effective: Effective,
    generation: GenerationStatus,
}

impl Told {
    pub(crate) fn new(loaded: &Loaded<Root>, number: u64) -> Told {
        let generation = GenerationStatus { number, since: SystemTime::now(), last_reload: None };
        Told { effective: loaded.effective_redacted(), generation }
    }

    pub(crate) fn accepted(&mut self, loaded: &Loaded<Root>, number: u64) {
        *self = Told::new(loaded, number);
        self.reloaded(Ok(()));
    }

    pub(crate) fn rejected(&mut self, errors: String) {
        self.reloaded(Err(errors));
    }

    fn reloaded(&mut self, outcome: Result<(), String>) {
        self.generation.last_reload = Some(Reload { at: SystemTime::now(), outcome });
    }

    /// What the admin listener asks when it is asked.
    pub(crate) fn admin_state(
        told: &Rc<RefCell<Told>>,
        gateway: &Gateway,
        surroundings: &Surroundings,
        registered: Option<&Handle>,
    ) -> AdminState {
        let (effective, generation) = (told.clone(), told.clone());
        AdminState {
            clock: surroundings.clock.clone(),
            registry: surroundings.registry.clone(),
            shutdown: surroundings.shutdown.clone(),
            discovery: surroundings.discovery.clone(),
            configuration: Box::new(move || effective.borrow().effective.clone()),
            generation: Box::new(move || generation.borrow().generation.clone()),
            denied: denied(gateway),
            sparings: sparings(gateway, surroundings),
            auth: auth(surroundings),
            checks: registered.map(stores).unwrap_or_default(),
        }
    }
}

fn sparings(gateway: &Gateway, surroundings: &Surroundings) -> Box<dyn Fn() -> Vec<Sparing>> {
    let (sparings, clock) = (gateway.sparings(), surroundings.clock.clone());
    Box::new(move || {
        let sparing = |sparing: forebay_gateway::Sparing| {
            let forebay_gateway::Sparing { service, breaker, concurrency, retries } = sparing;
            Sparing { service: service.to_string(), breaker, concurrency, retries }
        };
        sparings(clock.now()).into_iter().map(sparing).collect()
    })
}

fn auth(surroundings: &Surroundings) -> Box<dyn Fn() -> Vec<AuthMaterial>> {
    let (sources, clock) = (surroundings.sources.clone(), surroundings.clock.clone());
    Box::new(move || {
        let material = |SourceReport { policy, age, is_usable, failing }| AuthMaterial {
            policy: policy.to_string(),
            age,
            is_usable,
            failing: failing.map(|(since, why)| (since, why.into_string())),
        };
        sources.reports(clock.now()).into_iter().map(material).collect()
    })
}

/// What stands behind the registry. It goes on from memory without, so none of it takes the process out of rotation.
fn stores(registered: &Handle) -> Vec<(&'static str, ReadinessCheck)> {
    let check = |store: &'static str, means: &'static str| -> ReadinessCheck {
        let handle = registered.clone();
        Box::new(move || {
            let report = handle.stores().into_iter().find(|report| report.store == store);
            let Some(Trouble { since, error }) = report.and_then(|report| report.trouble) else {
                return Verdict::Ok(String::new());
            };
            let age = handle.clock().now().since(since).as_secs();
            Verdict::Warning(format!("failing for {age}s: {error}; {means}"))
        })
    };
    let named = |store| match store {
        "disk" => ("registry's state", check(store, "what registers now would be gone after a restart")),
        _ => ("registry's shared store", check(store, "other nodes stay as last known")),
    };
    registered.stores().into_iter().map(|report| named(report.store)).collect()
}

fn denied(gateway: &Gateway) -> Box<dyn Fn() -> Vec<Denied>> {
    let calls = gateway.denied_calls();
    Box::new(move || {
        let mut denied = Vec::new();
        for (policy, calls) in calls() {
            denied.extend(calls.most_frequent().into_iter().map(|call| {
                let DeniedCall { origin, method, headers, count } = call.clone();
                Denied { policy: policy.to_string(), origin, method, headers, count }
            }));
        }
        denied
    })
}
