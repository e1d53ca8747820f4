//! The gateway as its owner holds it: started once, reconfigured any number of times, stopped once.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use forebay_clock::{Clock, Moment};
use forebay_cors::DeniedCalls;
use forebay_discovery::{Definitions, Discovery, Health};
use forebay_http::date::DateCache;
use forebay_http::listening::Broken;
use forebay_http::server::ServerCore;
use forebay_http::timer::Sweeper;
use forebay_idempotency::Keys;
use forebay_shutdown::Shutdown;
use forebay_telemetry::TelemetryError;
use forebay_telemetry::access::AccessLog;
use forebay_telemetry::metrics::{Desc, Registry};
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::core::Core;
use crate::cors::SharedCors;
use crate::generation::{Generation, SharedAuth, SharedService};
use crate::internal::WayIn;
use crate::kept::{Kept, Sparing};
use crate::listener::ListenError;
use crate::passwords::Passwords;
use crate::plan::Plan;
use crate::ports::ServicePorts;
use crate::probe::ProbeTls;
use crate::rate_limit::LiveLimit;
use crate::sources::Sources;
use crate::stage::Role;
use crate::telemetry::Families;
use crate::worker::{Message, Worker};

/// Messages that wait for a core: reloads, dealt connections, internal requests. A core that is this far behind
/// has no time for more.
const MAILBOX_MAX: usize = 1024;

/// What requests are labelled with that matched no route.
const NO_ROUTE: &str = "none";

/// What endpoints are labelled with that their registry calls so, whatever our own checks say.
const CRITICAL: &str = "critical";
/// How an endpoint counts that its registry calls ready, and that is not checked here.
const READY: &str = "ready";

const GENERATION: Desc<0> = Desc::new("forebay_generation", "Number of the configuration in force.", []);
const ENDPOINTS: Desc<2> = Desc::new(
    "forebay_endpoints",
    "Endpoints by service and what checks say of them.",
    ["service", "health"],
);

/// What the gateway works with and does not own.
#[derive(Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: Clock,
    /// All metrics; it has a shard for every worker.
    pub registry: Registry,
    /// Services and their endpoints.
    pub discovery: Discovery,
    /// How health probes speak TLS; set by every reload.
    pub probe_tls: ProbeTls,
    /// Says when to stop.
    pub shutdown: Shutdown,
    /// The way to the store of idempotency keys.
    pub keyring: Keyring,
    /// What policies of who calls decide by; somebody has to [`Sources::run`] it.
    pub sources: Sources,
}

/// The way to the store of idempotency keys, once there is one: a store is opened when the first route needs it. Without
/// it, requests with a key are refused.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Arc<OnceLock<Keys>>);

impl Keyring {
    /// Hands it to all cores; the first that is set stays.
    pub fn set(&self, keys: Keys) {
        let _ = self.0.set(keys);
    }

    /// The way, if there is one.
    pub fn get(&self) -> Option<&Keys> {
        self.0.get()
    }
}

/// Why the gateway could not start.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// The port of a service is not to be had.
    #[error(transparent)]
    ServicePort(#[from] ListenError),
    /// A listening socket could not be shared with a core.
    #[error("a listening socket could not be shared between cores")]
    Listener(#[source] io::Error),
    /// A thread or its runtime could not be started.
    #[error("a worker could not be started")]
    Worker(#[source] io::Error),
    /// The metrics registry was made for fewer workers.
    #[error("the workers could not be measured")]
    Telemetry(#[source] TelemetryError),
}

/// A running gateway.
pub struct Gateway {
    surroundings: Surroundings,
    families: Families,
    kept: Arc<Mutex<Kept>>,
    number: Arc<AtomicU64>,
    current: Mutex<Arc<Generation>>,
    ports: Mutex<ServicePorts>,
    mailboxes: Arc<[mpsc::Sender<Message>]>,
    broken: watch::Receiver<Option<Arc<Broken>>>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Gateway {
    /// Starts `workers` threads, which begin to serve at once.
    pub fn start(
        plan: Plan,
        listeners: &[TcpListener],
        workers: usize,
        access: Option<Arc<AccessLog>>,
        surroundings: Surroundings,
    ) -> Result<Gateway, GatewayError> {
        let families = Families::new(&surroundings.registry);
        let number = Arc::new(AtomicU64::new(0));
        observe(&surroundings, &number);
        surroundings.sources.observe(&surroundings.registry, &surroundings.clock);
        let passwords = Passwords::default();
        let kept = Arc::default();
        let ports = ServicePorts::default().prepare(&plan)?;
        let generation = Arc::new(generation(plan, &surroundings, &families, &kept, &number));
        let (mailboxes, inboxes): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(MAILBOX_MAX)).unzip();
        let mailboxes: Arc<[_]> = mailboxes.into();
        let loads: Arc<[AtomicUsize]> = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        let closing = Arc::new(AtomicBool::new(false));
        let (tell_broken, broken) = watch::channel(None);
        let tell_broken = Arc::new(tell_broken);
        let mut threads = Vec::new();
        for (index, mailbox) in inboxes.into_iter().enumerate() {
            let front = listeners.iter().map(|listener| Ok((listener.try_clone()?, Role::Front)));
            let front = front.collect::<io::Result<Vec<_>>>().map_err(GatewayError::Listener)?;
            let local = ports.share().map_err(GatewayError::Listener)?;
            let worker = Worker {
                index,
                listeners: front.into_iter().chain(local).collect(),
                mailbox,
                peers: mailboxes.clone(),
                loads: loads.clone(),
                phases: surroundings.shutdown.subscribe(),
                closing: closing.clone(),
                broken: tell_broken.clone(),
                connections: families.connections("gateway"),
                local_connections: families.connections("service-port"),
            };
            threads.push(start_worker(
                worker,
                generation.clone(),
                access.clone(),
                &surroundings,
                passwords.clone(),
            )?);
        }
        Ok(Gateway {
            surroundings,
            families,
            kept,
            number,
            current: Mutex::new(generation),
            ports: Mutex::new(ports),
            mailboxes,
            broken,
            threads,
        })
    }

    /// Puts another configuration in force. Requests under way keep the one they began with; no connection ends.
    ///
    /// # Errors
    /// When a service's port is not to be had; then everything stays as it was.
    pub async fn reload(&self, plan: Plan) -> Result<u64, GatewayError> {
        let (ports, is_same) = {
            let open = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
            let ports = open.prepare(&plan)?;
            let is_same = open.is_same(&ports);
            (ports, is_same)
        };
        let share = |_| if is_same { Ok(None) } else { ports.share().map(Some) };
        let shares = self.mailboxes.iter().map(share).collect::<io::Result<Vec<_>>>();
        let shares = shares.map_err(GatewayError::Listener)?;
        let next = Arc::new(generation(plan, &self.surroundings, &self.families, &self.kept, &self.number));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = next.clone();
        for (mailbox, ports) in self.mailboxes.iter().zip(shares) {
            // A core that has stopped needs no configuration.
            let _ = mailbox.send(Message::Adopt(next.clone(), ports)).await;
        }
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner) = ports;
        Ok(next.number)
    }

    /// Where the processes of this machine reach a service, if it has a local port.
    pub fn local_address(&self, service: &str) -> Option<SocketAddr> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).address(service)
    }

    /// The configuration in force.
    pub fn generation(&self) -> Arc<Generation> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is to be done now and then, off the data path and off every thread that others wait for, if there is
    /// something: tables take up to a quarter of a second for ten thousand endpoints. To be asked about twice a second.
    pub fn chores(&self) -> Option<impl FnOnce() + Send + use<>> {
        let generation = self.generation();
        generation.is_unsettled().then_some(move || generation.settle())
    }

    /// Says, whenever it is asked, which calls each CORS policy denied.
    pub fn denied_calls(&self) -> impl Fn() -> Vec<(Arc<str>, DeniedCalls)> + use<> {
        let kept = self.kept.clone();
        move || kept.lock().unwrap_or_else(PoisonError::into_inner).denied_calls()
    }

    /// Says, whenever it is asked, how each service is spared.
    pub fn sparings(&self) -> impl Fn(Moment) -> Vec<Sparing> + use<> {
        let kept = self.kept.clone();
        move |now| kept.lock().unwrap_or_else(PoisonError::into_inner).sparings(now)
    }

    /// Waits until a listener breaks; for ever while none does.
    pub fn broken(&self) -> impl Future<Output = Arc<Broken>> + use<> {
        let mut broken = self.broken.clone();
        async move {
            let told = broken.wait_for(Option::is_some).await.ok().and_then(|told| (*told).clone());
            match told {
                Some(broken) => broken,
                // The cores have stopped.
                None => std::future::pending().await,
            }
        }
    }

    /// The way in for Forebay's own requests.
    pub fn way_in(&self) -> WayIn {
        WayIn::new(self.mailboxes.clone())
    }

    /// Waits for the workers, which end when the shutdown has come to its end.
    pub fn join(self) -> io::Result<()> {
        drop(self.mailboxes);
        for thread in self.threads {
            thread.join().map_err(|_| io::Error::other("a worker panicked"))??;
        }
        Ok(())
    }
}

fn start_worker(
    worker: Worker,
    generation: Arc<Generation>,
    access: Option<Arc<AccessLog>>,
    surroundings: &Surroundings,
    passwords: Passwords,
) -> Result<JoinHandle<io::Result<()>>, GatewayError> {
    let surroundings = surroundings.clone();
    let body = move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(Default::default())?;
        let metrics = surroundings.registry.claim_core().map_err(io::Error::other)?;
        let server = ServerCore {
            sweeper: Sweeper::new(surroundings.clock.clone()),
            dates: Rc::new(DateCache::new(surroundings.clock.clone())),
        };
        let access = access.map(|access| access.writer(metrics));
        let rng = fastrand::Rng::new();
        let core = Rc::new(Core::new(server, generation, metrics, access, &surroundings, passwords, rng));
        runtime.block_on(worker.run(core))
    };
    std::thread::Builder::new().name("core".to_owned()).spawn(body).map_err(GatewayError::Worker)
}

/// Joins a plan with the live state that its names find.
fn generation(
    plan: Plan,
    surroundings: &Surroundings,
    families: &Families,
    kept: &Mutex<Kept>,
    number: &AtomicU64,
) -> Generation {
    let definitions: Definitions =
        plan.services.iter().map(|service| (service.name.clone(), service.definition.clone())).collect();
    surroundings.probe_tls.set(&plan);
    surroundings.discovery.apply(definitions);
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(&plan);
    let now = surroundings.clock.now();
    let services = plan.services.iter().filter_map(|service| {
        Some(SharedService {
            // Applied above, so it is there.
            live: surroundings.discovery.service(&service.name)?,
            state: kept.service(service, now),
            fleet: Mutex::default(),
            retired: Mutex::default(),
            settled: AtomicU64::new(0),
            metrics: families.service(&service.name),
        })
    });
    let services = services.collect();
    let names = plan.routes.iter().map(|route| &*route.name).chain([NO_ROUTE]);
    let routes = names.map(|name| families.route(name)).collect();
    let number = number.fetch_add(1, Ordering::Relaxed) + 1;
    let cors = plan
        .cors
        .iter()
        .map(|policy| SharedCors::new(families.cors(&policy.name), kept.denied(&policy.name)));
    let cors = cors.collect();
    let live = surroundings.sources.apply(&plan, now);
    let auth = plan.auth.iter().zip(live);
    let auth = auth.map(|(auth, live)| SharedAuth {
        metrics: families.auth(&auth.policy.name),
        live,
        silences: Default::default(),
    });
    let auth = auth.collect();
    let limits = plan.routes.iter().map(|route| {
        let limit = route.rate_limit.as_ref()?;
        let (callers, hasher) = kept.callers(&route.name, limit);
        Some(LiveLimit { callers, hasher, metrics: families.rate_limit(&route.name) })
    });
    let limits = limits.collect();
    let families = families.clone();
    let generation = Generation { number, plan, services, routes, limits, cors, auth, families };
    generation.prepare();
    generation
}

/// Values that are computed when somebody reads them.
fn observe(surroundings: &Surroundings, number: &Arc<AtomicU64>) {
    let number = number.clone();
    surroundings.registry.observe_gauges(GENERATION, move |values| {
        values.set([], number.load(Ordering::Relaxed) as f64);
    });
    let discovery = surroundings.discovery.clone();
    surroundings.registry.observe_gauges(ENDPOINTS, move |values| {
        for service in discovery.services() {
            let set = service.latest();
            let mut counts: BTreeMap<&str, u32> = ["unknown", READY, "healthy", "unhealthy", CRITICAL]
                .into_iter()
                .map(|health| (health, 0))
                .collect();
            for endpoint in set.endpoints() {
                let live = &endpoint.live;
                let health = match live.health() {
                    _ if live.is_critical() => CRITICAL,
                    Health::Unknown if live.is_vouched_for() => READY,
                    health => health.text(),
                };
                *counts.entry(health).or_default() += 1;
            }
            for (health, count) in counts {
                values.set([service.name(), health], f64::from(count));
            }
        }
    });
}
