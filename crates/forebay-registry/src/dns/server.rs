//! Serves DNS over UDP, and starts what serves it over TCP. What is answered is [`super::answer`]'s.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use forebay_http::listening::Broken;
use forebay_telemetry::metrics::Registry as Metrics;
use tokio::io::Interest;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::sleep;

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
/// Failures to receive in a row that tell of no reply, before the socket counts as broken: with the pauses, ten seconds.
const FAILURES_MAX: u32 = 100;
/// After one of them: out of memory, most often, which others give back.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);
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
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            error = trouble(socket) => Err(error),
        };
        let (len, from) = match received {
            Ok(received) => received,
            Err(error) => {
                let has_address = socket.local_addr().is_ok_and(|address| address == own);
                match weigh(&error, has_address, failures) {
                    Failure::OfReply => {}
                    Failure::ForNow => {
                        failures += 1;
                        sleep(FAILURE_PAUSE).await;
                    }
                    Failure::ForGood => return Err(io::Error::other(broken(own, has_address, error))),
                }
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

/// Waits for an error that comes alone: receiving waits for datagrams, and a deaf socket would never get one.
async fn trouble(socket: &UdpSocket) -> io::Error {
    let pending = || socket.take_error()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
    socket.async_io(Interest::ERROR, pending).await.unwrap_or_else(|error| error)
}

/// What a failure to receive says of the socket.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Nothing: it is what an earlier reply met on its way, and is told once.
    OfReply,
    /// That it cannot receive at the moment.
    ForNow,
    /// That it never will again.
    ForGood,
}

/// Weighs a failure after so many others in a row. A socket that has lost its address hears nobody, whatever it says; the
/// kernel takes a port that it chose itself from a socket that is aborted or disconnected.
fn weigh(error: &io::Error, has_address: bool, in_a_row: u32) -> Failure {
    match error.kind() {
        _ if !has_address => Failure::ForGood,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => Failure::OfReply,
        _ if in_a_row >= FAILURES_MAX => Failure::ForGood,
        _ => Failure::ForNow,
    }
}

fn broken(address: SocketAddr, has_address: bool, source: io::Error) -> Broken {
    let lost = || io::Error::new(io::ErrorKind::AddrNotAvailable, "it has lost this address");
    Broken { address, source: if has_address { source } else { lost() } }
}

fn datagram_max(peer: SocketAddr) -> usize {
    if peer.ip().to_canonical().is_loopback() { LOOPBACK_DATAGRAM_MAX } else { DATAGRAM_MAX }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn what_a_reply_met_breaks_nothing_and_a_lost_address_everything() {
        let after = |kind: ErrorKind, has_address, in_a_row| weigh(&kind.into(), has_address, in_a_row);
        for kind in [ErrorKind::ConnectionRefused, ErrorKind::HostUnreachable, ErrorKind::ConnectionAborted] {
            assert_eq!(after(kind, true, FAILURES_MAX), Failure::OfReply, "{kind:?}");
            assert_eq!(after(kind, false, 0), Failure::ForGood, "{kind:?}");
        }
        for kind in [ErrorKind::OutOfMemory, ErrorKind::Other] {
            assert_eq!(after(kind, true, 0), Failure::ForNow, "{kind:?}");
            assert_eq!(after(kind, true, FAILURES_MAX - 1), Failure::ForNow, "{kind:?}");
            assert_eq!(after(kind, true, FAILURES_MAX), Failure::ForGood, "{kind:?}");
        }
        let told = |has_address| {
            let broken = broken(([127, 0, 0, 1], 53).into(), has_address, io::Error::other("no memory"));
            broken.source.to_string()
        };
        assert_eq!((told(true).as_str(), told(false).as_str()), ("no memory", "it has lost this address"));
    }
}
