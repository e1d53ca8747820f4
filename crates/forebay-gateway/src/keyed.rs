//! Requests with an `Idempotency-Key`: the whole body first, then leave from the store, then one execution, whose answer is
//! stored before the client has it. Decides nothing: that is `forebay-idempotency`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use forebay_clock::Moment;
use forebay_http::body::Incoming;
use forebay_http::client::Connection;
use forebay_http::framing::Framing;
use forebay_http::problem::{Fault, Problem};
use forebay_http::reader::{Piece, ReadError};
use forebay_http::server::Request;
use forebay_http::timer::Timer;
use forebay_http::{Name, ResponseHead};
use forebay_idempotency::{Answer, Claimed, Fingerprint, Lease, Policy, Refusal};
use forebay_store::StoreError;

use crate::forward::Errand;
use crate::pipeline::{answer, refuse};
use crate::relay::is_event_stream;
use crate::stage::body_too_large;
use crate::visit::Visit;

/// Leave to carry out one request once, on its way through the attempts.
pub(crate) struct Keyed {
    lease: RefCell<Option<Lease>>,
    /// Whether an endpoint may have seen any of it.
    reached: Cell<bool>,
}

impl Keyed {
    /// Bytes of the request may reach an endpoint from here on.
    pub(crate) fn sending(&self) {
        if let Some(lease) = self.lease.borrow_mut().as_mut() {
            lease.sending();
        }
    }

    /// An attempt has ended of which an endpoint saw something.
    pub(crate) fn reached(&self) {
        self.reached.set(true);
    }

    /// Frees the key if nothing came of the request. Otherwise the lease says that nobody knows, as it is dropped.
    fn end(&self) {
        if let Some(lease) = self.lease.borrow_mut().take()
            && !self.reached.get()
        {
            lease.release();
        }
    }
}

/// Runs the errand if it has no key, or leave to run once.
pub(crate) async fn run(
    mut errand: Errand<'_>,
    policy: &Arc<Policy>,
    request: &mut Request<'_>,
    visit: &mut Visit<'_>,
) {
    let head = &request.head;
    let subject = visit.subject();
    let id = match policy.identify(head.method_text(), &errand.route.name, subject.as_deref(), head.fields())
    {
        Ok(None) => return errand.run(request, visit).await,
        Ok(Some(id)) => id,
        Err(refusal) => return refuse_keyed(refusal, request, visit).await,
    };
    let body = match take_body(&errand, policy.body_bytes_max, request).await {
        Ok(body) => body,
        Err(Some(problem)) => return refuse(&mut request.responder, request.timer, &problem, visit).await,
        Err(None) => {
            visit.failure = Some((forebay_telemetry::access::Side::Client, "client-gone"));
            return;
        }
    };
    let head = &request.head;
    let fingerprint = Fingerprint::of(head.method_text(), head.path(), head.query(), &body);
    // It has come: nobody waits for a 100 any more.
    errand.hop.expects_continue = false;
    request.head.fields_mut().remove(Name::Expect);
    if request.framing != Framing::None {
        request.framing = Framing::Length(body.len() as u64);
        request.body = Incoming::Whole(body);
    }
    let claimed = match errand.core.keys() {
        Some(keys) => keys.claim(id, fingerprint, policy).await,
        None => Err(StoreError::Closed),
    };
    match claimed {
        Ok(Claimed::Run(lease)) => {
            visit.idempotency = Some("first");
            errand.keyed = Some(Keyed { lease: RefCell::new(Some(lease)), reached: Cell::new(false) });
            errand.run(request, visit).await;
            if let Some(keyed) = &errand.keyed {
                keyed.end();
            }
        }
        Ok(Claimed::Replay(stored)) => {
            visit.idempotency = Some("replayed");
            answer(&mut request.responder, request.timer, stored.head(), &stored.body, visit).await;
        }
        Ok(Claimed::Refuse(refusal)) => refuse_keyed(refusal, request, visit).await,
        Err(error) => refuse(&mut request.responder, request.timer, &error.problem(), visit).await,
    }
}

async fn refuse_keyed(refusal: Refusal, request: &mut Request<'_>, visit: &mut Visit<'_>) {
    visit.idempotency = Some("refused");
    refuse(&mut request.responder, request.timer, &refusal.problem(), visit).await;
}

/// The whole body of the request; an error without a problem is a client that has gone.
async fn take_body(
    errand: &Errand<'_>,
    bytes_max: usize,
    request: &mut Request<'_>,
) -> Result<Bytes, Option<Problem>> {
    if request.framing.length().is_some_and(|length| length > bytes_max as u64) {
        return Err(Some(Refusal::BodyTooLarge.problem()));
    }
    if errand.hop.expects_continue && request.responder.interim(ResponseHead::new(100)).await.is_err() {
        return Err(None);
    }
    let mut body = Vec::new();
    let incoming = &mut request.body;
    let taken =
        poll_fn(|cx| collect(cx, incoming, &mut body, bytes_max, request.timer, errand.deadline)).await;
    let problem = match taken {
        Collected::Whole => return Ok(body.into()),
        Collected::TooLong => Refusal::BodyTooLarge.problem(),
        Collected::TimedOut => Problem::body_timeout(),
        Collected::Broken(ReadError::Malformed(malformed)) => Problem::malformed(malformed),
        Collected::Broken(ReadError::TooLarge) => body_too_large(errand.route.body_bytes_max),
        Collected::Broken(_) => return Err(None),
    };
    // Where the next request would begin is not known.
    request.responder.close_after();
    Err(Some(problem))
}

/// What became of the service's answer.
pub(crate) enum Kept {
    /// It is stored, and this is its body.
    Whole(Bytes),
    /// It is passed on without being kept; this much of its body was read.
    Passed(Vec<u8>),
    /// It broke off.
    Failed(Box<Problem>),
}

/// Reads the answer of a keyed request and stores it, if it can be kept.
pub(crate) async fn keep(
    errand: &Errand<'_>,
    keyed: &Keyed,
    connection: &mut Connection,
    (head, framing): (&ResponseHead, Framing),
    timer: &Timer,
) -> Kept {
    let Some(lease) = keyed.lease.borrow_mut().take() else { return Kept::Passed(Vec::new()) };
    let bytes_max = lease.response_bytes_max();
    let is_long = framing.length().is_some_and(|length| length > bytes_max as u64);
    if is_long || is_event_stream(head) {
        lease.not_kept(head.status());
        return Kept::Passed(Vec::new());
    }
    let mut body = Vec::new();
    let until = errand.core.now() + errand.route.timeout;
    let read =
        poll_fn(|cx| collect(cx, &mut connection.halves().0, &mut body, bytes_max, timer, until)).await;
    let service = &errand.service.name;
    match read {
        Collected::Whole => {
            let body = Bytes::from(body);
            if let Err(error) = lease.complete(Answer::of(head, body.clone())).await {
                tracing::warn!(%error, "the answer to a keyed request is not stored yet");
            }
            Kept::Whole(body)
        }
        Collected::TooLong => {
            lease.not_kept(head.status());
            Kept::Passed(body)
        }
        // Dropped, the lease says that nobody knows.
        Collected::TimedOut => {
            let detail = format!("service {service} did not finish its answer in time");
            Kept::Failed(Box::new(Problem::new(504, "upstream-timeout", Fault::Upstream, detail)))
        }
        Collected::Broken(_) => {
            let detail = format!("service {service} broke off its answer");
            Kept::Failed(Box::new(Problem::new(502, "upstream-broken-midway", Fault::Upstream, detail)))
        }
    }
}

enum Collected {
    Whole,
    /// More than is wanted; what came so far is in the buffer.
    TooLong,
    TimedOut,
    Broken(ReadError),
}

fn collect(
    cx: &mut std::task::Context<'_>,
    from: &mut Incoming<'_>,
    body: &mut Vec<u8>,
    bytes_max: usize,
    timer: &Timer,
    until: Moment,
) -> Poll<Collected> {
    loop {
        match from.poll_piece(cx) {
            Poll::Ready(Ok(Piece::Data(count))) => {
                body.extend_from_slice(&from.piece()[..count]);
                from.consume(count);
                if body.len() > bytes_max {
                    return Poll::Ready(Collected::TooLong);
                }
            }
            Poll::Ready(Ok(Piece::End)) => return Poll::Ready(Collected::Whole),
            Poll::Ready(Err(error)) => return Poll::Ready(Collected::Broken(error)),
            Poll::Pending => return timer.poll_until(cx, until).map(|()| Collected::TimedOut),
        }
    }
}
