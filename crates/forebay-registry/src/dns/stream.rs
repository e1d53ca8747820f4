//! DNS over TCP (RFC 7766): many queries on one connection, answered in turn. Bounds who connects and who is silent.

use std::io;
use std::time::Duration;

use forebay_http::listening::Broken;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{Response, Transport, respond};
use super::zone::Zone;
use crate::handle::Handle;
use crate::telemetry::Queries;

/// Connections at a time. Resolvers keep a few; each may hold a query and a reply of 64 KiB.
pub const CONNECTIONS_MAX: usize = 128;
/// How long a connection may be silent, a query be on its way, or a reply find no reader. RFC 7766 section 6.2.3 wants
/// seconds.
pub const IDLE_MAX: Duration = Duration::from_secs(10);
/// After failing to accept: out of file descriptors, most often, which others give back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the listener breaks. Those under way end with it.
pub(super) async fn serve_stream(
    listener: &TcpListener,
    handle: &Handle,
    zone: &Zone,
    queries: &Queries,
) -> io::Result<()> {
    let own = listener.local_addr()?;
    let mut connections = JoinSet::new();
    let mut paused_until = Instant::now();
    loop {
        let full = connections.len() >= CONNECTIONS_MAX;
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = accept(listener, paused_until), if !full => match accepted {
                Ok(stream) => {
                    connections.spawn(converse(stream, handle.clone(), zone.clone(), queries.clone()));
                }
                Err(error) => match Broken::of(listener, own, error) {
                    Some(broken) => return Err(io::Error::other(broken)),
                    None => paused_until = Instant::now() + ACCEPT_PAUSE,
                },
            },
        }
    }
}

async fn accept(listener: &TcpListener, not_before: Instant) -> io::Result<TcpStream> {
    sleep_until(not_before).await;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Until the client has asked everything, is silent for long, or sends what is no query.
async fn converse(stream: TcpStream, handle: Handle, zone: Zone, queries: Queries) {
    let mut stream = BufReader::new(stream);
    let mut rng = fastrand::Rng::new();
    let mut query = Vec::new();
    while let Ok(Ok(())) = timeout(IDLE_MAX, receive(&mut stream, &mut query)).await {
        let reply = handle.read(|registry| respond(&query, registry, &zone, Transport::Tcp, &mut rng));
        let Some(Response { octets: reply, kind, code }) = reply else { return };
        queries.answered(kind, code);
        let sent = timeout(IDLE_MAX, send(&mut stream, &reply)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

async fn receive(stream: &mut BufReader<TcpStream>, query: &mut Vec<u8>) -> io::Result<()> {
    let len = stream.read_u16().await?;
    // Grows as octets come: a length alone holds no memory.
    query.clear();
    let received = stream.take(u64::from(len)).read_to_end(query).await?;
    if received < usize::from(len) { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// In one write: some clients read length and message in one go.
async fn send(stream: &mut BufReader<TcpStream>, reply: &[u8]) -> io::Result<()> {
    let len = u16::try_from(reply.len()).map_err(io::Error::other)?;
    let framed = [&len.to_be_bytes()[..], reply].concat();
    stream.write_all(&framed).await
}
