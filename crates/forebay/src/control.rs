//! The control thread: signals, reloads, discovery, and the way to the end. Everything that is not a request.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use forebay_admin::{Admin, serve_admin};
use forebay_config::{Disk, Files, Loaded};
use forebay_discovery::{NameServers, Resolver};
use forebay_gateway::probe::Prober;
use forebay_gateway::{Ejections, Gateway, Surroundings};
use forebay_http::date::DateCache;
use forebay_http::server::ServerCore;
use forebay_http::timer::Sweeper;
use forebay_shutdown::{Announcement, Event, Machine, Phase, Signal, Summary};
use forebay_telemetry::events::Guard;
use tokio::signal::unix::{SignalKind, signal};

use crate::changes;
use crate::cli::Configured;
use crate::hand_over::HandOver;
use crate::registry::{self, Registrar};
use crate::reload;
use crate::root::Root;
use crate::storage::Storage;
use crate::told::Told;
use crate::watch::Watch;

/// How often the configuration's files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the control thread works with.
pub(crate) struct Control<'l> {
    pub(crate) configured: Configured,
    pub(crate) loaded: Loaded<Root>,
    /// What the process was started with: settings that need a restart are still as they are here.
    pub(crate) started: Loaded<Root>,
    pub(crate) gateway: Gateway,
    pub(crate) surroundings: Surroundings,
    pub(crate) storage: Storage,
    pub(crate) log: &'l Guard,
    pub(crate) admin: std::net::TcpListener,
    /// Where a registry runs.
    pub(crate) registrar: Option<Registrar>,
    /// The same one's way to discovery.
    pub(crate) hand_over: Option<Rc<HandOver>>,
}

/// Runs until the process is to end, and says how that went.
pub(crate) fn run(control: Control<'_>) -> io::Result<Summary> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default())?;
    let (gateway, storage, summary) = runtime.block_on(control.serve())?;
    gateway.join()?;
    runtime.block_on(storage.close());
    Ok(summary)
}

impl Control<'_> {
    async fn serve(mut self) -> io::Result<(Gateway, Storage, Summary)> {
        self.storage.begin();
        let sweeper = Sweeper::new(self.surroundings.clock.clone());
        let resolver = Resolver::new(NameServers::System, fastrand::Rng::new());
        let prober = Prober::new(sweeper.clone(), self.surroundings.probe_tls.clone());
        let discovery = self.surroundings.discovery.clone();
        let sources = self.surroundings.sources.clone();
        let read = |path: &std::path::Path| Disk.read(path);
        let told = Rc::new(RefCell::new(Told::new(&self.loaded, self.gateway.generation().number)));
        let registrar = self.registrar.take();
        let registered = registrar.as_ref().map(|registrar| registrar.handle.clone());
        let admin =
            Admin::new(Told::admin_state(&told, &self.gateway, &self.surroundings, registered.as_ref()));
        let core = ServerCore {
            sweeper: sweeper.clone(),
            dates: Rc::new(DateCache::new(self.surroundings.clock.clone())),
        };
        let registry =
            registry::run(registrar, sweeper.clone(), &resolver, core.clone(), self.surroundings.clone());
        let admin = serve_admin(self.admin.try_clone()?, Rc::new(admin), core);
        let mut phases = self.surroundings.shutdown.subscribe();
        let stopped = async move {
            // A sender that is gone has stopped too.
            let _ = phases.wait_for(|phase| *phase == Phase::Stopped).await;
        };
        let ejections = Ejections::new(&self.surroundings.registry);
        let changes =
            changes::tell(discovery.subscribe(), self.surroundings.clock.clone(), ejections, registered);
        let background = async {
            let discovery = discovery.run(&resolver, &prober, stopped);
            let sources = sources.run(&sweeper, &resolver, &read);
            // A listener that fails ends the process; what ends without failing has stopped with it.
            let listeners = async {
                match tokio::try_join!(admin, registry) {
                    Ok(_) => std::future::pending().await,
                    Err(error) => error,
                }
            };
            let work = async { tokio::join!(sweeper.clone().run(), changes, discovery, sources) };
            tokio::select! {
                failed = listeners => failed,
                _ = work => io::Error::other("discovery ended by itself"),
            }
        };
        tokio::select! {
            summary = self.follow_signals(&told) => Ok((self.gateway, self.storage, summary?)),
            failed = background => Err(failed),
        }
    }

    /// Waits for signals and changed files, and drives the shutdown once it has begun.
    async fn follow_signals(&mut self, told: &RefCell<Told>) -> io::Result<Summary> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut watch = Watch::new(&self.loaded);
        let clock = self.surroundings.clock.clone();
        let mut machine = Machine::new(self.loaded.value.shutdown.settings());
        let mut wake_at = forebay_clock::Moment::NEVER;
        // One at a time; the runtime waits for it in the end.
        let mut chores = tokio::task::spawn_blocking(|| {});
        loop {
            let wait = clock.now().until(wake_at);
            let event = tokio::select! {
                _ = terminate.recv() => Event::Signal(Signal::Terminate),
                _ = interrupt.recv() => Event::Signal(Signal::Interrupt),
                () = tokio::time::sleep(wait), if wake_at != forebay_clock::Moment::NEVER => Event::Woke,
                _ = hangup.recv() => {
                    watch = Watch::new(&self.loaded);
                    reload::reload(self, &mut machine, told, "SIGHUP").await;
                    continue;
                }
                _ = look.tick() => {
                    if chores.is_finished() && let Some(next) = self.gateway.chores() {
                        chores = tokio::task::spawn_blocking(next);
                    }
                    if watch.look(&self.loaded) {
                        reload::reload(self, &mut machine, told, "a file changed").await;
                    }
                    continue;
                }
            };
            let actions = machine.step(clock.now(), event, &self.surroundings.shutdown.progress());
            if let Some(phase) = actions.enter {
                if phase == Phase::LameDuck {
                    eprintln!("{}", Announcement(&self.surroundings.shutdown.progress()));
                }
                self.surroundings.shutdown.enter(phase);
            }
            if let Some(summary) = actions.stopped {
                self.surroundings.shutdown.enter(Phase::Stopped);
                return Ok(summary);
            }
            wake_at = actions.wake_at;
        }
    }
}
