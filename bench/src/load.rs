//! The load generator: one thread, one epoll, connections that each send the next request when the last one is
//! answered. Light, because it may share its core with what is measured.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::failure::{Doing as _, Failure};
use crate::latency::Latencies;
use crate::response::Reader;
use crate::traffic;

/// A stretch of traffic.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) responses: u64,
    pub(crate) took: Duration,
    pub(crate) latencies: Latencies,
}

/// Connections to a proxy, all asking for the same thing.
pub(crate) struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    request: Vec<u8>,
    expected: Vec<u8>,
    buffer: Vec<u8>,
    events: Vec<epoll::Event>,
}

struct Connection {
    socket: TcpStream,
    reader: Reader,
    sent: Instant,
}

/// A proxy that says nothing for that long has lost a request.
const SILENCE_MAX: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
const READ_BYTES: usize = 64 * 1024;

impl Load {
    /// Connects and sends the first request on every connection.
    pub(crate) fn start(proxy: SocketAddr, size: usize) -> Result<Load, Failure> {
        let mut load = Load {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).doing("cannot create an epoll")?,
            connections: Vec::new(),
            request: traffic::request(&traffic::path(size)).into_bytes(),
            expected: traffic::body(size),
            buffer: vec![0; READ_BYTES],
            events: Vec::with_capacity(traffic::CONNECTIONS),
        };
        for index in 0..traffic::CONNECTIONS {
            let socket = TcpStream::connect(proxy).doing("cannot connect to the proxy")?;
            socket.set_nodelay(true).doing("cannot set TCP_NODELAY")?;
            socket.set_nonblocking(true).doing("cannot set O_NONBLOCK")?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&load.epoll, &socket, data, epoll::EventFlags::IN).doing("cannot watch a socket")?;
            let mut connection = Connection { socket, reader: Reader::new(), sent: Instant::now() };
            connection.send(&load.request)?;
            load.connections.push(connection);
        }
        Ok(load)
    }

    /// Keeps the traffic going for that long; requests are under way before and after. Compares bodies byte by
    /// byte if asked to, otherwise by their length.
    pub(crate) fn run(&mut self, length: Duration, compare: bool) -> Result<Outcome, Failure> {
        let start = Instant::now();
        let mut outcome = Outcome { responses: 0, took: Duration::ZERO, latencies: Latencies::new() };
        while outcome.took < length {
            let spare = spare_capacity(&mut self.events);
            epoll::wait(&self.epoll, spare, Some(&SILENCE_MAX)).doing("cannot wait for responses")?;
            if self.events.is_empty() {
                return Err(Failure::run("no response for 5 s"));
            }
            for event in self.events.drain(..) {
                let connection = &mut self.connections[event.data.u64() as usize];
                if connection.receive(&mut self.buffer, &self.expected, compare)? {
                    let now = Instant::now();
                    outcome.latencies.add(now - connection.sent);
                    outcome.responses += 1;
                    connection.sent = now;
                    connection.send(&self.request)?;
                }
            }
            outcome.took = start.elapsed();
        }
        Ok(outcome)
    }
}

impl Connection {
    fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        // Some hundred bytes always fit: the socket's buffer is empty while we wait for a response.
        self.socket.write_all(request).doing("cannot send a request")
    }

    /// One read, since a readable socket wakes us again. True when a response is complete.
    fn receive(&mut self, buffer: &mut [u8], expected: &[u8], compare: bool) -> Result<bool, Failure> {
        let length = match self.socket.read(buffer) {
            Ok(0) => return Err(Failure::run("the proxy closed a connection in the middle of the load")),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).doing("cannot read a response"),
        };
        self.reader.take(&buffer[..length], expected, compare).map_err(Failure::Run)
    }
}
