//! The way back: a response to the client while the rest of the request may still be going out, and tunnels.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use forebay_clock::Moment;
use forebay_http::body::{Incoming, Outgoing, RelayError, poll_relay};
use forebay_http::client::Connection;
use forebay_http::framing::{self, Framing};
use forebay_http::problem::{Fault, Problem};
use forebay_http::server::Request;
use forebay_http::timer::Timer;
use forebay_http::writer::WriteError;
use forebay_http::{Name, ResponseHead, forwarded};
use forebay_shutdown::Kind;
use forebay_telemetry::access::Side;

use crate::attempt::RestOfBody;
use crate::forward::{Errand, Found};
use crate::generation::Upstream;
use crate::keyed;
use crate::pipeline::{answer, refuse};
use crate::visit::Visit;

/// Gives the client the response whose head has arrived.
pub(crate) async fn response(
    errand: &Errand<'_>,
    found: Found<'_>,
    request: &mut Request<'_>,
    visit: &mut Visit<'_>,
) {
    let Found { upstream, mut connection, mut head, rest, busy: _busy } = found;
    let framing = match connection.start_response(&head, request.head.method()) {
        Ok(framing) => framing,
        Err(error) => {
            let detail =
                format!("service {} sent a response that is not valid HTTP: {error}", errand.service.name);
            let problem = Problem::new(502, "upstream-malformed", Fault::Upstream, detail);
            return refuse(&mut request.responder, request.timer, &problem, visit).await;
        }
    };
    if head.status() == 101 {
        // Boxed, as all that is rare: every request carries the room for what is not.
        return Box::pin(switch(errand, connection, head, request, visit)).await;
    }
    let mut prefix = Bytes::new();
    if let Some(keyed) = &errand.keyed {
        let kept = keyed::keep(errand, keyed, &mut connection, (&head, framing), request.timer);
        match Box::pin(kept).await {
            keyed::Kept::Whole(body) => {
                put_back(errand, upstream, connection);
                head.fields_mut().add(Name::Via, forwarded::VIA.as_bytes());
                return answer(&mut request.responder, request.timer, head, &body, visit).await;
            }
            keyed::Kept::Passed(begun) => prefix = begun.into(),
            keyed::Kept::Failed(problem) => {
                return refuse(&mut request.responder, request.timer, &problem, visit).await;
            }
        }
    }
    let quiet = quiet_time(errand, &head);
    start(errand, head, framing, request, visit);
    let rest_of_request = rest == RestOfBody::FromClient && !request.body.is_over();
    let relayed = stream(&mut connection, prefix, rest_of_request, quiet, request, visit).await;
    match relayed {
        Some(Ok(())) => put_back(errand, upstream, connection),
        // All that is left is to pass on what did come and to break off: the client sees that the body is not whole.
        Some(Err(RelayError::Source(_))) => {
            visit.failure = Some((Side::Upstream, "upstream-broken-midway"));
            let flush = poll_fn(|cx| request.responder.body().poll_flush(cx));
            let _ = Box::pin(request.timer.within(request.timer.now() + quiet, flush)).await;
        }
        Some(Err(RelayError::Sink(_))) => visit.failure = Some((Side::Client, "client-gone")),
        None => visit.failure = Some((Side::Upstream, "stalled")),
    }
}

fn start(
    errand: &Errand<'_>,
    mut head: ResponseHead,
    framing: Framing,
    request: &mut Request<'_>,
    visit: &mut Visit<'_>,
) {
    visit.status = Some(head.status());
    let length = match framing {
        Framing::None => framing::declared_length(&head),
        framing => framing.length(),
    };
    head.fields_mut().add(Name::Via, forwarded::VIA.as_bytes());
    errand.dress(&mut head, visit);
    request.responder.start(head, length);
}

/// Carries the bodies until the response's is over; `None` when nothing has moved for too long.
async fn stream(
    connection: &mut Connection,
    mut prefix: Bytes,
    mut rest_of_request: bool,
    quiet: Duration,
    request: &mut Request<'_>,
    visit: &mut Visit<'_>,
) -> Option<Result<(), RelayError>> {
    let mut progress = Progress::new(request.timer, quiet);
    poll_fn(|cx| {
        let (mut from, mut to) = connection.halves();
        if rest_of_request {
            match poll_relay(cx, &mut request.body, &mut to, |piece| {
                visit.bytes_in += piece.len() as u64;
                progress.made();
            }) {
                Poll::Pending => {}
                // The upstream answers without reading on, which is its right; or the client has gone, which
                // sending the response will show.
                Poll::Ready(_) => rest_of_request = false,
            }
        }
        if !prefix.is_empty() {
            match poll_prefix(cx, &mut prefix, request.responder.body()) {
                Poll::Ready(Ok(())) => progress.made(),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(RelayError::Sink(error)))),
                Poll::Pending => return progress.poll_stalled(cx).map(|()| None),
            }
        }
        match poll_relay(cx, &mut from, request.responder.body(), |_| progress.made()) {
            Poll::Ready(relayed) => Poll::Ready(Some(relayed)),
            Poll::Pending => progress.poll_stalled(cx).map(|()| None),
        }
    })
    .await
}

/// Keeps a connection whose response is whole for the next request.
fn put_back(errand: &Errand<'_>, upstream: &Upstream, connection: Box<Connection>) {
    if connection.is_reusable() {
        errand.core.pool.put(u64::from(upstream.id().0), connection, errand.core.now());
    }
}

/// Sends what was read before the response began.
fn poll_prefix(
    cx: &mut Context<'_>,
    prefix: &mut Bytes,
    to: &mut Outgoing<'_>,
) -> Poll<Result<(), WriteError>> {
    while !prefix.is_empty() {
        let count = ready!(to.poll_body(cx, prefix))?;
        drop(prefix.split_to(count));
    }
    Poll::Ready(Ok(()))
}

/// How long neither side may be silent. The route's patience, except for event streams, which are silent by nature.
fn quiet_time(errand: &Errand<'_>, head: &ResponseHead) -> Duration {
    if is_event_stream(head) { errand.limits.stream_idle_timeout } else { errand.route.timeout }
}

/// Whether it is silent by nature.
pub(crate) fn is_event_stream(head: &ResponseHead) -> bool {
    head.fields().get(Name::ContentType).is_some_and(|media_type| {
        media_type.get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
    })
}

/// Switches protocols and carries bytes both ways until both ends are done.
async fn switch(
    errand: &Errand<'_>,
    mut connection: Box<Connection>,
    head: ResponseHead,
    request: &mut Request<'_>,
    visit: &mut Visit<'_>,
) {
    let Some(upgrade) = &errand.hop.upgrade else {
        let detail = format!("service {} switched protocols without being asked", errand.service.name);
        let problem = Problem::new(502, "upstream-malformed", Fault::Upstream, detail);
        return refuse(&mut request.responder, request.timer, &problem, visit).await;
    };
    visit.status = Some(101);
    let counted = errand.core.tally.enter(Kind::Tunnel);
    visit.counted = None;
    let protocol = head.fields().get(Name::Upgrade).unwrap_or(upgrade).to_vec();
    request.responder.start_tunnel(head, &protocol);
    request.body.begin_tunnel();
    let mut progress = Progress::new(request.timer, errand.limits.stream_idle_timeout);
    let (mut up, mut down) = (Direction::Open, Direction::Open);
    poll_fn(|cx| {
        let (mut from, mut to) = connection.halves();
        let one = up.poll(cx, &mut request.body, &mut to, |piece| {
            visit.bytes_in += piece.len() as u64;
            progress.made();
        });
        let other = down.poll(cx, &mut from, request.responder.body(), |_| progress.made());
        if one.is_ready() && other.is_ready() {
            return Poll::Ready(());
        }
        progress.poll_stalled(cx)
    })
    .await;
    drop(counted);
}

/// One direction of a tunnel: after its end the other side is told so, while the other direction goes on.
enum Direction {
    Open,
    Ending,
    Closed,
}

impl Direction {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Incoming<'_>,
        to: &mut Outgoing<'_>,
        seen: impl FnMut(&[u8]),
    ) -> Poll<()> {
        if let Direction::Open = self {
            // An error ends this direction as an end does.
            let _ = ready!(poll_relay(cx, from, to, seen));
            *self = Direction::Ending;
        }
        if let Direction::Ending = self {
            // What came before an error is the other side's all the same.
            let _ = ready!(to.poll_flush(cx));
            let _ = ready!(to.poll_shutdown(cx));
            *self = Direction::Closed;
        }
        Poll::Ready(())
    }
}

/// Notices that nothing has moved for too long.
struct Progress<'t> {
    timer: &'t Timer,
    quiet: Duration,
    moved: bool,
    until: Option<Moment>,
}

impl<'t> Progress<'t> {
    fn new(timer: &'t Timer, quiet: Duration) -> Progress<'t> {
        Progress { timer, quiet, moved: false, until: None }
    }

    fn made(&mut self) {
        self.moved = true;
    }

    /// To be asked when all is pending.
    fn poll_stalled(&mut self, cx: &Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.moved) {
            self.until = None;
        }
        let until = *self.until.get_or_insert_with(|| self.timer.now() + self.quiet);
        self.timer.poll_until(cx, until)
    }
}
