//! One process of the demo's service: listens, serves, and drains on SIGTERM. What it answers is in `orders`.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay_clock::Clock;
use forebay_gateway::listener::{ListenError, listen};
use forebay_http::Scheme;
use forebay_http::date::DateCache;
use forebay_http::io::Io;
use forebay_http::parse::HeadLimits;
use forebay_http::server::{self, Peer, ServerCore, ServerSettings};
use forebay_http::timer::Sweeper;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::orders::Orders;

/// What an instance writes to standard output once it accepts connections.
pub(crate) const READY: &str = "ready";

const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the gateway keeps a connection, so that it is never the service that closes one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests under way may take once the instance is to end.
const DRAIN_TIME: Duration = Duration::from_secs(5);

struct Instance {
    orders: Rc<Orders>,
    core: ServerCore,
    settings: ServerSettings,
    connections: JoinSet<()>,
}

/// Serves until SIGTERM, then until what is under way is answered.
pub(crate) async fn run(name: String, address: SocketAddr) -> io::Result<()> {
    let listener = listen(address).map_err(|error: ListenError| io::Error::other(error.to_string()))?;
    let listener = TcpListener::from_std(listener)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let clock = Clock::system();
    let core = ServerCore { sweeper: Sweeper::new(clock.clone()), dates: Rc::new(DateCache::new(clock)) };
    let settings = ServerSettings {
        limits: HeadLimits::default(),
        head_timeout: HEAD_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        closing: Arc::new(AtomicBool::new(false)),
    };
    let orders = Rc::new(Orders::new(name, fastrand::Rng::new()));
    let sweeping = core.sweeper.clone().run();
    let mut instance = Instance { orders, core, settings, connections: JoinSet::new() };
    println!("{READY}");
    let serving = async {
        loop {
            tokio::select! {
                accepted = listener.accept() => instance.serve(accepted?),
                Some(_) = instance.connections.join_next() => {}
                _ = terminate.recv() => break instance.drain(listener).await,
            }
        }
    };
    tokio::select! {
        served = serving => served,
        () = sweeping => Ok(()),
    }
}

impl Instance {
    fn serve(&mut self, (stream, address): (TcpStream, SocketAddr)) {
        let (orders, core, settings) = (self.orders.clone(), self.core.clone(), self.settings.clone());
        self.connections.spawn_local(async move {
            let Ok(()) = stream.set_nodelay(true) else { return };
            let Ok(local) = stream.local_addr() else { return };
            let peer = Peer::new(address, local, Scheme::Http);
            server::serve(Io::tcp(stream), peer, &core, &settings, &*orders).await;
        });
    }

    /// Takes what the kernel has queued, closes the listener, and waits for the connections to end.
    async fn drain(mut self, listener: TcpListener) -> io::Result<()> {
        self.orders.drain();
        self.settings.closing.store(true, Ordering::Relaxed);
        self.core.sweeper.wake_all();
        let listener = listener.into_std()?;
        while let Ok((stream, address)) = listener.accept() {
            stream.set_nonblocking(true)?;
            self.serve((TcpStream::from_std(stream)?, address));
        }
        drop(listener);
        let ended = async { while self.connections.join_next().await.is_some() {} };
        // What takes longer is cut off: the supervisor would do the same, only harder.
        let _ = tokio::time::timeout(DRAIN_TIME, ended).await;
        Ok(())
    }
}
