//! How many may ask the admin listener at a time, and how long it keeps them.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use forebay_http::role::{RoleSettings, serve_role};
use forebay_http::server::ServerCore;

use crate::admin::Admin;

/// Open connections. Probes, scrapers and a few people need far fewer; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 128;
/// Between two requests: longer than probes and scrapes are usually apart.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Serves `admin` on `listener` until the shutdown of its state reaches [`Phase::Stopped`](forebay_shutdown::Phase): while
/// the process drains, probes must see readiness fail. Its connections do not count as in flight, so nothing waits for
/// them; they are over when this returns, and when it is dropped.
///
/// Needs a local tokio runtime with I/O and time, on which the sweeper of `core` runs.
///
/// # Errors
/// When the listener cannot be given to the runtime, and when it breaks.
pub async fn serve_admin(
    listener: std::net::TcpListener,
    admin: Rc<Admin>,
    core: ServerCore,
) -> io::Result<()> {
    let shutdown = admin.state().shutdown.clone();
    let role = RoleSettings { connections_max: CONNECTIONS_MAX, idle_timeout: IDLE_TIMEOUT };
    serve_role(listener, admin, core, role, &shutdown).await
}
