//! Opens the registry where there is to be one, and runs it: its listeners, its checks, and what it hands to service
//! discovery. Decides nothing of what is registered.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use forebay_config::Loaded;
use forebay_discovery::{Place, Resolve};
use forebay_gateway::Surroundings;
use forebay_gateway::listener::ListenError;
use forebay_gateway::plan::Plan;
use forebay_gateway::registry_probe::RegistryProber;
use forebay_http::server::ServerCore;
use forebay_http::timer::Sweeper;
use forebay_registry::dns::Zone;
use forebay_registry::{
    Handle, RegistryHttp, RegistrySettings, Subscription, bind_dns, serve_dns, serve_http,
};
use forebay_shutdown::{Phase, Shutdown};

use crate::commands::serve::{bind, listen_message, listener_failed};
use crate::hand_over::HandOver;
use crate::message::{Message, whole};
use crate::root::Root;
use crate::storage::Storage;

/// The longest label in DNS.
const LABEL_MAX: usize = 63;

/// A registry that is to run.
pub(crate) struct Registrar {
    pub(crate) handle: Handle,
    pub(crate) hand_over: Rc<HandOver>,
    changes: Subscription,
    settings: RegistrySettings,
    http: TcpListener,
    dns: (UdpSocket, TcpListener),
    zone: Zone,
}

/// The names under which services find their endpoints in the registry.
pub(crate) fn wanted(plan: &Plan) -> impl Iterator<Item = Arc<str>> {
    plan.services.iter().flat_map(|service| {
        service.definition.sources.iter().filter_map(|source| match &source.place {
            Place::Registry { name } => Some(Arc::clone(name.as_ref().unwrap_or(&service.name))),
            _ => None,
        })
    })
}

/// Why a reload cannot bring the first service that finds its endpoints in the registry.
pub(crate) fn late(name: &str) -> Message {
    Message::new(format!("`registry` names {name:?}, and this process runs no registry"))
        .note("its listeners are opened at the start, so that no reload can fail half way")
        .help("restart; a file that has a [registry] table from the start can be reloaded like this")
}

impl Registrar {
    /// Opens the registry where there is to be one: what it remembers serves when this returns.
    pub(crate) fn start(
        loaded: &Loaded<Root>,
        plan: &Plan,
        storage: &mut Storage,
        surroundings: &Surroundings,
    ) -> Result<Option<Registrar>, Message> {
        let settings = match &loaded.value.registry {
            Some(settings) => settings.clone(),
            None if wanted(plan).next().is_some() => RegistrySettings::default(),
            None => return Ok(None),
        };
        let zone = Zone::of(&settings).map_err(|error| Message::new(whole(&error)))?;
        let http = bind(loaded, &[settings.listen])?.remove(0);
        let dns = bind_dns(settings.dns)
            .map_err(|source| listen_message(loaded, &ListenError::of(settings.dns, source)))?;
        let name = settings.node.clone().unwrap_or_else(host_name);
        let handle = storage.open_registry(&name, settings.address, surroundings.clock.clone())?;
        // Before all there is is told, so that no change is lost between the two.
        let changes = handle.subscribe();
        let hand_over = Rc::new(HandOver::new(handle.clone(), surroundings.discovery.clone()));
        hand_over.push_all(|_| true);
        hand_over.push_wanted(plan);
        Ok(Some(Registrar { handle, hand_over, changes, settings, http, dns, zone }))
    }
}

/// Runs it until the process stops; without one, waits for that.
pub(crate) async fn run(
    registrar: Option<Registrar>,
    sweeper: Sweeper,
    resolver: &impl Resolve,
    core: ServerCore,
    surroundings: Surroundings,
) -> Result<(), Message> {
    let shutdown = &surroundings.shutdown;
    let Some(registrar) = registrar else {
        stopped(shutdown).await;
        return Ok(());
    };
    let Registrar { handle, hand_over, changes, settings, http, dns: (udp, tcp), zone } = registrar;
    let prober = RegistryProber::new(sweeper, resolver, surroundings.probe_tls.clone());
    tracing::info!(
        node = handle.read(|registry| registry.me().name.to_string()),
        http = local(http.local_addr()),
        dns = local(udp.local_addr()),
        "the registry serves"
    );
    let (metrics, rng) = (&surroundings.registry, fastrand::Rng::new());
    handle.measure(metrics);
    let api = RegistryHttp::new(handle.clone(), &settings.datacenter, shutdown.clone(), metrics, rng);
    let listeners = async {
        let http = serve_http(http, api, core);
        let dns = serve_dns(udp, tcp, handle.clone(), zone, metrics.clone(), stopped(shutdown));
        tokio::try_join!(
            async { http.await.map_err(|error| listener_failed("the registry's HTTP listener", &error)) },
            async { dns.await.map_err(|error| listener_failed("the registry's DNS listener", &error)) },
        )
        .map(drop)
    };
    let hand_over = async {
        tokio::select! {
            () = hand_over.run(changes) => {}
            () = stopped(shutdown) => {}
        }
    };
    let work = handle.clone().run(&prober, stopped(shutdown));
    // A listener that fails is told at once; the rest goes on until the process has stopped.
    let rest = async { tokio::join!(work, hand_over) };
    tokio::try_join!(listeners, async { Ok(rest.await) }).map(drop)
}

/// An address as the log tells it.
fn local(address: io::Result<SocketAddr>) -> String {
    address.map_or_else(|_| "unknown".to_owned(), |address| address.to_string())
}

async fn stopped(shutdown: &Shutdown) {
    // A sender that is gone has stopped too.
    let _ = shutdown.subscribe().wait_for(|phase| *phase == Phase::Stopped).await;
}

/// The machine's name as one label in DNS.
fn host_name() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    let label = name.split('.').next().unwrap_or_default();
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let label: String =
        label.chars().map(|letter| if is_word(letter) { letter } else { '-' }).take(LABEL_MAX).collect();
    if label.is_empty() { "forebay".into() } else { label }
}
