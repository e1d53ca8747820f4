//! A plan joined with the live state it finds: shared once, then again on each core with what no other core may touch.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_auth::{AuthMetrics, Material, Silence};
use forebay_balance::{Balancer, Candidate, Fleet, Identity, PeakEwma, Policy};
use forebay_clock::Moment;
use forebay_discovery::{EndpointId, LiveEndpoint, LiveService};
use forebay_http::client::TlsTarget;
use forebay_retry::LocalBudget;
use rustls::pki_types::ServerName;

use crate::cors::SharedCors;
use crate::fleet::Latest;
use crate::kept::ServiceState;
use crate::plan::{Plan, Service};
use crate::rarely::Rarely;
use crate::rate_limit::LiveLimit;
use crate::sources::{Held, LiveSource};
use crate::telemetry::{EndpointMetrics, Families, RouteMetrics, ServiceMetrics};

/// One configuration in force, as all cores share it. Immutable; swapped whole.
pub struct Generation {
    /// Counts up from 1 with every accepted configuration.
    pub number: u64,
    /// What is configured.
    pub plan: Plan,
    /// By the places of the plan's services.
    pub(crate) services: Vec<SharedService>,
    /// By the places of the plan's routes, and one more for requests that matched none.
    pub(crate) routes: Vec<RouteMetrics>,
    /// By the places of the plan's routes.
    pub(crate) limits: Vec<Option<LiveLimit>>,
    /// By the places of the plan's policies.
    pub(crate) cors: Vec<SharedCors>,
    /// By the places of the plan's policies of who calls.
    pub(crate) auth: Vec<SharedAuth>,
    pub(crate) families: Families,
}

/// What all cores share of a policy of who calls.
pub(crate) struct SharedAuth {
    pub(crate) metrics: AuthMetrics,
    /// What it decides by, where it needs something.
    pub(crate) live: Option<Arc<LiveSource>>,
    /// That a service which decides is silent, said now and then, for each kind of silence by itself.
    pub(crate) silences: [Rarely; Silence::ALL.len()],
}

/// What all cores share of a service.
pub(crate) struct SharedService {
    pub(crate) live: Arc<LiveService>,
    pub(crate) state: ServiceState,
    pub(crate) metrics: ServiceMetrics,
    /// Brought up to date by the first core that needs it; a lock only when the endpoints have changed.
    pub(crate) fleet: Mutex<Option<Latest>>,
    /// The one whose tables were replaced last, so that no core is the last to hold them: to free megabytes takes a millisecond.
    pub(crate) retired: Mutex<Option<Arc<Fleet<Arc<Upstream>>>>>,
    /// Counts the fleets that were put in force since: cores look here whether theirs is the latest.
    pub(crate) settled: AtomicU64,
}

impl SharedService {
    /// Builds what a fleet put together on the data path has left out: the tables of hashing policies, which take up to
    /// a quarter of a second for ten thousand endpoints. For a thread that nobody waits for, now and then.
    pub(crate) fn settle(&self) {
        // Without the lock: cores may need it meanwhile.
        let Some(mut settled) = self.unsettled().map(|latest| latest.settle()) else { return };
        let retired = {
            let mut latest = self.lock();
            let Some(latest) = &mut *latest else { return };
            // Its tables are nearer to the endpoints there are now than those of before.
            settled.catch_up(latest);
            std::mem::replace(latest, settled)
        };
        self.settled.fetch_add(1, Ordering::Release);
        *self.retired.lock().unwrap_or_else(PoisonError::into_inner) = Some(retired.fleet().clone());
    }

    /// The latest fleet, if its tables are not built for exactly its endpoints.
    fn unsettled(&self) -> Option<Latest> {
        self.lock().as_ref().filter(|latest| !latest.fleet().is_settled()).cloned()
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.lock().as_ref().is_none_or(|latest| latest.fleet().is_settled())
    }

    /// The latest endpoints and their version. Where they have changed, whoever comes first brings the fleet up to date; what
    /// has not changed is taken from the one before.
    fn latest(&self, plan: &Service, families: &Families) -> (u64, Arc<Fleet<Arc<Upstream>>>) {
        let set = self.live.latest();
        let mut latest = self.lock();
        let make = |endpoint: &LiveEndpoint| Arc::new(upstream(endpoint, plan, self, families));
        let latest = match &mut *latest {
            Some(latest) => {
                // Another core may have gone on to a later one meanwhile.
                if latest.version() < set.version() {
                    latest.follow(set, make);
                }
                latest
            }
            none => none.insert(Latest::new(plan.balance.clone(), set, make)),
        };
        (latest.version(), latest.fleet().clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Latest>> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A generation on one core.
pub(crate) struct CoreGeneration {
    pub(crate) shared: Arc<Generation>,
    pub(crate) services: Vec<CoreService>,
    /// What each policy of who calls decides by, as this core last saw it.
    held: Vec<RefCell<Held>>,
}

/// A service on one core.
pub(crate) struct CoreService {
    upstreams: RefCell<Rc<Upstreams>>,
    pub(crate) budget: LocalBudget,
}

/// The endpoints of a service at one version. A request keeps the one it began with.
pub(crate) struct Upstreams {
    version: u64,
    settled: u64,
    pub(crate) balancer: Balancer<Arc<Upstream>>,
}

/// One endpoint as cores send requests to it.
pub(crate) struct Upstream {
    pub(crate) identity: Identity,
    pub(crate) endpoint: LiveEndpoint,
    pub(crate) tls: Option<TlsTarget>,
    pub(crate) metrics: EndpointMetrics,
    /// Where the policy asks for it.
    pub(crate) latency: Option<Arc<PeakEwma>>,
}

impl Upstream {
    pub(crate) fn id(&self) -> EndpointId {
        self.endpoint.live.id()
    }

    /// Whether nothing has changed about the endpoint since.
    pub(crate) fn is_of(&self, endpoint: &LiveEndpoint) -> bool {
        Arc::ptr_eq(&self.endpoint.endpoint, &endpoint.endpoint)
    }
}

impl Candidate for Upstream {
    fn identity(&self) -> Identity {
        self.identity
    }

    fn weight(&self) -> NonZeroU32 {
        NonZeroU32::new(self.endpoint.endpoint.weight).unwrap_or(NonZeroU32::MIN)
    }

    fn priority(&self) -> u16 {
        self.endpoint.endpoint.priority
    }

    fn zone(&self) -> Option<&str> {
        self.endpoint.endpoint.zone.as_deref()
    }

    fn in_flight(&self) -> u32 {
        self.endpoint.live.in_flight()
    }

    fn is_eligible(&self, now: Moment) -> bool {
        self.endpoint.live.is_eligible(now)
    }

    fn healthy_since(&self) -> Option<Moment> {
        Some(self.endpoint.live.healthy_since())
    }

    fn latency(&self) -> Option<&PeakEwma> {
        self.latency.as_deref()
    }
}

impl Generation {
    /// Puts all fleets together, tables included, so that no core has to when it takes the generation over.
    pub(crate) fn prepare(&self) {
        for (service, plan) in self.services.iter().zip(&self.plan.services) {
            service.latest(plan, &self.families);
        }
    }

    /// Whether fleets wait for tables.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.services.iter().all(SharedService::is_settled)
    }

    pub(crate) fn settle(&self) {
        self.services.iter().for_each(SharedService::settle);
    }
}

impl CoreGeneration {
    pub(crate) fn new(shared: Arc<Generation>, rng: &mut fastrand::Rng) -> CoreGeneration {
        let services = shared.services.iter().zip(&shared.plan.services);
        let services = services
            .map(|(service, plan)| CoreService {
                upstreams: RefCell::new(Rc::new(upstreams(service, plan, &shared.families, None, rng))),
                budget: LocalBudget::new(service.state.budget.clone()),
            })
            .collect();
        let held = shared.auth.iter().map(|_| RefCell::default()).collect();
        CoreGeneration { shared, services, held }
    }

    /// What a policy decides by, if it may still be used: one atomic load and a comparison unless it changed.
    pub(crate) fn material(&self, place: usize, now: Moment) -> Option<Arc<Material>> {
        let live = self.shared.auth[place].live.as_ref()?;
        let mut held = self.held[place].borrow_mut();
        if held.version != live.version() {
            *held = live.latest();
        }
        held.material.clone().filter(|_| now < held.until)
    }

    /// Of which version the material was that [`material`](CoreGeneration::material) gave last.
    pub(crate) fn material_version(&self, place: usize) -> u64 {
        self.held[place].borrow().version
    }

    /// The latest endpoints of a service: one atomic load and a comparison unless they changed.
    pub(crate) fn upstreams(&self, service: usize, now: Moment, rng: &mut fastrand::Rng) -> Rc<Upstreams> {
        let shared = &self.shared.services[service];
        let mut latest = self.services[service].upstreams.borrow_mut();
        let is_latest = latest.version == shared.live.version()
            && latest.settled == shared.settled.load(Ordering::Acquire);
        if !is_latest {
            let plan = &self.shared.plan.services[service];
            let before = (&latest.balancer, now);
            *latest = Rc::new(upstreams(shared, plan, &self.shared.families, Some(before), rng));
        }
        latest.clone()
    }
}

fn upstreams(
    service: &SharedService,
    plan: &Service,
    families: &Families,
    before: Option<(&Balancer<Arc<Upstream>>, Moment)>,
    rng: &mut fastrand::Rng,
) -> Upstreams {
    let settled = service.settled.load(Ordering::Acquire);
    let (version, fleet) = service.latest(plan, families);
    let balancer = match before {
        Some((before, now)) => before.succeed(fleet, now, rng),
        None => Balancer::new(fleet, rng),
    };
    Upstreams { version, settled, balancer }
}

fn upstream(live: &LiveEndpoint, plan: &Service, service: &SharedService, families: &Families) -> Upstream {
    let name = live.endpoint.tls.as_ref().and_then(|name| ServerName::try_from(name.to_string()).ok());
    let tls = name.zip(plan.tls.clone()).map(|(name, config)| TlsTarget { config, name });
    let metrics = families.endpoint(&plan.name, &live.endpoint.address.to_string());
    let identity = Identity::of(live.endpoint.address, live.endpoint.tls.as_deref());
    let latency = (plan.balance.policy == Policy::PeakEwma).then(|| service.state.peaks.of(live.live.id()));
    Upstream { identity, endpoint: live.clone(), tls, metrics, latency }
}
