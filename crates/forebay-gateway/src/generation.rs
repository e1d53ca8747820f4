//! A plan joined with the live state it finds: shared once, then again on each core with what no other core may touch.

use std::cell::RefCell;
use std::collections::HashMap;
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
use crate::kept::ServiceState;
use crate::plan::{Plan, Service};
use crate::rarely::Rarely;
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
    /// Built by the first core that needs it; a lock only when the endpoints have changed.
    pub(crate) fleet: Mutex<Option<Latest>>,
    /// Counts the fleets that were put in force since: cores look here whether theirs is the latest.
    pub(crate) settled: AtomicU64,
}

/// A fleet and the version of the endpoints it is made of.
pub(crate) struct Latest {
    version: u64,
    fleet: Arc<Fleet<Arc<Upstream>>>,
}

impl SharedService {
    /// Builds what a fleet put together on the data path has left out: the tables of hashing policies, which take up to
    /// a quarter of a second for ten thousand endpoints. For the control thread, now and then.
    pub(crate) fn settle(&self) {
        let unsettled = |latest: &&Latest| !latest.fleet.is_settled();
        let found =
            self.lock().as_ref().filter(unsettled).map(|latest| (latest.version, latest.fleet.clone()));
        let Some((version, fleet)) = found else { return };
        // Without the lock: cores may need it meanwhile.
        let settled = Arc::new(fleet.resettle(fleet.endpoints().to_vec()));
        let mut latest = self.lock();
        if latest.as_ref().is_some_and(|latest| latest.version == version) {
            *latest = Some(Latest { version, fleet: settled });
            self.settled.fetch_add(1, Ordering::Release);
        }
    }

    /// The latest endpoints and their version. Where they have changed, whoever comes first puts the fleet together; what has
    /// not changed is taken from the one before.
    fn latest(&self, plan: &Service, families: &Families) -> (u64, Arc<Fleet<Arc<Upstream>>>) {
        let set = self.live.latest();
        let mut latest = self.lock();
        let before = latest.as_ref().map(|latest| (latest.version, &latest.fleet));
        let fleet = match before {
            // Another core may have built a later one meanwhile.
            Some((version, fleet)) if version >= set.version() => return (version, fleet.clone()),
            Some((_, fleet)) => {
                let make = |endpoint: &LiveEndpoint| upstream(endpoint, plan, self, families);
                fleet.succeed(successors(fleet.endpoints(), set.endpoints(), make))
            }
            None => {
                let make = |endpoint| Arc::new(upstream(endpoint, plan, self, families));
                Fleet::new(plan.balance.clone(), set.endpoints().iter().map(make).collect())
            }
        };
        let fleet = Arc::new(fleet);
        *latest = Some(Latest { version: set.version(), fleet: fleet.clone() });
        (set.version(), fleet)
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
    identity: Identity,
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
}

impl CoreGeneration {
    pub(crate) fn new(shared: Arc<Generation>, rng: &mut fastrand::Rng) -> CoreGeneration {
        let services = shared.services.iter().zip(&shared.plan.services);
        let services = services
            .map(|(service, plan)| CoreService {
                upstreams: RefCell::new(Rc::new(upstreams(service, plan, &shared.families, rng))),
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

    /// The latest endpoints of a service: one atomic load and a comparison unless they changed.
    pub(crate) fn upstreams(&self, service: usize, rng: &mut fastrand::Rng) -> Rc<Upstreams> {
        let shared = &self.shared.services[service];
        let mut latest = self.services[service].upstreams.borrow_mut();
        let is_latest = latest.version == shared.live.version()
            && latest.settled == shared.settled.load(Ordering::Acquire);
        if !is_latest {
            *latest =
                Rc::new(upstreams(shared, &self.shared.plan.services[service], &self.shared.families, rng));
        }
        latest.clone()
    }
}

fn upstreams(
    service: &SharedService,
    plan: &Service,
    families: &Families,
    rng: &mut fastrand::Rng,
) -> Upstreams {
    let settled = service.settled.load(Ordering::Acquire);
    let (version, fleet) = service.latest(plan, families);
    Upstreams { version, settled, balancer: Balancer::new(fleet, rng) }
}

/// The upstreams of a set of endpoints: those of before, and new ones where an endpoint is new or described otherwise. One
/// set mostly differs from the next in one place, so what is the same is found by going along from both ends.
fn successors(
    before: &[Arc<Upstream>],
    endpoints: &[LiveEndpoint],
    make: impl Fn(&LiveEndpoint) -> Upstream,
) -> Vec<Arc<Upstream>> {
    let is_same = |(old, new): &(&Arc<Upstream>, &LiveEndpoint)| is_of(old, new);
    let head = before.iter().zip(endpoints).take_while(is_same).count();
    let (old, new) = (&before[head..], &endpoints[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(is_same).count();
    let (old, tail) = old.split_at(old.len() - tail);
    let known: HashMap<EndpointId, &Arc<Upstream>> = old.iter().map(|old| (old.id(), old)).collect();
    let between = new[..new.len() - tail.len()].iter().map(|new| {
        let old = known.get(&new.live.id()).filter(|old| is_of(old, new));
        old.map_or_else(|| Arc::new(make(new)), |old| Arc::clone(old))
    });
    before[..head].iter().cloned().chain(between).chain(tail.iter().cloned()).collect()
}

/// Whether nothing has changed about the endpoint since.
fn is_of(upstream: &Upstream, endpoint: &LiveEndpoint) -> bool {
    Arc::ptr_eq(&upstream.endpoint.endpoint, &endpoint.endpoint)
}

fn upstream(live: &LiveEndpoint, plan: &Service, service: &SharedService, families: &Families) -> Upstream {
    let name = live.endpoint.tls.as_ref().and_then(|name| ServerName::try_from(name.to_string()).ok());
    let tls = name.zip(plan.tls.clone()).map(|(name, config)| TlsTarget { config, name });
    let metrics = families.endpoint(&plan.name, &live.endpoint.address.to_string());
    let identity = Identity::of(live.endpoint.address, live.endpoint.tls.as_deref());
    let latency = (plan.balance.policy == Policy::PeakEwma).then(|| service.state.peaks.of(live.live.id()));
    Upstream { identity, endpoint: live.clone(), tls, metrics, latency }
}
