//! A gateway in this process, from the text of a `forebay.toml`, and the control thread that it needs.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use forebay_auth::AuthSettings;
use forebay_clock::Clock;
use forebay_config::{Check, Inputs, Name, Settings, Spanned, load};
use forebay_cors::CorsSettings;
use forebay_discovery::file::FileReader;
use forebay_discovery::{Answer, Discovery, Part, Place, Resolve, ResolveFailure, Target};
use forebay_gateway::plan::Plan;
use forebay_gateway::planning::{Sections, plan};
use forebay_gateway::probe::{ProbeTls, Prober};
use forebay_gateway::settings::{GatewaySettings, RouteSettings, ServiceSettings, check_routes};
use forebay_gateway::sources::Sources;
use forebay_gateway::{Gateway, GatewayError, Keyring, Surroundings, check_auth};
use forebay_http::timer::Sweeper;
use forebay_shutdown::{Event, Machine, Phase, Shutdown, Signal, Summary};
use forebay_telemetry::metrics::Registry;
use tokio::runtime::Runtime;

use crate::PATIENCE;
use crate::client::Client;

/// The sections that a gateway reads.
#[derive(Clone, Debug, Settings)]
#[settings(check = Root::check)]
struct Root {
    /// As in the product.
    gateway: GatewaySettings,
    /// As in the product.
    service: BTreeMap<Name, ServiceSettings>,
    /// As in the product.
    route: Vec<Spanned<RouteSettings>>,
    /// As in the product.
    cors: BTreeMap<Name, CorsSettings>,
    /// As in the product.
    auth: BTreeMap<Name, AuthSettings>,
}

impl Root {
    fn check(&self, check: &mut Check<'_, '_>) {
        check_routes(&self.route, check);
        check_auth(&self.auth, &self.gateway, &self.route, check);
    }
}

/// Files by their names, as the configuration names them.
type Files<'f> = &'f [(&'f str, &'f [u8])];

/// A gateway that serves. Stops at once when dropped.
pub struct RunningGateway {
    address: SocketAddr,
    gateway: Option<Gateway>,
    surroundings: Surroundings,
    control: Option<JoinHandle<()>>,
    runtime: Runtime,
}

impl RunningGateway {
    /// Serves this configuration on a free port with one core; `gateway.listen` is not looked at.
    ///
    /// # Panics
    /// When the configuration is wrong, or nothing can be started.
    pub fn start(toml: &str) -> RunningGateway {
        RunningGateway::start_with(toml, &[], 1)
    }

    /// Serves with so many cores a configuration that names files.
    ///
    /// # Panics
    /// As [`RunningGateway::start`].
    pub fn start_with(toml: &str, files: Files<'_>, workers: usize) -> RunningGateway {
        let plan = planned(toml, files);
        let clock = Clock::system();
        let surroundings = Surroundings {
            clock: clock.clone(),
            registry: Registry::new(workers),
            discovery: Discovery::new(clock, fastrand::Rng::with_seed(1)),
            probe_tls: ProbeTls::default(),
            shutdown: Shutdown::new(),
            keyring: Keyring::default(),
            sources: Sources::default(),
        };
        let listener = forebay_gateway::listener::listen((Ipv4Addr::LOCALHOST, 0).into());
        let listener = listener.expect("loopback has no free port");
        let address = listener.local_addr().expect("a listener without address");
        let gateway = Gateway::start(plan, &[listener], workers, None, surroundings.clone());
        let gateway = gateway.unwrap_or_else(|error| panic!("{error}"));
        let control = {
            let surroundings = surroundings.clone();
            std::thread::spawn(move || control(&surroundings))
        };
        let runtime = runtime();
        RunningGateway { address, gateway: Some(gateway), surroundings, control: Some(control), runtime }
    }

    /// Serves everything from one service with this one endpoint.
    ///
    /// # Panics
    /// As [`RunningGateway::start`].
    pub fn before(endpoint: SocketAddr) -> RunningGateway {
        RunningGateway::start(&format!(
            "[service.a]\nendpoints = \"{endpoint}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
        ))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// The gateway itself.
    ///
    /// # Panics
    /// Never: it is there until dropped.
    pub fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("the gateway runs")
    }

    /// What it works with.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Waits until a service whose endpoints have names has one.
    ///
    /// # Panics
    /// When it gets none.
    pub fn wait_for_endpoints(&self, service: &str) {
        let discovery = &self.surroundings.discovery;
        let mut changes = discovery.subscribe();
        let has_endpoints =
            || discovery.service(service).is_some_and(|it| !it.latest().endpoints().is_empty());
        self.wait(async {
            while !has_endpoints() {
                // Having missed some is a reason to look again, too.
                let _ = changes.recv().await;
            }
        });
    }

    /// Puts another configuration in force; gives its number.
    ///
    /// # Panics
    /// When the configuration is wrong.
    pub fn reload(&self, toml: &str) -> u64 {
        self.try_reload(toml).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Puts another configuration in force if what it listens on can be had.
    ///
    /// # Errors
    /// As [`Gateway::reload`].
    ///
    /// # Panics
    /// When the configuration is wrong.
    pub fn try_reload(&self, toml: &str) -> Result<u64, GatewayError> {
        self.wait(self.gateway().reload(planned(toml, &[])))
    }

    /// Where the processes of this machine reach a service.
    ///
    /// # Panics
    /// When the service has no local port.
    pub fn local_address(&self, service: &str) -> SocketAddr {
        self.gateway().local_address(service).expect("the service has no local port")
    }

    /// Waits for something of the gateway's.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let waited = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await });
        waited.expect("it did not happen")
    }

    /// Stops as the binary does on SIGTERM, and says how that went.
    ///
    /// # Panics
    /// When the settings contradict each other, or a core fails.
    pub fn stop(mut self, accept_delay: Duration, grace: Duration) -> Summary {
        let shutdown = self.surroundings.shutdown.clone();
        let clock = self.surroundings.clock.clone();
        let settings = forebay_shutdown::Settings::new(accept_delay, grace).expect("grace within the delay");
        let mut machine = Machine::new(settings);
        let mut event = Event::Signal(Signal::Terminate);
        let summary = loop {
            let actions = machine.step(clock.now(), event, &shutdown.progress());
            if let Some(phase) = actions.enter {
                shutdown.enter(phase);
            }
            if let Some(summary) = actions.stopped {
                break summary;
            }
            let wait = clock.now().until(actions.wake_at.min(clock.now() + PATIENCE));
            self.runtime.block_on(async { tokio::time::sleep(wait).await });
            event = Event::Woke;
        };
        self.end();
        summary
    }

    fn end(&mut self) {
        let Some(gateway) = self.gateway.take() else { return };
        self.surroundings.shutdown.enter(Phase::Stopped);
        let joined = gateway.join();
        let control = self.control.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            joined.expect("a core failed");
            assert!(!matches!(control, Some(Err(_))), "the control thread panicked");
        }
    }
}

impl Drop for RunningGateway {
    fn drop(&mut self) {
        self.end();
    }
}

/// Looks up and probes until the gateway stops, as the binary's control thread does.
fn control(surroundings: &Surroundings) {
    let mut phases = surroundings.shutdown.subscribe();
    let stopped = async move {
        // A sender that is gone has stopped too.
        let _ = phases.wait_for(|phase| *phase == Phase::Stopped).await;
    };
    runtime().block_on(async {
        let sweeper = Sweeper::new(surroundings.clock.clone());
        let prober = Prober::new(sweeper.clone(), surroundings.probe_tls.clone());
        let discovery = surroundings.discovery.clone();
        let resolver = Loopback::default();
        let mut serving = std::pin::pin!(discovery.run(&resolver, &prober, stopped));
        let sources = surroundings.sources.clone();
        let read = |path: &Path| std::fs::read(path);
        let mut knowing = std::pin::pin!(sources.run(&sweeper, &resolver, &read));
        let mut sweeping = std::pin::pin!(sweeper.clone().run());
        std::future::poll_fn(|cx| {
            let _ = sweeping.as_mut().poll(cx);
            let _ = knowing.as_mut().poll(cx);
            serving.as_mut().poll(cx)
        })
        .await;
    });
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime")
}

/// Every name is this machine; files are files.
#[derive(Default)]
struct Loopback {
    files: FileReader,
}

impl Resolve for Loopback {
    async fn resolve(&self, place: &Place) -> Result<Answer, ResolveFailure> {
        match place {
            Place::Host { port, .. } => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
                let part = Part { name: "A".into(), targets: Some(vec![Target::new(address)]) };
                Ok(Answer { parts: vec![part], ttl: Duration::from_secs(60) })
            }
            Place::File(path) => self.files.read(path),
            Place::Address(_) | Place::Service { .. } | Place::Registry { .. } => {
                Err(ResolveFailure::NoSuchName { name: "only hosts are known here".into() })
            }
        }
    }
}

fn planned(toml: &str, files: Files<'_>) -> Plan {
    let read = |path: &Path| -> io::Result<Vec<u8>> {
        let known = [("forebay.toml", toml.as_bytes())];
        let found = known.iter().chain(files).find(|(name, _)| path.ends_with(name));
        // What a test keeps up to date while the gateway runs is on the disk.
        found.map_or_else(|| std::fs::read(path), |(_, bytes)| Ok(bytes.to_vec()))
    };
    let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
    let loaded = load::<Root>(inputs).unwrap_or_else(|wrong| panic!("{}", wrong.render(Default::default())));
    let root = loaded.value;
    let sections = Sections {
        gateway: &root.gateway,
        services: &root.service,
        routes: &root.route,
        cors: &root.cors,
        auth: &root.auth,
        registry: None,
    };
    let planned = plan(&sections, &read);
    planned.unwrap_or_else(|errors| panic!("{errors:?}"))
}
