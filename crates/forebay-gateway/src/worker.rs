//! One core's thread: accepts, deals connections out, serves them, and stops when the process does.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use forebay_http::Scheme;
use forebay_http::io::Io;
use forebay_http::listening::Broken;
use forebay_http::server::{self, Peer};
use forebay_shutdown::{InFlight, Kind, Phase};
use forebay_telemetry::metrics::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::core::{Core, Entry};
use crate::generation::Generation;
use crate::internal::{self, Envelope};
use crate::ports::Listening;
use crate::stage::Role;

/// A core keeps a connection it accepted unless another has this many fewer: moving one costs two system calls.
const IMBALANCE_MAX: usize = 2;
/// After accepting failed for want of descriptors or memory, time for some to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often idle connections and buffers are looked over.
const TICK: Duration = Duration::from_secs(1);

/// What reaches a core from outside.
pub(crate) enum Message {
    /// Another configuration, with the service ports that it has, where they are others than before.
    Adopt(Arc<Generation>, Option<Vec<Listening>>),
    /// A connection that another core accepted.
    Connection(std::net::TcpStream, SocketAddr, Role),
    /// A request of Forebay's own.
    Internal(Box<Envelope>),
}

/// What one core is started with.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) listeners: Vec<Listening>,
    pub(crate) mailbox: mpsc::Receiver<Message>,
    pub(crate) peers: Arc<[mpsc::Sender<Message>]>,
    /// Open connections of every core.
    pub(crate) loads: Arc<[AtomicUsize]>,
    pub(crate) phases: watch::Receiver<Phase>,
    /// Seen by every connection.
    pub(crate) closing: Arc<AtomicBool>,
    /// Told of the first listener that breaks.
    pub(crate) broken: Arc<watch::Sender<Option<Arc<Broken>>>>,
    pub(crate) connections: Gauge,
    pub(crate) local_connections: Gauge,
}

/// An open listener, counted until it closes.
struct Open {
    listener: TcpListener,
    address: SocketAddr,
    role: Role,
    _counted: InFlight,
}

impl Open {
    fn new(core: &Core, (listener, role): Listening) -> io::Result<Open> {
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        Ok(Open { listener, address, role, _counted: core.tally.enter(Kind::Listener) })
    }
}

/// A client connection, counted until it ends.
struct Counted {
    core: Rc<Core>,
    loads: Arc<[AtomicUsize]>,
    index: usize,
    gauge: Gauge,
    _in_flight: InFlight,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.loads[self.index].fetch_sub(1, Ordering::Relaxed);
        self.gauge.dec(self.core.metrics);
    }
}

impl Worker {
    /// Serves until the process stops.
    pub(crate) async fn run(mut self, core: Rc<Core>) -> io::Result<()> {
        let mut listening = Vec::new();
        for listener in std::mem::take(&mut self.listeners) {
            listening.push(Open::new(&core, listener)?);
        }
        let mut tasks = JoinSet::new();
        tasks.spawn_local(core.server.sweeper.clone().run());
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                accepted = accept(&listening) => match accepted {
                    Ok((stream, address, role)) => self.deal(&core, &mut tasks, stream, address, role),
                    Err(None) => tokio::time::sleep(ACCEPT_PAUSE).await,
                    Err(Some(broken)) => {
                        listening.retain(|open| open.address != broken.address);
                        self.broken.send_if_modified(|told| {
                            let is_first = told.is_none();
                            told.get_or_insert(Arc::new(broken));
                            is_first
                        });
                    }
                },
                message = self.mailbox.recv() => match message {
                    Some(message) => self.receive(&core, &mut tasks, &mut listening, message),
                    None => return Ok(()),
                },
                changed = self.phases.changed() => {
                    if changed.is_err() || *self.phases.borrow_and_update() == Phase::Stopped {
                        return Ok(());
                    }
                    self.closing.store(core.tally.shutdown().closes_connections(), Ordering::Relaxed);
                    core.server.sweeper.wake_all();
                    if !core.tally.shutdown().is_accepting() {
                        self.drain(&core, &mut tasks, listening.drain(..));
                    }
                },
                _ = tick.tick() => core.tick(),
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    /// Takes what the kernel has queued and closes the listeners: no connection is reset.
    fn drain(&self, core: &Rc<Core>, tasks: &mut JoinSet<()>, listening: impl Iterator<Item = Open>) {
        for Open { listener, role, .. } in listening {
            // Past the readiness that the runtime remembers: the kernel knows better.
            let Ok(listener) = listener.into_std() else { continue };
            while let Ok((stream, address)) = listener.accept() {
                self.adopt(core, tasks, stream, address, role.clone());
            }
        }
    }

    fn receive(&self, core: &Rc<Core>, tasks: &mut JoinSet<()>, listening: &mut Vec<Open>, message: Message) {
        match message {
            Message::Adopt(generation, ports) => {
                core.adopt(generation);
                if let Some(ports) = ports.filter(|_| core.tally.shutdown().is_accepting()) {
                    let (front, closed) = listening.drain(..).partition(|open| open.role == Role::Front);
                    *listening = front;
                    // A socket that cannot be watched is one the process has no room for; the others still are.
                    listening.extend(ports.into_iter().filter_map(|port| Open::new(core, port).ok()));
                    self.drain(core, tasks, Vec::into_iter(closed));
                }
            }
            Message::Connection(stream, address, role) => self.adopt(core, tasks, stream, address, role),
            Message::Internal(envelope) => {
                tasks.spawn_local(internal::serve(core.clone(), *envelope));
            }
        }
    }

    /// Gives the connection to the core with the fewest, which is most often this one.
    fn deal(
        &self,
        core: &Rc<Core>,
        tasks: &mut JoinSet<()>,
        stream: TcpStream,
        address: SocketAddr,
        role: Role,
    ) {
        let own = self.loads[self.index].load(Ordering::Relaxed);
        let loads = self.loads.iter().map(|load| load.load(Ordering::Relaxed)).enumerate();
        let Some((least, fewest)) = loads.min_by_key(|&(_, load)| load) else { return };
        if own < fewest + IMBALANCE_MAX {
            return self.serve(core, tasks, stream, address, role);
        }
        let Ok(stream) = stream.into_std() else { return };
        if let Err(error) = self.peers[least].try_send(Message::Connection(stream, address, role))
            && let Message::Connection(stream, address, role) = error.into_inner()
        {
            self.adopt(core, tasks, stream, address, role);
        }
    }

    fn adopt(
        &self,
        core: &Rc<Core>,
        tasks: &mut JoinSet<()>,
        stream: std::net::TcpStream,
        address: SocketAddr,
        role: Role,
    ) {
        // A socket that cannot be used any more has been closed by its client.
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            self.serve(core, tasks, stream, address, role);
        }
    }

    fn serve(
        &self,
        core: &Rc<Core>,
        tasks: &mut JoinSet<()>,
        stream: TcpStream,
        address: SocketAddr,
        role: Role,
    ) {
        self.loads[self.index].fetch_add(1, Ordering::Relaxed);
        let connections = match role {
            Role::Front => &self.connections,
            Role::Service(_) => &self.local_connections,
        };
        connections.inc(core.metrics);
        let counted = Counted {
            core: core.clone(),
            loads: self.loads.clone(),
            index: self.index,
            gauge: connections.clone(),
            _in_flight: core.tally.enter(Kind::Connection),
        };
        let generation = core.generation();
        let plan = &generation.shared.plan;
        let settings = plan.limits.server(self.closing.clone());
        // Loopback needs none.
        let tls = plan.tls.clone().filter(|_| role == Role::Front);
        tasks.spawn_local(async move {
            let core = counted.core.clone();
            // Answers are written whole; waiting for more to send would only delay them.
            let Ok(()) = stream.set_nodelay(true) else { return };
            let Ok(local) = stream.local_addr() else { return };
            let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
            let peer = Peer::new(address, local, scheme);
            let io = match tls {
                None => Io::tcp(stream),
                Some(tls) => {
                    let handshake = TlsAcceptor::from(tls).accept(stream);
                    match tokio::time::timeout(settings.head_timeout, handshake).await {
                        Ok(Ok(stream)) => Io::tls_server(stream),
                        // Not TLS, no common version, or too slow: there is nobody to answer to.
                        _ => return,
                    }
                }
            };
            let entry = Entry { core: &core, role };
            let served = std::pin::pin!(server::serve(io, peer, &core.server, &settings, &entry));
            core.server.sweeper.turns(served).await;
            drop(counted);
        });
    }
}

/// The next connection of any listener; waits for ever when there is none to listen on. What fails for good is named.
async fn accept(listening: &[Open]) -> Result<(TcpStream, SocketAddr, Role), Option<Broken>> {
    std::future::poll_fn(|cx| {
        for Open { listener, address, role, .. } in listening {
            if let std::task::Poll::Ready(accepted) = listener.poll_accept(cx) {
                let with_role = |(stream, address)| (stream, address, role.clone());
                let accepted = accepted.map(with_role);
                return std::task::Poll::Ready(
                    accepted.map_err(|error| Broken::of(listener, *address, error)),
                );
            }
        }
        std::task::Poll::Pending
    })
    .await
}
