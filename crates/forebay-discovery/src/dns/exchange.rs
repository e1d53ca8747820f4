//! One question to name servers until one of them answers. UDP, and TCP for what UDP cut off.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use domain::base::Message;
use domain::base::iana::Rcode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::message::Reply;
use super::system::System;
use crate::answer::ResolveFailure;
use crate::host::HostName;

/// Without EDNS a server sends at most 512 octets (RFC 1035 section 4.2.1); some send more all the same.
const DATAGRAM_MAX: usize = 4096;
/// Datagrams that are no answer to our question, before a server counts as malformed: forgers get few tries.
const STRANGERS_MAX: u32 = 16;

/// Asks each server in turn, as often as the system says, until one says yes or no. Returns who said it.
pub(super) async fn ask(
    system: &System,
    name: &HostName,
    query: &Message<Vec<u8>>,
) -> Result<(Reply, SocketAddr), ResolveFailure> {
    let mut failure = ResolveFailure::NoServer;
    for _ in 0..system.attempts {
        for &server in &system.servers {
            let name = || name.as_str().into();
            let shown = || server.to_string().into();
            failure = match tokio::time::timeout(system.timeout, ask_one(server, query)).await {
                Ok(Ok(Some(reply))) => match reply.header().rcode() {
                    Rcode::NOERROR | Rcode::NXDOMAIN => return Ok((reply, server)),
                    code => ResolveFailure::Refused {
                        name: name(),
                        server: shown(),
                        code: code.to_string().into(),
                    },
                },
                Ok(Ok(None)) => ResolveFailure::Malformed { name: name(), server: shown() },
                Ok(Err(error)) => {
                    ResolveFailure::Unreachable { server: shown(), reason: error.to_string().into() }
                }
                Err(_) => ResolveFailure::TimedOut { name: name(), within: system.timeout },
            };
        }
    }
    Err(failure)
}

/// `None` when what came is no answer.
async fn ask_one(server: SocketAddr, query: &Message<Vec<u8>>) -> io::Result<Option<Reply>> {
    match ask_udp(server, query).await? {
        Some(reply) if reply.header().tc() => ask_tcp(server, query).await,
        reply => Ok(reply),
    }
}

async fn ask_udp(server: SocketAddr, query: &Message<Vec<u8>>) -> io::Result<Option<Reply>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A socket per question: its random port is half of what an off-path forger must guess (RFC 5452).
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query.as_slice()).await?;
    let mut buffer = [0; DATAGRAM_MAX];
    for _ in 0..STRANGERS_MAX {
        let len = socket.recv(&mut buffer).await?;
        let reply = Message::from_octets(buffer[..len].to_vec()).ok();
        if let Some(reply) = reply.filter(|reply| reply.is_answer(query)) {
            return Ok(Some(reply));
        }
    }
    Ok(None)
}

/// RFC 7766: the message after its length in two octets.
async fn ask_tcp(server: SocketAddr, query: &Message<Vec<u8>>) -> io::Result<Option<Reply>> {
    let mut stream = TcpStream::connect(server).await?;
    let len = u16::try_from(query.as_slice().len()).map_err(io::Error::other)?;
    // In one write, since some servers read the length and the message in one go.
    let framed = [&len.to_be_bytes()[..], query.as_slice()].concat();
    stream.write_all(&framed).await?;
    let len = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(len)];
    stream.read_exact(&mut reply).await?;
    Ok(Message::from_octets(reply).ok().filter(|reply| reply.is_answer(query)))
}
