//! The server's own behaviour: connections, their bounds, and what is no query.

use std::net::SocketAddr;

use domain::base::{Message, MessageBuilder, Name, Rtype};
use forebay_registry::dns::{CONNECTIONS_MAX, IDLE_MAX};
use forebay_registry::{bind_dns, serve_dns};
use forebay_telemetry::metrics::Registry as Metrics;
use forebay_testkit::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::served::{LOOPBACK, handle, register, zone};

fn query(id: u16) -> Vec<u8> {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    let mut message = message.question();
    message.push(("orders.service.consul".parse::<Name<Vec<u8>>>().unwrap(), Rtype::SRV)).unwrap();
    message.finish()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap();
    [&len.to_be_bytes()[..], message].concat()
}

async fn reply(stream: &mut TcpStream) -> Message<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut message).await.unwrap();
    Message::from_octets(message).unwrap()
}

/// Serves one instance of `orders` in this runtime.
async fn serving() -> (SocketAddr, JoinHandle<()>) {
    let (udp, tcp) = bind_dns(LOOPBACK.parse().unwrap()).unwrap();
    (udp.local_addr().unwrap(), serve(udp, tcp))
}

fn serve(udp: std::net::UdpSocket, tcp: std::net::TcpListener) -> JoinHandle<()> {
    let handle = handle();
    register(&handle, "orders", "10.0.0.7", 8080);
    let (metrics, never) = (Metrics::new(1), std::future::pending());
    tokio::spawn(async move { serve_dns(udp, tcp, handle, zone(), metrics, never).await.unwrap() })
}

#[tokio::test]
async fn queries_on_one_connection_are_answered_in_turn() {
    let (address, _server) = serving().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let many: Vec<u8> = (0..50).flat_map(|id| framed(&query(id))).collect();
    stream.write_all(&many).await.unwrap();
    for id in 0..50 {
        let reply = reply(&mut stream).await;
        assert_eq!((reply.header().id(), reply.header_counts().ancount()), (id, 1));
    }
    // Octet by octet, as slow networks and hostile clients send.
    for octet in framed(&query(50)) {
        stream.write_all(&[octet]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(reply(&mut stream).await.header().id(), 50);
}

#[tokio::test]
async fn a_connection_that_brings_no_query_ends() {
    let (address, _server) = serving().await;
    let mut answer = query(1);
    answer[2] |= 0x80;
    for wrong in [framed(b""), framed(b"GET / HTTP"), framed(&answer), framed(&query(1))[..9].to_vec()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&wrong).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{wrong:?} holds its connection");
        assert_eq!(rest, b"", "{wrong:?}");
    }
}

/// Only the server's own timers are due in this runtime, so its clock runs ahead when nothing else happens.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_ends() {
    let (address, _server) = serving().await;
    for first in [Vec::new(), framed(&query(1))[..5].to_vec()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&first).await.unwrap();
        let start = Instant::now();
        let mut rest = Vec::new();
        // A connection that ends with unread octets is reset.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(start.elapsed() >= IDLE_MAX);
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let (address, _server) = serving().await;
    let mut streams = Vec::new();
    for id in 0..CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&framed(&query(u16::try_from(id).unwrap()))).await.unwrap();
        reply(&mut stream).await;
        streams.push(stream);
    }
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(&framed(&query(9999))).await.unwrap();
    // UDP has places of its own, and its answer comes after the connection's would have.
    assert_eq!(ask(address, &query(1)).await.header().id(), 1);
    let mut nothing = [0; 2];
    assert!(waiting.try_read(&mut nothing).is_err(), "the bound does not hold");
    streams.pop();
    assert_eq!(reply(&mut waiting).await.header().id(), 9999);
}

async fn ask(address: SocketAddr, query: &[u8]) -> Message<Vec<u8>> {
    ask_by(UdpSocket::bind(LOOPBACK).await.unwrap(), address, query).await
}

async fn ask_by(socket: UdpSocket, address: SocketAddr, query: &[u8]) -> Message<Vec<u8>> {
    socket.send_to(query, address).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let received = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await;
    let (len, from) = received.expect("no answer").unwrap();
    assert_eq!(from, address);
    buffer.truncate(len);
    Message::from_octets(buffer).unwrap()
}

#[tokio::test]
async fn what_replies_met_on_their_way_ends_nothing() {
    let (udp, tcp) = bind_dns(LOOPBACK.parse().unwrap()).unwrap();
    let address = udp.local_addr().unwrap();
    // The kernel tells what came back of datagrams only to a socket that has one peer.
    let same = udp.try_clone().unwrap();
    let server = serve(udp, tcp);
    let nobody = UdpSocket::bind(LOOPBACK).await.unwrap().local_addr().unwrap();
    same.connect(nobody).unwrap();
    let begun = Instant::now();
    let (mut refused, mut told_here) = (0, 0);
    // Each refusal is told once: to the server, or to who sends next.
    while refused - told_here < 300 {
        assert!(begun.elapsed() < PATIENCE && !server.is_finished(), "{refused}, of them {told_here} here");
        match same.send(b"") {
            Ok(_) => refused += 1,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => told_here += 1,
            Err(error) => panic!("{error}"),
        }
        // The first lets what came be seen, the second lets the server see it.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    let client = UdpSocket::bind(LOOPBACK).await.unwrap();
    same.connect(client.local_addr().unwrap()).unwrap();
    assert_eq!(ask_by(client, address, &query(7)).await.header().id(), 7);
}

#[tokio::test]
async fn hostile_datagrams_are_survived_and_replies_get_no_reply() {
    let (address, _server) = serving().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut to_us = query(1);
    to_us[2] |= 0x80;
    let mut rng = fastrand::Rng::with_seed(11);
    for len in 0..400 {
        let mut octets: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
        // Marked as replies, so that the first datagram to come back answers the query.
        if let Some(flags) = octets.get_mut(2) {
            *flags |= 0x80;
        }
        socket.send_to(&octets, address).await.unwrap();
    }
    socket.send_to(&to_us, address).await.unwrap();
    socket.send_to(&query(2), address).await.unwrap();
    let mut buffer = [0; 512];
    let received = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await;
    let (len, _) = received.expect("no answer").unwrap();
    assert_eq!(Message::from_slice(&buffer[..len]).unwrap().header().id(), 2);
}

#[tokio::test]
async fn a_shutdown_ends_the_server_and_its_connections() {
    let (udp, tcp) = bind_dns(LOOPBACK.parse().unwrap()).unwrap();
    let address = udp.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve_dns(udp, tcp, handle(), zone(), Metrics::new(1), async {
        drop(stopped.await);
    }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&framed(&query(1))).await.unwrap();
    reply(&mut stream).await;
    drop(stop);
    server.await.unwrap().unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
    assert!(TcpStream::connect(address).await.is_err(), "the listener is closed");
}
