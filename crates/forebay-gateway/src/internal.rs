//! The way in for requests that Forebay makes itself: a bounded queue into each core, an answer held whole.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use forebay_http::body::{Collected, Incoming};
use forebay_http::framing::Framing;
use forebay_http::server::{Exchange, InternalFate, Peer, Request, Responder};
use forebay_http::{RequestHead, Scheme};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::core::{Core, Entry};
use crate::stage::Role;
use crate::worker::Message;

/// A request of Forebay's own, owned whole: it may come from any thread.
#[derive(Debug)]
pub struct InternalRequest {
    /// Its head; see [`RequestHead::freeze`].
    pub head: RequestHead,
    /// Its body.
    pub body: Bytes,
    /// The answer's body may not be larger.
    pub answer_bytes_max: usize,
}

pub(crate) struct Envelope {
    request: InternalRequest,
    reply: oneshot::Sender<Collected>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InternalError {
    /// The core's queue is full: try later.
    #[error("the gateway is too busy for internal requests")]
    Busy,
    /// The gateway stops.
    #[error("the gateway is stopping")]
    Stopping,
}

/// Sends internal requests to the cores in turn. Cloning shares the turn.
#[derive(Clone)]
pub struct WayIn {
    cores: Arc<[mpsc::Sender<Message>]>,
    turn: Arc<AtomicUsize>,
}

impl WayIn {
    pub(crate) fn new(cores: Arc<[mpsc::Sender<Message>]>) -> WayIn {
        WayIn { cores, turn: Arc::default() }
    }

    /// Has the gateway serve the request like one from a socket.
    pub async fn request(&self, request: InternalRequest) -> Result<Collected, InternalError> {
        let (reply, answer) = oneshot::channel();
        let core = &self.cores[self.turn.fetch_add(1, Ordering::Relaxed) % self.cores.len()];
        let envelope = Box::new(Envelope { request, reply });
        core.try_send(Message::Internal(envelope)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => InternalError::Busy,
            mpsc::error::TrySendError::Closed(_) => InternalError::Stopping,
        })?;
        answer.await.map_err(|_| InternalError::Stopping)
    }
}

/// Serves one internal request on its core.
pub(crate) async fn serve(core: Rc<Core>, envelope: Envelope) {
    let Envelope { request, reply } = envelope;
    let InternalRequest { head, body, answer_bytes_max } = request;
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let peer = Peer::new(nowhere, nowhere, Scheme::Http);
    let mut collected = Collected { bytes_max: answer_bytes_max, ..Collected::default() };
    let fate = InternalFate::default();
    let timer = core.server.sweeper.timer();
    let framing = if body.is_empty() { Framing::None } else { Framing::Length(body.len() as u64) };
    let responder = Responder::collect(&mut collected, head.method(), &core.server.dates, &fate);
    let received = timer.now();
    let request = Request {
        head,
        framing,
        body: Incoming::Whole(body),
        responder,
        peer: &peer,
        timer: &timer,
        received,
    };
    Entry { core: &core, role: Role::Front }.exchange(request).await;
    // Whoever asked may have given up.
    let _ = reply.send(collected);
}
