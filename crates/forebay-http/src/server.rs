//! Serves one HTTP/1 connection: reads a request, has it answered, and goes on while both sides may.
//!
//! What the answer is, is not decided here, except for requests that are not HTTP.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use forebay_clock::Moment;

use crate::body::{Collected, Incoming, Outgoing};
use crate::buffer::Buffer;
use crate::date::DateCache;
use crate::framing::{self, Framing};
use crate::head::{Method, RequestHead, ResponseHead, Scheme, Version};
use crate::io::Io;
use crate::name::Name;
use crate::parse::{HeadLimits, Malformed};
use crate::problem::Problem;
use crate::reader::{Piece, ReadError, Reader};
use crate::timer::{Sweeper, Timer};
use crate::writer::{Delimit, WriteError, Writer, delimit_response};

/// Unread request bytes that are worth reading to keep a connection.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;
/// Bytes read from a client that is being refused, so that its kernel hands it the answer before a reset.
const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// How long that may take.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// While closing, a connection that was idle this long has got no request under way.
const CLOSING_IDLE: Duration = Duration::from_millis(500);

/// Answers one request. Knows no socket and no framing; HTTP/1, HTTP/2 and internal callers share it.
pub trait Exchange {
    /// Serves the request: at the end the response is either ended or abandoned.
    fn exchange(&self, request: Request<'_>) -> impl Future<Output = ()>;

    /// Told of a request that could not be understood, after it was answered with this problem.
    fn refused(&self, peer: &Peer, problem: &Problem);
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Where it connected to.
    pub local: SocketAddr,
    /// Whether the connection is TLS.
    pub scheme: Scheme,
    /// The address without its port, as text: every request of the connection tells it to the upstream.
    pub address_text: Box<str>,
}

impl Peer {
    /// The peer of a connection.
    pub fn new(address: SocketAddr, local: SocketAddr, scheme: Scheme) -> Peer {
        Peer { address, local, scheme, address_text: address.ip().to_canonical().to_string().into() }
    }
}

/// One request and the way to answer it.
pub struct Request<'c> {
    /// Its head.
    pub head: RequestHead,
    /// How long its body is.
    pub framing: Framing,
    /// Its body.
    pub body: Incoming<'c>,
    /// Takes the response.
    pub responder: Responder<'c>,
    /// Who sent it.
    pub peer: &'c Peer,
    /// The connection's time limit.
    pub timer: &'c Timer,
    /// When its head was whole.
    pub received: Moment,
}

/// Takes one response: interim heads, then one head, then the body.
pub struct Responder<'c> {
    out: Outgoing<'c>,
    method: Method,
    version: Version,
    /// Written to by the responder, read by the connection when the exchange is over.
    fate: &'c Fate,
    dates: &'c DateCache,
}

/// What becomes of the connection after the response.
#[derive(Debug, Default)]
struct Fate {
    started: Cell<bool>,
    close: Cell<bool>,
    tunnel: Cell<bool>,
    /// The client waits for a 100. Whether it still sends its body after another answer cannot be known, so nothing
    /// behind that answer can be understood.
    awaits_continue: Cell<bool>,
    closing: Option<Arc<AtomicBool>>,
}

impl<'c> Responder<'c> {
    /// A responder for an internal caller.
    pub fn collect(
        collected: &'c mut Collected,
        method: Method,
        dates: &'c DateCache,
        fate: &'c InternalFate,
    ) -> Responder<'c> {
        Responder {
            out: Outgoing::Collect(collected),
            method,
            version: Version::Http11,
            fate: &fate.0,
            dates,
        }
    }

    /// Whether the response head was sent, so that another answer is no longer possible.
    pub fn has_started(&self) -> bool {
        self.fate.started.get()
    }

    /// Whether the client understands 1xx responses.
    pub fn takes_interim(&self) -> bool {
        self.version >= Version::Http11 && matches!(self.out, Outgoing::Http1 { .. })
    }

    /// Sends a 1xx response other than 101.
    pub async fn interim(&mut self, mut head: ResponseHead) -> Result<(), WriteError> {
        if !self.takes_interim() {
            return Ok(());
        }
        head.fields_mut().remove_hop_by_hop();
        head.fields_mut().remove_framing();
        if head.status() == 100 {
            self.fate.awaits_continue.set(false);
        }
        if let Outgoing::Http1 { writer, .. } = &mut self.out {
            writer.interim(&head);
        }
        poll_fn(|cx| self.out.poll_flush(cx)).await
    }

    /// Tells a client that waits for it to send the body: for an exchange that reads the body before it answers.
    pub async fn go_on(&mut self) -> Result<(), WriteError> {
        if self.fate.awaits_continue.get() { self.interim(ResponseHead::new(100)).await } else { Ok(()) }
    }

    /// Starts the response. `length` is the body's, where it is known: for an answer to `HEAD` and for 304 the
    /// length that a body would have. Nothing is sent before the first flush.
    pub fn start(&mut self, mut head: ResponseHead, length: Option<u64>) {
        debug_assert!(!self.has_started());
        self.fate.started.set(true);
        head.fields_mut().remove_hop_by_hop();
        head.fields_mut().remove_framing();
        if head.fields().get(Name::Date).is_none() {
            // RFC 9110 §6.6.1: whoever has a clock adds what is missing.
            head.fields_mut().add(Name::Date, self.dates.now().as_bytes());
        }
        match &mut self.out {
            Outgoing::Collect(collected) => collected.head = Some(head),
            Outgoing::Http1 { writer, .. } => {
                let no_body = self.method == Method::Head || framing::has_no_body(head.status());
                let delimit = match (no_body, length) {
                    _ if head.status() == 204 => Delimit::None,
                    (true, Some(length)) => Delimit::Length(length),
                    (true, None) => Delimit::None,
                    (false, length) => delimit_response(self.version, length),
                };
                let closing =
                    self.fate.closing.as_ref().is_some_and(|closing| closing.load(Ordering::Relaxed));
                if delimit == Delimit::Close || closing || self.fate.awaits_continue.get() {
                    self.fate.close.set(true);
                }
                let option = match (self.fate.close.get(), self.version) {
                    (true, _) => Some("close"),
                    (false, Version::Http10) => Some("keep-alive"),
                    (false, _) => None,
                };
                writer.start_response(&head, delimit, option, None);
                if no_body {
                    writer.omit_body();
                }
            }
        }
    }

    /// Switches protocols: from here on both bodies are raw bytes until their ends. `protocol` is the agreed
    /// `Upgrade` value.
    pub fn start_tunnel(&mut self, mut head: ResponseHead, protocol: &[u8]) {
        self.fate.started.set(true);
        self.fate.close.set(true);
        self.fate.tunnel.set(true);
        head.fields_mut().remove_hop_by_hop();
        head.fields_mut().remove_framing();
        if let Outgoing::Http1 { writer, .. } = &mut self.out {
            writer.start_response(&head, Delimit::Close, None, Some(protocol));
        }
    }

    /// The connection ends with this response. To be called before it starts.
    pub fn close_after(&mut self) {
        self.fate.close.set(true);
    }

    /// Where the body goes.
    pub fn body(&mut self) -> &mut Outgoing<'c> {
        &mut self.out
    }

    /// Sends a whole response.
    pub async fn send(&mut self, head: ResponseHead, body: &[u8]) -> Result<(), WriteError> {
        let has_body = self.method != Method::Head && !framing::has_no_body(head.status());
        self.start(head, Some(body.len() as u64));
        let mut rest = if has_body { body } else { &[] };
        while !rest.is_empty() {
            let count = poll_fn(|cx| self.out.poll_body(cx, rest)).await?;
            rest = &rest[count..];
        }
        self.out.end(None)?;
        poll_fn(|cx| self.out.poll_flush(cx)).await
    }
}

/// What a connection's fate is to an internal caller: nothing.
#[derive(Debug, Default)]
pub struct InternalFate(Fate);

/// What holds for all connections of a listener.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Size of heads.
    pub limits: HeadLimits,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// Set when no further request is wanted: responses say `Connection: close`, idle connections end.
    pub closing: Arc<AtomicBool>,
}

/// What a core's connections share.
#[derive(Clone)]
pub struct ServerCore {
    /// Time limits.
    pub sweeper: Sweeper,
    /// The `Date` field's text.
    pub dates: Rc<DateCache>,
}

struct Connection {
    io: Io,
    reader: Reader,
    writer: Writer,
    timer: Timer,
    peer: Peer,
}

/// Serves a connection until it ends.
pub async fn serve<X: Exchange>(
    io: Io,
    peer: Peer,
    core: &ServerCore,
    settings: &ServerSettings,
    exchange: &X,
) {
    let reader = Reader::new(settings.limits);
    let timer = core.sweeper.timer();
    let mut connection = Connection { io, reader, writer: Writer::new(), timer, peer };
    loop {
        let request = match connection.next_request(settings).await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(refusal) => {
                exchange.refused(&connection.peer, &refusal);
                // Boxed like an exchange: an idle connection should not carry the room for it.
                return Box::pin(connection.refuse(&refusal, &core.dates)).await;
            }
        };
        let fate = Fate { closing: Some(settings.closing.clone()), ..Fate::default() };
        fate.close.set(!framing::keeps_alive(request.0.fields(), request.0.version()));
        fate.awaits_continue.set(framing::expects_continue(&request.0, request.1));
        Box::pin(connection.answer(request, &fate, core, exchange)).await;
        if connection.is_done_with(&fate) {
            continue;
        }
        if !Box::pin(connection.goes_on(&fate)).await {
            return;
        }
    }
}

impl Connection {
    /// The next request with its framing; `None` when the client has closed or was idle for too long.
    async fn next_request(
        &mut self,
        settings: &ServerSettings,
    ) -> Result<Option<(RequestHead, Framing)>, Problem> {
        let mut parser = None;
        let idle_since = self.timer.now();
        let mut head_until = None;
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = self.reader.poll_request_head(cx, &self.io, &mut parser) {
                return Poll::Ready(Some(read));
            }
            let until = if self.reader.has_bytes() {
                *head_until.get_or_insert_with(|| self.timer.now() + settings.head_timeout)
            } else if settings.closing.load(Ordering::Relaxed) {
                idle_since + CLOSING_IDLE
            } else {
                idle_since + settings.idle_timeout
            };
            self.timer.poll_until(cx, until).map(|()| None)
        })
        .await;
        let mut head = match read {
            Some(Ok(Some(head))) => head,
            Some(Ok(None)) => return Ok(None),
            Some(Err(ReadError::Malformed(malformed))) => return Err(Problem::malformed(malformed)),
            Some(Err(ReadError::Broken(_) | ReadError::Incomplete | ReadError::TooLarge)) => return Ok(None),
            None if self.reader.has_bytes() => return Err(Problem::head_timeout()),
            None => return Ok(None),
        };
        head.set_scheme(self.peer.scheme);
        let framing = framing::of_request(&head).map_err(Problem::malformed)?;
        check_expectation(&head).map_err(Problem::malformed)?;
        Ok(Some((head, framing)))
    }

    async fn answer<X: Exchange>(
        &mut self,
        (head, framing): (RequestHead, Framing),
        fate: &Fate,
        core: &ServerCore,
        exchange: &X,
    ) {
        self.reader.begin_body(framing);
        let (method, version) = (head.method(), head.version());
        let out = Outgoing::Http1 { io: &self.io, writer: &mut self.writer };
        let request = Request {
            head,
            framing,
            body: Incoming::Http1 { io: &self.io, reader: &mut self.reader },
            responder: Responder { out, method, version, fate, dates: &core.dates },
            peer: &self.peer,
            timer: &self.timer,
            received: self.timer.now(),
        };
        exchange.exchange(request).await;
    }

    /// Whether request and response are whole and the connection stays: the usual end.
    fn is_done_with(&self, fate: &Fate) -> bool {
        fate.started.get()
            && !fate.close.get()
            && self.writer.is_between_messages()
            && self.reader.is_between_messages()
    }

    /// Whether another request may follow all the same; reads what is left of this one, within reason.
    async fn goes_on(&mut self, fate: &Fate) -> bool {
        let answered = fate.started.get() && self.writer.is_between_messages();
        if !answered && !fate.tunnel.get() && self.writer.is_ended_by_close() {
            // A clean end would say that the body is whole.
            self.io.reset_on_close();
        }
        if !answered || fate.tunnel.get() {
            return false;
        }
        if self.reader.is_between_messages() {
            if fate.close.get() {
                self.linger().await;
            }
            return !fate.close.get();
        }
        if !fate.close.get() && self.drain_body().await {
            return true;
        }
        self.linger().await;
        false
    }

    /// Reads the rest of a request nobody wanted. True when it was short enough.
    async fn drain_body(&mut self) -> bool {
        let until = self.timer.now() + LINGER_TIME;
        let drained = poll_fn(|cx| {
            loop {
                match self.reader.poll_piece(cx, &self.io) {
                    Poll::Ready(Ok(Piece::Data(count))) if self.reader.body_bytes() < DRAIN_BYTES_MAX => {
                        self.reader.consume(count);
                    }
                    Poll::Ready(Ok(Piece::End)) => return Poll::Ready(true),
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending => return self.timer.poll_until(cx, until).map(|()| false),
                }
            }
        });
        drained.await
    }

    /// Answers what is not a request.
    async fn refuse(&mut self, problem: &Problem, dates: &DateCache) {
        let fate = Fate::default();
        fate.close.set(true);
        let out = Outgoing::Http1 { io: &self.io, writer: &mut self.writer };
        let mut responder =
            Responder { out, method: Method::Other, version: Version::Http11, fate: &fate, dates };
        let (head, body) = problem.response();
        let until = self.timer.now() + LINGER_TIME;
        if let Some(Ok(())) = self.timer.within(until, responder.send(head, &body)).await {
            self.linger().await;
        }
    }

    /// Closes so that the client gets to read the answer: bytes that arrive at a closed socket would make its
    /// kernel throw the answer away (RFC 9112 §9.6).
    async fn linger(&mut self) {
        self.reader.discard();
        let until = self.timer.now() + LINGER_TIME;
        let (io, timer) = (&self.io, &self.timer);
        let closed = async {
            let _ = poll_fn(|cx| io.poll_shutdown(cx)).await;
            let mut buffer = Buffer::take();
            let mut left = LINGER_BYTES_MAX;
            poll_fn(|cx| {
                while left > 0 {
                    match ready!(io.poll_read(cx, &mut buffer)) {
                        Ok(0) | Err(_) => break,
                        Ok(count) => left = left.saturating_sub(count),
                    }
                    let filled = buffer.len();
                    buffer.consume(filled);
                }
                Poll::Ready(())
            })
            .await;
        };
        timer.within(until, closed).await;
    }
}

/// The only expectation there is, is `100-continue` (RFC 9110 §10.1.1).
fn check_expectation(head: &RequestHead) -> Result<(), Malformed> {
    let mut expectations = head.fields().get_all(Name::Expect);
    match (expectations.next(), expectations.next()) {
        (None, _) => Ok(()),
        (Some(expectation), None) if expectation.eq_ignore_ascii_case(b"100-continue") => Ok(()),
        _ => Err(Malformed::Expectation),
    }
}
