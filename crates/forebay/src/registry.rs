//! Runs the registry, and hands what is registered to service discovery: which state is what to the balancer, and what an
//! instance says of itself. Refuses nothing; what cannot be an endpoint is told in the log.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use forebay_clock::Moment;
use forebay_discovery::{Advertised, Discovery, Place, Pushed, PushedTarget, Resolve, Target};
use forebay_gateway::Surroundings;
use forebay_gateway::listener::ListenError;
use forebay_gateway::plan::Plan;
use forebay_gateway::registry_probe::RegistryProber;
use forebay_http::server::ServerCore;
use forebay_http::timer::Sweeper;
use forebay_registry::dns::Zone;
use forebay_registry::{
    Found, Handle, InstanceState, Lease, NODE_LEASE, Registry, RegistryHttp, RegistrySettings, Status,
    bind_dns, serve_dns, serve_http,
};
use forebay_shutdown::{Phase, Shutdown};
use tokio::time::interval;

use crate::commands::serve::{bind, listen_message, listener_failed};
use crate::message::{Message, whole};
use crate::root::Root;
use crate::storage::Storage;

/// The longest label in DNS.
const LABEL_MAX: usize = 63;

/// A registry that is to run.
pub(crate) struct Registrar {
    pub(crate) handle: Handle,
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

/// Tells discovery what there is under each of those names, be it nothing.
pub(crate) fn push_wanted(handle: &Handle, discovery: &Discovery, plan: &Plan) {
    wanted(plan).for_each(|name| push(handle, discovery, &name, &mut BTreeSet::new()));
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
        root: &Root,
        plan: &Plan,
        storage: &mut Storage,
        surroundings: &Surroundings,
    ) -> Result<Option<Registrar>, Message> {
        let settings = match &root.registry {
            Some(settings) => settings.clone(),
            None if wanted(plan).next().is_some() => RegistrySettings::default(),
            None => return Ok(None),
        };
        let zone = Zone::of(&settings).map_err(|error| Message::new(whole(&error)))?;
        let http = bind(&[settings.listen])?.remove(0);
        let dns = bind_dns(settings.dns)
            .map_err(|source| listen_message(&ListenError::of(settings.dns, source)))?;
        let name = settings.node.clone().unwrap_or_else(host_name);
        let handle = storage.open_registry(&name, settings.address, surroundings.clock.clone())?;
        let mut odd = BTreeSet::new();
        push_all(&handle, &surroundings.discovery, &mut odd, |_| true);
        push_wanted(&handle, &surroundings.discovery, plan);
        Ok(Some(Registrar { handle, settings, http, dns, zone }))
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
    let Some(Registrar { handle, settings, http, dns: (udp, tcp), zone }) = registrar else {
        stopped(shutdown).await;
        return Ok(());
    };
    let prober = RegistryProber::new(sweeper, resolver);
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
            () = hand_over(&handle, &surroundings.discovery) => {}
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

/// Tells discovery of every change. Never ends.
async fn hand_over(handle: &Handle, discovery: &Discovery) {
    let mut changes = handle.subscribe();
    let mut odd = BTreeSet::new();
    push_all(handle, discovery, &mut odd, |_| true);
    // What other nodes vouch for grows old when the shared store is silent, and people want to see how old.
    let mut look = interval(NODE_LEASE);
    loop {
        tokio::select! {
            changed = changes.next() => {
                for service in changed {
                    push(handle, discovery, &service, &mut odd);
                }
            }
            _ = look.tick() => push_all(handle, discovery, &mut odd, |found| found.node.lease != Lease::Own),
        }
    }
}

/// Instances that can be no endpoints, each told once.
type Odd = BTreeSet<(Arc<str>, Arc<str>)>;

fn push_all(handle: &Handle, discovery: &Discovery, odd: &mut Odd, wanted: impl Fn(&Found<'_>) -> bool) {
    let services: Vec<Arc<str>> = handle.read(|registry| {
        let names = registry.services().map(|(name, _)| Arc::clone(name));
        names.filter(|name| registry.instances_of(name).any(|found| wanted(&found))).collect()
    });
    services.iter().for_each(|service| push(handle, discovery, service, odd));
}

fn push(handle: &Handle, discovery: &Discovery, service: &Arc<str>, odd: &mut Odd) {
    let now = handle.clock().now();
    let pushed = handle.read(|registry| pushed(registry, service, now, odd));
    discovery.push(service, pushed);
}

/// All that is registered under a name, as discovery takes it.
fn pushed(registry: &Registry, service: &Arc<str>, now: Moment, odd: &mut Odd) -> Pushed {
    let mut confirmed = now;
    let mut targets = Vec::new();
    for found in registry.instances_of(service) {
        if found.node.lease != Lease::Own {
            confirmed = confirmed.min(found.node.confirmed.unwrap_or(Moment::START));
        }
        let key = (Arc::clone(service), Arc::clone(&found.instance.id));
        match target(&found) {
            Some(target) => {
                odd.remove(&key);
                targets.push(PushedTarget { target, advertised: advertised(&found) });
            }
            None => {
                if odd.insert(key) {
                    tracing::warn!(
                        service = &**service,
                        instance = &*found.instance.id,
                        address = found.address(),
                        port = found.instance.registration.port,
                        "instance gets no requests: register it with an IP address and a port"
                    );
                }
            }
        }
    }
    let is_old = confirmed.until(now) > NODE_LEASE;
    let failure = is_old.then(|| "the store that nodes share has not been heard from".into());
    // Other services' instances stay where they are; of this one's, those that are gone are told of when they are back.
    let ids: BTreeSet<Arc<str>> =
        registry.instances_of(service).map(|found| Arc::clone(&found.instance.id)).collect();
    odd.retain(|(other, id)| other != service || ids.contains(id));
    Pushed { targets, confirmed, failure }
}

/// Where an instance is, and its share by how it is.
fn target(found: &Found<'_>) -> Option<Target> {
    let registration = &found.instance.registration;
    let address: IpAddr = found.address().parse().ok()?;
    if registration.port == 0 {
        return None;
    }
    let text = |key: &str| registration.meta.get(key).filter(|text| !text.is_empty());
    let weight = match found.status() {
        Status::Warning => registration.weights.warning,
        _ => registration.weights.passing,
    };
    Some(Target {
        zone: text("zone").map(|zone| (&**zone).into()),
        version: text("version").map(|version| (&**version).into()),
        weight: weight.max(1),
        ..Target::new(SocketAddr::new(address, registration.port))
    })
}

fn advertised(found: &Found<'_>) -> Advertised {
    match found.state() {
        InstanceState::Ready
            if found.status() == Status::Warning && found.instance.registration.weights.warning == 0 =>
        {
            Advertised::Critical { reason: "a check warns, and its weight is 0 then".into() }
        }
        InstanceState::Ready => Advertised::Ready,
        InstanceState::Critical => {
            let reason = found.why().unwrap_or_else(|| "critical".into());
            Advertised::Critical { reason: reason.into() }
        }
        InstanceState::Starting => Advertised::Starting,
        InstanceState::Draining => Advertised::Draining,
        InstanceState::Maintenance => Advertised::Maintenance,
    }
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
