//! The admin listener's accept loop: owns its connections and ends them when the process stops, not before.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay_http::Scheme;
use forebay_http::io::Io;
use forebay_http::parse::HeadLimits;
use forebay_http::server::{self, Peer, ServerCore, ServerSettings};
use forebay_shutdown::Phase;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::admin::Admin;

/// Open connections. Probes, scrapers and a few people need far fewer; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 128;
/// From the first byte of a request head to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two requests: longer than probes and scrapes are usually apart.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// After accepting failed for want of descriptors or memory, time for some to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `admin` on `listener` until the shutdown of its state reaches [`Phase::Stopped`]: while the process drains,
/// probes must see readiness fail. Its connections do not count as in flight, so nothing waits for them; they are over
/// when this returns, and when it is dropped.
///
/// Needs a local tokio runtime with I/O and time, on which the sweeper of `core` runs.
///
/// # Errors
/// When the listener cannot be given to the runtime.
pub async fn serve_admin(
    listener: std::net::TcpListener,
    admin: Rc<Admin>,
    core: ServerCore,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let shutdown = &admin.state().shutdown;
    let mut phases = shutdown.subscribe();
    let settings = ServerSettings {
        limits: HeadLimits::default(),
        head_timeout: HEAD_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        closing: Arc::new(AtomicBool::new(shutdown.closes_connections())),
    };
    let mut connections = JoinSet::new();
    while *phases.borrow_and_update() != Phase::Stopped {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, address)) => {
                    let serving = serve_connection(stream, address, admin.clone(), core.clone(), settings.clone());
                    connections.spawn_local(serving);
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            // Cannot fail: the state holds the sender.
            _ = phases.changed() => {
                settings.closing.store(shutdown.closes_connections(), Ordering::Relaxed);
                core.sweeper.wake_all();
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
    Ok(())
}

async fn serve_connection(
    stream: TcpStream,
    address: SocketAddr,
    admin: Rc<Admin>,
    core: ServerCore,
    settings: ServerSettings,
) {
    // Answers are written whole; waiting for more to send would only delay them.
    let Ok(()) = stream.set_nodelay(true) else { return };
    let Ok(local) = stream.local_addr() else { return };
    let peer = Peer::new(address, local, Scheme::Http);
    server::serve(Io::tcp(stream), peer, &core, &settings, &*admin).await;
}
