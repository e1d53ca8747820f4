//! One attempt: a connection, the request, and the head of the response.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use forebay_clock::Moment;
use forebay_http::body::{Incoming, RelayError, poll_relay};
use forebay_http::client::{ConnectError, Connection};
use forebay_http::framing::Framing;
use forebay_http::problem::{Fault, Problem};
use forebay_http::reader::ReadError;
use forebay_http::server::Request;
use forebay_http::writer::Delimit;
use forebay_http::{Method, Name, ResponseHead, Section};
use forebay_retry::{Ending, Priority};

use crate::forward::Errand;
use crate::generation::Upstream;
use crate::replay::Replay;
use crate::stage::body_too_large;

/// How long an upstream may leave a 100 unsaid before the client is told to send its body anyway: curl waits as long.
const CONTINUE_TIME: Duration = Duration::from_secs(1);
/// Interim responses to one request; nobody sends more than one or two.
const INTERIM_MAX: u32 = 16;

/// How an attempt ended.
pub(crate) enum Outcome {
    /// The final head of a response has arrived.
    Answered(Box<Connection>, ResponseHead, RestOfBody),
    /// No response.
    Failed(Ending, Problem),
    /// The client left, or stopped sending its body.
    ClientGone,
    /// The client's body is not valid, too large, or did not arrive in time.
    Refused(Problem),
}

/// What of the request's body an upstream may still be sent that has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestOfBody {
    /// All that the client sends from here on.
    FromClient,
    /// Nothing: a part that was kept for another attempt did not go out before the answer came, and a body with a hole
    /// would be another body.
    Nothing,
}

/// What is noted of an attempt, for log and metrics.
#[derive(Debug)]
pub(crate) struct Note {
    /// Which of the request's attempts it is; the first is 1.
    pub(crate) number: u32,
    /// Of the request's body, taken from the client so far.
    pub(crate) bytes_in: u64,
    /// From its start to its response's head, in nanoseconds.
    pub(crate) upstream_ns: Option<u64>,
}

/// What happens next while a response is awaited.
enum Event {
    Head(ResponseHead),
    /// It is time to have the client send its body.
    ContinueDue,
    TimedOut,
    Broken(ReadError),
    ClientBroken(ReadError),
    ClientStalled,
}

/// How far the request has been sent.
struct Sending {
    /// Of the kept body, for a further attempt.
    replayed: usize,
    /// Until when the client's body is not read, because the upstream has not asked for it.
    awaits_continue: Option<Moment>,
    is_done: bool,
    /// When this attempt has taken too long.
    until: Moment,
}

/// Makes one attempt. A kept connection that turns out to be closed is replaced once by a fresh one: that the upstream
/// had stopped listening is no failure of the request.
pub(crate) async fn attempt(
    errand: &Errand<'_>,
    upstream: &Upstream,
    request: &mut Request<'_>,
    replay: &mut Replay,
    note: &mut Note,
) -> Outcome {
    let must_be_certain = !request.head.method().is_idempotent();
    let id = u64::from(upstream.id().0);
    let started = errand.core.now();
    let kept = errand.core.pool.take(id, started, must_be_certain);
    if let Some(connection) = kept {
        match try_on(errand, connection, upstream, request, replay, note, started).await {
            Outcome::Failed(Ending::Broken | Ending::BrokenUnsent, _)
                if !must_be_certain && replay.is_whole() => {}
            outcome => return outcome,
        }
    }
    match open(errand, upstream, request).await {
        Ok(connection) => {
            let started = errand.core.now();
            try_on(errand, Box::new(connection), upstream, request, replay, note, started).await
        }
        Err(outcome) => outcome,
    }
}

async fn open(
    errand: &Errand<'_>,
    upstream: &Upstream,
    request: &Request<'_>,
) -> Result<Connection, Outcome> {
    let now = errand.core.now();
    let until = errand.deadline.min(now + errand.limits.connect_timeout);
    let address = upstream.endpoint.endpoint.address;
    errand.generation.shared.services[errand.place].metrics.connects.inc(errand.core.metrics);
    let open = Connection::open(address, upstream.tls.as_ref(), errand.limits.head, request.timer, until);
    // Boxed, as all that is rare: every request carries the room for what is not.
    Box::pin(open)
        .await
        .map_err(|error| Outcome::Failed(Ending::ConnectFailed, connect_problem(&error, errand)))
}

async fn try_on(
    errand: &Errand<'_>,
    mut connection: Box<Connection>,
    upstream: &Upstream,
    request: &mut Request<'_>,
    replay: &mut Replay,
    note: &mut Note,
    started: Moment,
) -> Outcome {
    let mut sending = start(errand, &mut connection, upstream, request, replay, note.number, started);
    let mut interim = 0;
    loop {
        let event =
            poll_fn(|cx| poll_event(cx, errand, &mut connection, request, replay, &mut sending)).await;
        note.bytes_in = replay.taken();
        match event {
            Event::Head(head) if head.status() >= 200 || head.status() == 101 => {
                note.upstream_ns = Some(errand.core.now().since(started).as_nanos() as u64);
                let is_sent = sending.replayed == replay.kept().len();
                let rest = if is_sent { RestOfBody::FromClient } else { RestOfBody::Nothing };
                return Outcome::Answered(connection, head, rest);
            }
            Event::Head(head) => {
                interim += 1;
                let is_continue = head.status() == 100;
                // A client that did not ask for a 100 is not waiting for one.
                let wanted = !is_continue || sending.awaits_continue.is_some();
                if is_continue {
                    sending.awaits_continue = None;
                }
                if interim > INTERIM_MAX {
                    let detail =
                        format!("service {} sent interim responses without end", errand.service.name);
                    let problem = Problem::new(502, "upstream-malformed", Fault::Upstream, detail);
                    return Outcome::Failed(Ending::BrokenMidway, problem);
                }
                if wanted && request.responder.interim(head).await.is_err() {
                    return Outcome::ClientGone;
                }
            }
            Event::ContinueDue => {
                sending.awaits_continue = None;
                if request.responder.interim(ResponseHead::new(100)).await.is_err() {
                    return Outcome::ClientGone;
                }
            }
            Event::TimedOut => {
                return Outcome::Failed(
                    Ending::TimedOut,
                    timeout_problem(errand, sending.until, request.received),
                );
            }
            Event::Broken(error) => return broken(errand, &connection, &error),
            Event::ClientBroken(error) => return client_broken(errand, error),
            Event::ClientStalled => return Outcome::Refused(Problem::body_timeout()),
        }
    }
}

/// Writes the head for this endpoint; nothing is sent before the first flush.
fn start(
    errand: &Errand<'_>,
    connection: &mut Connection,
    upstream: &Upstream,
    request: &mut Request<'_>,
    replay: &Replay,
    number: u32,
    started: Moment,
) -> Sending {
    if let Some(authority) = &upstream.endpoint.endpoint.authority {
        request.head.fields_mut().set("host", authority.as_bytes());
    } else if request.head.fields().get(Name::Host).is_none() {
        // From an HTTP/1.0 client; what goes out is HTTP/1.1.
        let address = upstream.endpoint.endpoint.address.to_string();
        request.head.fields_mut().append("host", address.as_bytes());
    }
    let delimit = match errand.hop.upgrade {
        Some(_) => Delimit::Close,
        None => delimit_request(request.head.method(), request.framing),
    };
    let until = errand.service.retry.attempt_deadline(started, errand.deadline);
    tell_next_hop(errand, request.head.fields_mut(), until, started, number);
    let upgrade = errand.hop.upgrade.as_deref();
    errand.sending();
    connection.start_request(&request.head, delimit, upgrade);
    Sending {
        replayed: 0,
        // A client that has begun to send its body is not waiting any more.
        awaits_continue: (errand.hop.expects_continue && replay.taken() == 0)
            .then(|| started + CONTINUE_TIME),
        is_done: false,
        until,
    }
}

/// How long we wait, how important it is, and which attempt this is where it is not the first.
fn tell_next_hop(errand: &Errand<'_>, fields: &mut Section, until: Moment, now: Moment, attempt: u32) {
    fields.remove(Name::ForebayTimeoutMs);
    fields.add_number(Name::ForebayTimeoutMs, forebay_retry::left_ms(until, now));
    if errand.priority != Priority::default() {
        fields.remove(Name::ForebayPriority);
        fields.add(Name::ForebayPriority, errand.priority.text().as_bytes());
    }
    if let Some(count) = errand.nesting.tell(attempt) {
        fields.remove(Name::ForebayAttempt);
        fields.add_number(Name::ForebayAttempt, count.into());
    }
}

/// Sends what there is to send and looks for the response, in one task and without order: an upstream may answer
/// before it has read everything.
fn poll_event(
    cx: &mut Context<'_>,
    errand: &Errand<'_>,
    connection: &mut Connection,
    request: &mut Request<'_>,
    replay: &mut Replay,
    sending: &mut Sending,
) -> Poll<Event> {
    if !sending.is_done {
        match poll_send(cx, errand, connection, request, replay, sending) {
            Poll::Ready(Ok(())) => sending.is_done = true,
            Poll::Ready(Err(Unsent::Source(error))) => return Poll::Ready(Event::ClientBroken(error)),
            // An upstream that stops reading may have said why: look for its answer below.
            Poll::Ready(Err(Unsent::Sink)) => sending.is_done = true,
            Poll::Pending => {}
        }
    }
    match connection.poll_head(cx) {
        Poll::Ready(Ok(head)) => return Poll::Ready(Event::Head(head)),
        Poll::Ready(Err(error)) => return Poll::Ready(Event::Broken(error)),
        Poll::Pending => {}
    }
    let until = sending.awaits_continue.map_or(sending.until, |due| due.min(sending.until));
    ready!(request.timer.poll_until(cx, until));
    if until < sending.until {
        return Poll::Ready(Event::ContinueDue);
    }
    // Everything that came was passed on, so the upstream waits as we do.
    let waits_for_client = !sending.is_done
        && sending.awaits_continue.is_none()
        && !connection.has_waiting()
        && request.body.piece().is_empty();
    Poll::Ready(if waits_for_client { Event::ClientStalled } else { Event::TimedOut })
}

enum Unsent {
    Source(ReadError),
    Sink,
}

impl From<RelayError> for Unsent {
    fn from(error: RelayError) -> Unsent {
        match error {
            RelayError::Source(error) => Unsent::Source(error),
            RelayError::Sink(_) => Unsent::Sink,
        }
    }
}

fn poll_send(
    cx: &mut Context<'_>,
    errand: &Errand<'_>,
    connection: &mut Connection,
    request: &mut Request<'_>,
    replay: &mut Replay,
    sending: &mut Sending,
) -> Poll<Result<(), Unsent>> {
    let mut to = connection.request_body();
    while sending.replayed < replay.kept().len() && sending.awaits_continue.is_none() {
        let rest = &replay.kept()[sending.replayed..];
        sending.replayed += ready!(to.poll_body(cx, rest)).map_err(|_| Unsent::Sink)?;
    }
    if errand.hop.upgrade.is_some() || sending.awaits_continue.is_some() {
        ready!(to.poll_flush(cx)).map_err(|_| Unsent::Sink)?;
        return if errand.hop.upgrade.is_some() { Poll::Ready(Ok(())) } else { Poll::Pending };
    }
    let mut whole = Incoming::empty();
    let from = if request.framing == Framing::None { &mut whole } else { &mut request.body };
    poll_relay(cx, from, &mut to, |piece| {
        replay.keep(piece);
        sending.replayed = replay.kept().len();
    })
    .map_err(Unsent::from)
}

/// How the request's body goes to the upstream: as it came.
fn delimit_request(method: Method, framing: Framing) -> Delimit {
    match framing {
        // Methods that give a body a meaning say that there is none (RFC 9110 §8.6).
        Framing::None if matches!(method, Method::Post | Method::Put | Method::Patch) => Delimit::Length(0),
        Framing::None => Delimit::None,
        Framing::Length(length) => Delimit::Length(length),
        Framing::Chunked | Framing::UntilClose => Delimit::Chunked,
    }
}

fn client_broken(errand: &Errand<'_>, error: ReadError) -> Outcome {
    match error {
        ReadError::Malformed(malformed) => Outcome::Refused(Problem::malformed(malformed)),
        ReadError::TooLarge => Outcome::Refused(body_too_large(errand.route.body_bytes_max)),
        _ => Outcome::ClientGone,
    }
}

fn broken(errand: &Errand<'_>, connection: &Connection, error: &ReadError) -> Outcome {
    let service = &errand.service.name;
    if let ReadError::Malformed(malformed) = error {
        let detail = format!("service {service} sent a response that is not valid HTTP: {malformed}");
        // It has seen the request and answered something: the same again would be the same again.
        return Outcome::Failed(
            Ending::BrokenMidway,
            Problem::new(502, "upstream-malformed", Fault::Upstream, detail),
        );
    }
    let ending = if connection.has_answered() {
        Ending::BrokenMidway
    } else if connection.has_sent() {
        Ending::Broken
    } else {
        Ending::BrokenUnsent
    };
    let detail = format!("service {service} closed the connection before it answered");
    Outcome::Failed(ending, Problem::new(502, "upstream-broken", Fault::Upstream, detail))
}

fn connect_problem(error: &ConnectError, errand: &Errand<'_>) -> Problem {
    let service = &errand.service.name;
    match error {
        ConnectError::Tcp(_) => {
            let detail = format!("service {service} could not be reached");
            Problem::new(502, "upstream-unreachable", Fault::Upstream, detail)
        }
        ConnectError::Tls(_) => {
            let detail = format!("service {service} failed the TLS handshake");
            Problem::new(502, "upstream-tls", Fault::Upstream, detail)
        }
        ConnectError::TimedOut => {
            let detail = format!("service {service} could not be reached in time");
            Problem::new(504, "upstream-connect-timeout", Fault::Upstream, detail)
        }
    }
}

fn timeout_problem(errand: &Errand<'_>, until: Moment, received: Moment) -> Problem {
    let (service, timeout) = (&errand.service.name, errand.route.timeout);
    let detail = match errand.service.retry.attempt_timeout {
        Some(attempt) if until < errand.deadline => {
            format!("service {service} did not answer within {attempt:?}")
        }
        _ if errand.deadline < received + timeout => {
            format!("service {service} did not answer before the caller's time was over")
        }
        _ => format!("service {service} did not answer within {timeout:?}"),
    };
    Problem::new(504, "upstream-timeout", Fault::Upstream, detail)
}
