//! Connections to upstreams: making them, and one request at a time over each.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::body::{Collected, Incoming, Outgoing, RelayError, poll_relay};
use crate::framing::{self, Framing};
use crate::head::{Method, RequestHead, ResponseHead};
use crate::io::Io;
use crate::parse::{HeadLimits, ResponseParser};
use crate::reader::{ReadError, Reader};
use crate::timer::Timer;
use crate::tls::in_words;
use crate::writer::{Delimit, WriteError, Writer};
use forebay_clock::Moment;

/// How TLS is spoken to an upstream.
#[derive(Clone, Debug)]
pub struct TlsTarget {
    /// Trusted roots and versions.
    pub config: Arc<ClientConfig>,
    /// The name its certificate must have.
    pub name: ServerName<'static>,
}

/// A connection to an upstream, with at most one request under way.
pub struct Connection {
    io: Io,
    reader: Reader,
    writer: Writer,
    parser: Option<ResponseParser>,
    /// Cleared when the upstream or the response's framing says that it ends with this response.
    keeps_alive: bool,
}

/// Why no connection was made.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The transport connection failed.
    #[error("connecting failed")]
    Tcp(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// It took longer than allowed.
    #[error("connecting took too long")]
    TimedOut,
}

impl Connection {
    /// Connects, with TLS where `tls` is given.
    pub async fn open(
        address: SocketAddr,
        tls: Option<&TlsTarget>,
        limits: HeadLimits,
        timer: &Timer,
        until: Moment,
    ) -> Result<Connection, ConnectError> {
        let opened = timer.within(until, connect(address, tls)).await;
        let io = opened.ok_or(ConnectError::TimedOut)??;
        let (reader, writer) = (Reader::new(limits), Writer::new());
        Ok(Connection { io, reader, writer, parser: None, keeps_alive: true })
    }

    /// Writes the head of a request; nothing is sent before the first flush.
    pub fn start_request(&mut self, head: &RequestHead, delimit: Delimit, upgrade: Option<&[u8]>) {
        self.keeps_alive = upgrade.is_none();
        self.writer.start_request(head, delimit, upgrade);
    }

    /// Where the request's body goes.
    pub fn request_body(&mut self) -> Outgoing<'_> {
        Outgoing::Http1 { io: &self.io, writer: &mut self.writer }
    }

    /// Both halves at once: the response's body and the request's.
    pub fn halves(&mut self) -> (Incoming<'_>, Outgoing<'_>) {
        (
            Incoming::Http1 { io: &self.io, reader: &mut self.reader },
            Outgoing::Http1 { io: &self.io, writer: &mut self.writer },
        )
    }

    /// Reads a response head, interim ones included.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, ReadError>> {
        self.reader.poll_response_head(cx, &self.io, &mut self.parser)
    }

    /// Whether any byte of a response has arrived.
    pub fn has_answered(&self) -> bool {
        self.reader.has_bytes()
    }

    /// Whether any of the request that was written still waits for the upstream to take it.
    pub fn has_waiting(&self) -> bool {
        self.writer.has_waiting()
    }

    /// Whether any byte of the request was sent.
    pub fn has_sent(&self) -> bool {
        self.writer.has_sent()
    }

    /// Starts the body behind a final head and says how it is delimited.
    pub fn start_response(&mut self, head: &ResponseHead, method: Method) -> Result<Framing, ReadError> {
        let framing = framing::of_response(head, method)?;
        self.keeps_alive &=
            framing != Framing::UntilClose && framing::keeps_alive(head.fields(), head.version());
        self.reader.begin_body(framing);
        Ok(framing)
    }

    /// Whether the request is finished and another may follow on this connection.
    pub fn is_reusable(&self) -> bool {
        self.keeps_alive
            && self.writer.is_between_messages()
            && self.reader.is_between_messages()
            && !self.reader.has_bytes()
    }

    /// Whether a kept connection is still there, as far as the runtime has noticed. Costs no system call.
    pub(crate) fn seems_alive(&mut self) -> bool {
        if self.io.seems_quiet() {
            return true;
        }
        // What the runtime remembers may be old: look.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.reader.poll_arrival(&mut cx, &self.io).is_pending()
    }

    /// Whether a kept connection is still there, as the kernel knows it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.io.is_quiet()
    }
}

async fn connect(address: SocketAddr, tls: Option<&TlsTarget>) -> Result<Io, ConnectError> {
    let stream = TcpStream::connect(address).await.map_err(ConnectError::Tcp)?;
    // Heads and bodies go out in as few writes as can be; waiting for more would only delay them.
    stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
    let Some(tls) = tls else { return Ok(Io::tcp(stream)) };
    let connector = TlsConnector::from(tls.config.clone());
    let stream = connector.connect(tls.name.clone(), stream).await;
    let stream = stream.map_err(|error| ConnectError::Tls(in_words(error)))?;
    Ok(Io::tls_client(stream))
}

/// Why a whole exchange with an upstream failed.
#[derive(Debug, Error)]
pub enum FetchError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The request could not be sent.
    #[error("the request could not be sent")]
    Send(#[source] WriteError),
    /// The response could not be read.
    #[error("the response could not be read")]
    Receive(#[source] ReadError),
    /// The response's body is larger than allowed.
    #[error("the response is too large")]
    TooLarge {
        /// It came, for those whom it is enough.
        head: Box<ResponseHead>,
        /// The body's beginning.
        begun: Vec<u8>,
    },
    /// It took longer than allowed.
    #[error("the exchange took too long")]
    TimedOut,
}

/// Sends one small request over a connection of its own and collects the answer: probes and other requests that
/// Forebay makes for itself.
pub async fn fetch(
    address: SocketAddr,
    tls: Option<&TlsTarget>,
    request: &RequestHead,
    body: Bytes,
    bytes_max: usize,
    timer: &Timer,
    until: Moment,
) -> Result<(ResponseHead, Vec<u8>), FetchError> {
    let mut connection = Connection::open(address, tls, HeadLimits::default(), timer, until).await?;
    let exchanged = timer.within(until, exchange(&mut connection, request, body, bytes_max)).await;
    exchanged.unwrap_or(Err(FetchError::TimedOut))
}

/// Sends one small request over a connection and collects the answer. [`Connection::finish`] then says whether another
/// may follow; after an error none may.
pub async fn exchange(
    connection: &mut Connection,
    request: &RequestHead,
    body: Bytes,
    bytes_max: usize,
) -> Result<(ResponseHead, Vec<u8>), FetchError> {
    let delimit = if body.is_empty() { Delimit::None } else { Delimit::Length(body.len() as u64) };
    connection.start_request(request, delimit, None);
    let mut body = Incoming::Whole(body);
    let sent = poll_fn(|cx| poll_relay(cx, &mut body, &mut connection.request_body(), |_| {})).await;
    sent.map_err(|error| match error {
        RelayError::Source(error) => FetchError::Receive(error),
        RelayError::Sink(error) => FetchError::Send(error),
    })?;
    let head = loop {
        let head = poll_fn(|cx| connection.poll_head(cx)).await.map_err(FetchError::Receive)?;
        if head.status() >= 200 {
            break head;
        }
    };
    connection.start_response(&head, request.method()).map_err(FetchError::Receive)?;
    let mut collected = Collected { bytes_max, ..Collected::default() };
    let (mut incoming, _) = connection.halves();
    let received =
        poll_fn(|cx| poll_relay(cx, &mut incoming, &mut Outgoing::Collect(&mut collected), |_| {})).await;
    match received {
        Ok(_) => Ok((head, collected.body)),
        Err(RelayError::Source(error)) => Err(FetchError::Receive(error)),
        Err(RelayError::Sink(_)) => Err(FetchError::TooLarge { head: Box::new(head), begun: collected.body }),
    }
}
