//! The registry's HTTP listener: Consul's API and our own on one port. Decides who may ask and how many; the answers are
//! the APIs'.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use forebay_http::Method;
use forebay_http::body::Incoming;
use forebay_http::framing::Framing;
use forebay_http::guard::guard;
use forebay_http::problem::Problem;
use forebay_http::role::{RoleSettings, serve_role};
use forebay_http::server::{Exchange, Peer, Request, Responder, ServerCore};
use forebay_http::timer::Timer;
use forebay_shutdown::Shutdown;
use forebay_telemetry::metrics::Registry as Metrics;

use crate::asked::{self, Asked};
use crate::consul::{self, Place};
use crate::handle::Handle;
use crate::native;
use crate::reply::Reply;
use crate::telemetry::Requests;
use crate::waiter::Waiter;

/// Open connections. Every blocking query has one for as long as it waits, and every instance on this machine may have a
/// few of them; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 8192;
/// Between two requests: longer than leases are usually renewed apart.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a client may take to receive an answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Answers the requests of the registry's listener.
pub struct RegistryHttp {
    handle: Handle,
    datacenter: Box<str>,
    shutdown: Shutdown,
    requests: Requests,
    /// For the jitter of waits.
    rng: RefCell<fastrand::Rng>,
    echo: consul::Echo,
}

impl RegistryHttp {
    /// Answers from `handle` as the datacenter of this name, and counts in `metrics`.
    pub fn new(
        handle: Handle,
        datacenter: &str,
        shutdown: Shutdown,
        metrics: &Metrics,
        rng: fastrand::Rng,
    ) -> RegistryHttp {
        let requests = Requests::new(metrics);
        RegistryHttp {
            handle,
            datacenter: datacenter.into(),
            shutdown,
            requests,
            rng: RefCell::new(rng),
            echo: consul::Echo::default(),
        }
    }

    async fn answer(&self, asked: &Asked, local: SocketAddr, waiter: &Waiter<'_>) -> Option<Reply> {
        if !consul::is_path(&asked.path) {
            return Some(native::answer(&self.handle, asked).await);
        }
        let here = local.to_string();
        let place =
            Place { handle: &self.handle, datacenter: &self.datacenter, here: &here, echo: &self.echo };
        consul::answer(&place, asked, waiter).await
    }
}

/// Serves the registry on `listener` until the process's stop reaches [`Phase::Stopped`](forebay_shutdown::Phase): those who
/// find services here need them until then. Requests that wait are answered when it drains.
///
/// Needs a local tokio runtime with I/O and time, on which the sweeper of `core` runs.
///
/// # Errors
/// When the listener cannot be given to the runtime, and when it breaks.
pub async fn serve_http(
    listener: std::net::TcpListener,
    registry: RegistryHttp,
    core: ServerCore,
) -> io::Result<()> {
    let shutdown = registry.shutdown.clone();
    let role = RoleSettings { connections_max: CONNECTIONS_MAX, idle_timeout: IDLE_TIMEOUT };
    serve_role(listener, Rc::new(registry), core, role, &shutdown).await
}

impl Exchange for RegistryHttp {
    async fn exchange(&self, request: Request<'_>) {
        let Request { head, framing, mut body, mut responder, peer, timer, .. } = request;
        let asked = guard(&head, peer.local, "registry").and_then(|()| Asked::read(&head));
        // A request may wait for minutes, and its head holds a buffer.
        drop(head);
        let mut route = None;
        let reply = match asked {
            Err(problem) => Some(problem.into()),
            Ok(mut asked) => {
                route = if consul::is_path(&asked.path) {
                    consul::route_of(&asked)
                } else {
                    native::route_of(&asked)
                };
                match take_body(&mut asked, framing, &mut body, &mut responder, timer).await {
                    Err(problem) => Some(problem.into()),
                    Ok(()) => {
                        let waiter = Waiter { timer, body: &body, shutdown: &self.shutdown, rng: &self.rng };
                        self.answer(&asked, peer.local, &waiter).await
                    }
                }
            }
        };
        // Without an answer the connection ends, and nobody is there to notice.
        let Some(reply) = reply else { return };
        let (head, text) = Reply::response(reply);
        self.requests.answered(route, head.status());
        let until = timer.now() + ANSWER_TIME;
        // A client that does not take it is gone, and its connection ends unfinished.
        let _ = timer.within(until, responder.send(head, &text)).await;
    }

    fn refused(&self, _peer: &Peer, problem: &Problem) {
        self.requests.answered(None, problem.status);
    }
}

/// Only who changes something has something to say beyond the head. One that is too large is refused before it is sent.
async fn take_body(
    asked: &mut Asked,
    framing: Framing,
    body: &mut Incoming<'_>,
    responder: &mut Responder<'_>,
    timer: &Timer,
) -> Result<(), Problem> {
    if !matches!(asked.method, Method::Put | Method::Post) {
        return Ok(());
    }
    if framing.length().is_some_and(|length| length > asked::BODY_BYTES_MAX as u64) {
        return Err(asked::too_large());
    }
    // A client that does not take it is gone, and its body does not come.
    let _ = responder.go_on().await;
    asked.body = asked::collect(body, timer).await?;
    Ok(())
}
