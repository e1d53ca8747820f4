//! Serves DNS over UDP, and starts what serves it over TCP. What is answered is [`super::answer`]'s.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use forebay_telemetry::metrics::Registry as Metrics;
use tokio::net::{TcpListener, UdpSocket};

use super::answer::{Response, Transport, respond};
use super::stream::serve_stream;
use super::zone::Zone;
use crate::handle::Handle;
use crate::telemetry::Queries;

/// Larger datagrams are cut into fragments by networks, and fragments get lost and can be forged (DNS flag day 2020).
pub const DATAGRAM_MAX: usize = 1232;
/// Loopback cuts nothing into fragments, and HAProxy, which takes no truncated addresses, can be told to accept as much.
pub const LOOPBACK_DATAGRAM_MAX: usize = 8192;
/// A query has one name of at most 255 octets, and some options.
const QUERY_MAX: usize = 4096;
/// Failures to receive in a row before the socket counts as broken.
const FAILURES_MAX: u32 = 100;

/// Times that a port is looked for: the one that is free for UDP may be taken for TCP.
const BINDS_MAX: u32 = 100;

/// Sockets for [`serve_dns`] at one address. With port 0 the kernel picks one that is free for both.
///
/// # Errors
///
/// When the address is taken, is not of this machine, or its port needs a right that the process has not.
pub fn bind_dns(address: SocketAddr) -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let mut tries = 0;
    loop {
        let udp = std::net::UdpSocket::bind(address)?;
        match std::net::TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => {
                udp.set_nonblocking(true)?;
                tcp.set_nonblocking(true)?;
                return Ok((udp, tcp));
            }
            Err(error) if address.port() != 0 || tries >= BINDS_MAX => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

/// Answers until `shutdown` completes, and counts in `metrics`. Both sockets should have the same address, so that what did not fit into a
/// datagram is found over TCP.
///
/// # Errors
///
/// When a socket no longer works.
pub async fn serve_dns(
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
    handle: Handle,
    zone: Zone,
    metrics: Metrics,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (udp, tcp) = (UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?);
    let queries = Queries::new(&metrics);
    let datagrams = pin!(serve_datagrams(&udp, &handle, &zone, &queries));
    let streams = pin!(serve_stream(&tcp, &handle, &zone, &queries));
    tokio::select! {
        () = shutdown => Ok(()),
        result = datagrams => result,
        result = streams => result,
    }
}

async fn serve_datagrams(
    socket: &UdpSocket,
    handle: &Handle,
    zone: &Zone,
    queries: &Queries,
) -> io::Result<()> {
    let own = socket.local_addr()?;
    let mut rng = fastrand::Rng::new();
    let mut buffer = vec![0; QUERY_MAX];
    let mut failures = 0;
    loop {
        let (len, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) if failures >= FAILURES_MAX => return Err(error),
            // What an earlier reply met on its way is reported here and says nothing about the socket.
            Err(_) => {
                failures += 1;
                continue;
            }
        };
        failures = 0;
        // Nobody listens at port 0, and to answer oneself never ends.
        if from.port() == 0 || from == own {
            continue;
        }
        let transport = Transport::Udp { datagram_max: datagram_max(from) };
        let reply = handle.read(|registry| respond(&buffer[..len], registry, zone, transport, &mut rng));
        if let Some(Response { octets: reply, kind, code }) = reply {
            queries.answered(kind, code);
            // A reply that cannot go now is lost, as datagrams are; others do not wait for it.
            let _ = socket.try_send_to(&reply, from);
        }
    }
}

fn datagram_max(peer: SocketAddr) -> usize {
    if peer.ip().to_canonical().is_loopback() { LOOPBACK_DATAGRAM_MAX } else { DATAGRAM_MAX }
}
