//! The accept loop of a listener with a role beside the gateway's: owns its connections and ends them when the process
//! stops, not before. What the role answers, and whom, is its exchange's to decide.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay_shutdown::{Phase, Shutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::head::Scheme;
use crate::io::Io;
use crate::listening::Broken;
use crate::parse::HeadLimits;
use crate::server::{self, Exchange, Peer, ServerCore, ServerSettings};

/// From the first byte of a request head to its last: everybody who asks is on this machine.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After accepting failed for want of descriptors or memory, time for some to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What one role's listener bounds.
#[derive(Clone, Copy, Debug)]
pub struct RoleSettings {
    /// Open connections; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Between two requests.
    pub idle_timeout: Duration,
}

/// Serves `exchange` on `listener` until `shutdown` reaches [`Phase::Stopped`]: while the process drains, those who ask
/// must still learn how it stands. Connections do not count as in flight, so nothing waits for them; they are over when
/// this returns, and when it is dropped. At every phase, requests that wait on their [`Timer`](crate::timer::Timer) are
/// woken, to look at it.
///
/// Needs a local tokio runtime with I/O and time, on which the sweeper of `core` runs.
///
/// # Errors
/// When the listener cannot be given to the runtime, and when it breaks: what is wrong for good must not be tried for
/// ever in silence.
pub async fn serve_role<X: Exchange + 'static>(
    listener: std::net::TcpListener,
    exchange: Rc<X>,
    core: ServerCore,
    role: RoleSettings,
    shutdown: &Shutdown,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let mut phases = shutdown.subscribe();
    let settings = ServerSettings {
        limits: HeadLimits::default(),
        head_timeout: HEAD_TIMEOUT,
        idle_timeout: role.idle_timeout,
        closing: Arc::new(AtomicBool::new(shutdown.closes_connections())),
    };
    let mut connections = JoinSet::new();
    while *phases.borrow_and_update() != Phase::Stopped {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < role.connections_max => match accepted {
                Ok((stream, address)) => {
                    let serving =
                        serve_connection(stream, address, exchange.clone(), core.clone(), settings.clone());
                    connections.spawn_local(serving);
                }
                Err(error) => match Broken::of(&listener, address, error) {
                    Some(broken) => return Err(io::Error::other(broken)),
                    None => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            },
            // Cannot fail: `shutdown` holds the sender.
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

async fn serve_connection<X: Exchange>(
    stream: TcpStream,
    address: SocketAddr,
    exchange: Rc<X>,
    core: ServerCore,
    settings: ServerSettings,
) {
    // Answers are written whole; waiting for more to send would only delay them.
    let Ok(()) = stream.set_nodelay(true) else { return };
    let Ok(local) = stream.local_addr() else { return };
    let peer = Peer::new(address, local, Scheme::Http);
    server::serve(Io::tcp(stream), peer, &core, &settings, &*exchange).await;
}
