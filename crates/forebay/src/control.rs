//! The control thread: signals, reloads, discovery, and the way to the end. Everything that is not a request.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use forebay_admin::{Admin, serve_admin};
use forebay_config::Loaded;
use forebay_discovery::{NameServers, Resolver};
use forebay_gateway::probe::Prober;
use forebay_gateway::{Ejections, Gateway, Surroundings};
use forebay_http::date::DateCache;
use forebay_http::server::ServerCore;
use forebay_http::timer::Sweeper;
use forebay_shutdown::{Announcement, Event, Machine, Phase, Signal, Summary};
use forebay_telemetry::events::Guard;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::changes;
use crate::cli::Configured;
use crate::commands::serve::listener_failed;
use crate::hand_over::HandOver;
use crate::message::Message;
use crate::registry::{self, Registrar};
use crate::reload;
use crate::root::Root;
use crate::storage::Storage;
use crate::told::Told;
use crate::watch::{Reading, read_again};

/// How often the configuration's files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the control thread works with.
pub(crate) struct Control<'l> {
    pub(crate) configured: Configured,
    pub(crate) loaded: Loaded<Root>,
    /// What was read when the configuration was last read, whatever came of it.
    pub(crate) reading: Reading,
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

/// How it ended.
pub(crate) struct Ended {
    pub(crate) summary: Summary,
    /// Whether it was not by a signal but because something failed, which has been said.
    pub(crate) failed: bool,
}

/// Runs until the process is to end, and says how that went.
pub(crate) fn run(control: Control<'_>) -> io::Result<Ended> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default())?;
    let (gateway, storage, ended) = runtime.block_on(control.serve())?;
    gateway.join()?;
    runtime.block_on(storage.close());
    Ok(ended)
}

impl Control<'_> {
    async fn serve(mut self) -> io::Result<(Gateway, Storage, Ended)> {
        self.storage.begin();
        let sweeper = Sweeper::new(self.surroundings.clock.clone());
        let resolver = Resolver::new(NameServers::System, fastrand::Rng::new());
        let prober = Prober::new(sweeper.clone(), self.surroundings.probe_tls.clone());
        let discovery = self.surroundings.discovery.clone();
        let sources = self.surroundings.sources.clone();
        let read = |path: &std::path::Path| read_again(path);
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
        let front_broken = self.gateway.broken();
        let (fail, failed) = oneshot::channel();
        let background = async {
            let discovery = discovery.run(&resolver, &prober, stopped);
            let sources = sources.run(&sweeper, &resolver, &read);
            // A listener that fails begins a stop; one that ends without failing has stopped with the process.
            let listeners = async {
                let front = async { Err::<(), _>(listener_failed("the gateway", &*front_broken.await)) };
                let admin =
                    async { admin.await.map_err(|error| listener_failed("the admin listener", &error)) };
                if let Err(message) = tokio::try_join!(front, admin, registry) {
                    // Nobody hears it only when the process ends anyway.
                    let _ = fail.send(message);
                }
                std::future::pending::<()>().await
            };
            tokio::join!(listeners, sweeper.clone().run(), changes, discovery, sources)
        };
        tokio::select! {
            ended = self.follow_signals(&told, failed) => Ok((self.gateway, self.storage, ended?)),
            _ = background => Err(io::Error::other("the background work ended by itself")),
        }
    }

    /// Waits for signals, changed files and what has `failed`, and drives the shutdown once it has begun.
    async fn follow_signals(
        &mut self,
        told: &RefCell<Told>,
        mut failed: oneshot::Receiver<Message>,
    ) -> io::Result<Ended> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut look = tokio::time::interval(LOOK_EVERY);
        let clock = self.surroundings.clock.clone();
        let mut machine = Machine::new(self.loaded.value.shutdown.settings());
        let mut wake_at = forebay_clock::Moment::NEVER;
        // One at a time; the runtime waits for it in the end.
        let mut chores = tokio::task::spawn_blocking(|| {});
        let mut has_failed = false;
        loop {
            let wait = clock.now().until(wake_at);
            let event = tokio::select! {
                _ = terminate.recv() => Event::Signal(Signal::Terminate),
                _ = interrupt.recv() => Event::Signal(Signal::Interrupt),
                () = tokio::time::sleep(wait), if wake_at != forebay_clock::Moment::NEVER => Event::Woke,
                _ = hangup.recv() => {
                    reload::reload(self, &mut machine, told, "SIGHUP").await;
                    continue;
                }
                Ok(message) = &mut failed, if !has_failed => {
                    has_failed = true;
                    message.print();
                    // Whoever asked for a stop before has one under way already.
                    if !self.surroundings.shutdown.is_ready() {
                        continue;
                    }
                    Event::Signal(Signal::Terminate)
                }
                _ = look.tick() => {
                    if chores.is_finished() && let Some(next) = self.gateway.chores() {
                        chores = tokio::task::spawn_blocking(next);
                    }
                    if self.reading.is_outdated() {
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
                return Ok(Ended { summary, failed: has_failed });
            }
            wake_at = actions.wake_at;
        }
    }
}
