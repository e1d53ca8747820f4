//! Everything an admin listener tells of, in small: a configuration with a secret, two services, a check.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use forebay_admin::{
    Admin, AdminSettings, AdminState, GenerationStatus, ReadinessCheck, Reload, Verdict, serve_admin,
};
use forebay_clock::Clock;
use forebay_config::{Inputs, Loaded, Secret, Settings, load};
use forebay_discovery::{
    Answer, Definitions, Discovery, Endpoint, HealthCheck, Place, Probe, ProbeFailure, Resolve,
    ResolveFailure, ServiceDefinition,
};
use forebay_http::date::DateCache;
use forebay_http::server::ServerCore;
use forebay_http::timer::Sweeper;
use forebay_shutdown::{Phase, Shutdown};
use forebay_telemetry::metrics::Registry;
use tokio::task::{JoinHandle, spawn_local};

use crate::client::Client;

pub(crate) const SECRET: &str = "correct horse battery staple";

#[derive(Debug, Settings)]
struct Root {
    /// The admin listener.
    admin: AdminSettings,
    /// Opens something.
    #[expect(dead_code, reason = "it is there to be hidden")]
    token: Option<Secret>,
}

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    discovery: Discovery,
    generation: Rc<RefCell<GenerationStatus>>,
    check: Rc<RefCell<Verdict>>,
    serving: RefCell<Option<JoinHandle<std::io::Result<()>>>>,
}

/// Runs a test beside a served admin listener, which must end in peace when the process stops.
pub(crate) fn with_house(test: impl AsyncFnOnce(&House)) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let house = House::open();
        test(&house).await;
        house.shutdown.enter(Phase::Stopped);
        house.served().await.unwrap();
    });
}

impl House {
    fn open() -> House {
        let clock = Clock::system();
        let loaded = configuration();
        let listener = std::net::TcpListener::bind(loaded.value.admin.listen).unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, discovery) = (Shutdown::new(), services(&clock));
        let status = GenerationStatus { number: 1, since: UNIX_EPOCH, last_reload: None };
        let generation = Rc::new(RefCell::new(status));
        let check = Rc::new(RefCell::new(Verdict::Ok("held".to_owned())));
        let state = AdminState {
            clock: clock.clone(),
            registry: Registry::new(1),
            shutdown: shutdown.clone(),
            discovery: discovery.clone(),
            configuration: Box::new(move || loaded.effective_redacted()),
            generation: {
                let generation = generation.clone();
                Box::new(move || generation.borrow().clone())
            },
            denied: Box::new(Vec::new),
            sparings: Box::new(Vec::new),
            auth: Box::new(Vec::new),
            checks: {
                let check = check.clone();
                let check: ReadinessCheck = Box::new(move || check.borrow().clone());
                vec![("state directory", check)]
            },
        };
        let core = ServerCore { sweeper: Sweeper::new(clock.clone()), dates: Rc::new(DateCache::new(clock)) };
        spawn_local(core.sweeper.clone().run());
        let serving = spawn_local(serve_admin(listener, Rc::new(Admin::new(state)), core));
        let serving = RefCell::new(Some(serving));
        House { address, shutdown, discovery, generation, check, serving }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Probes until every endpoint has its verdict.
    pub(crate) async fn probed(&self) {
        let mut changes = self.discovery.subscribe();
        let all_judged = async {
            while self.discovery.services().iter().any(|service| {
                service.latest().endpoints().iter().any(|one| one.live.health().text() == "unknown")
            }) {
                changes.recv().await.unwrap();
            }
        };
        self.discovery.run(&Unresolvable, &OnlyTheFirst, all_judged).await;
    }

    pub(crate) fn reject_reload(&self, errors: &str) {
        let reload = Reload { at: UNIX_EPOCH, outcome: Err(errors.to_owned()) };
        self.generation.borrow_mut().last_reload = Some(reload);
    }

    pub(crate) fn fail_check(&self, why: &str) {
        *self.check.borrow_mut() = Verdict::Failed(why.to_owned());
    }

    pub(crate) fn warn_check(&self, why: &str) {
        *self.check.borrow_mut() = Verdict::Warning(why.to_owned());
    }

    /// Waits for the end of the listener's service.
    pub(crate) async fn served(&self) -> std::io::Result<()> {
        let serving = self.serving.borrow_mut().take();
        match serving {
            Some(serving) => serving.await.unwrap(),
            None => Ok(()),
        }
    }
}

fn configuration() -> Loaded<Root> {
    let file = format!("token = \"{SECRET}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n");
    let read = move |_: &Path| Ok(file.clone().into_bytes());
    load(Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() }).unwrap()
}

fn services(clock: &Clock) -> Discovery {
    let service = |sources: &[&str]| ServiceDefinition {
        sources: sources.iter().map(|source| source.parse().unwrap()).collect(),
        health: Some(HealthCheck::http("/healthz")),
        ..ServiceDefinition::default()
    };
    let discovery = Discovery::new(clock.clone(), fastrand::Rng::with_seed(7));
    discovery.apply(Definitions::from([
        ("orders".into(), service(&["127.0.0.1:9001", "127.0.0.1:9002"])),
        ("payments".into(), service(&["127.0.0.1:9003"])),
    ]));
    discovery
}

/// Nothing here needs a name server.
struct Unresolvable;

impl Resolve for Unresolvable {
    async fn resolve(&self, place: &Place) -> Result<Answer, ResolveFailure> {
        Err(ResolveFailure::NoSuchName { name: place.to_string().into() })
    }
}

/// Finds the endpoint on port 9001 well and all others gone. Connects to none.
struct OnlyTheFirst;

impl Probe for OnlyTheFirst {
    fn probe(
        &self,
        endpoint: &Endpoint,
        _check: &HealthCheck,
    ) -> impl Future<Output = Result<(), ProbeFailure>> {
        let well = endpoint.address.port() == 9001;
        std::future::ready(if well { Ok(()) } else { Err(ProbeFailure::Refused) })
    }
}
