//! The least that a proxy outside the kernel can cost on this machine: every byte that comes goes over to a paired
//! connection, unread. Four system calls a request, and nothing else; what is below its figure, no proxy reaches.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::failure::{Doing as _, Failure};

const EVENTS_MAX: usize = 256;
/// What the kernel hands over at once on loopback.
const BUFFER_BYTES: usize = 64 * 1024;
/// The number that epoll reports for the listener.
const LISTENER: u64 = u64::MAX;

struct Relay {
    epoll: OwnedFd,
    listener: TcpListener,
    upstreams: [u16; 2],
    /// A client at each even place, its upstream connection at the odd place behind it.
    sockets: Vec<Option<TcpStream>>,
    buffer: Vec<u8>,
}

/// Relays until killed.
pub(crate) fn run(port: u16, upstreams: [u16; 2]) -> Result<bool, Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).doing("cannot tie the floor to the harness")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).doing("cannot listen")?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing("cannot create an epoll")?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)
        .doing("cannot watch the listener")?;
    let buffer = vec![0; BUFFER_BYTES];
    let mut relay = Relay { epoll, listener, upstreams, sockets: Vec::new(), buffer };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        epoll::wait(&relay.epoll, spare_capacity(&mut events), None).doing("cannot wait")?;
        for event in &events {
            match event.data.u64() {
                LISTENER => relay.accept()?,
                at => relay.pass_on(at as usize),
            }
        }
        events.clear();
    }
}

impl Relay {
    fn accept(&mut self) -> Result<(), Failure> {
        // The other end may have gone meanwhile; then there is nothing to accept.
        let Ok((client, _)) = self.listener.accept() else { return Ok(()) };
        let place = self.sockets.iter().step_by(2).position(Option::is_none).map(|pair| pair * 2);
        let place = place.unwrap_or(self.sockets.len());
        let upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstreams[place / 2 % 2]))
            .doing("cannot reach the upstream")?;
        self.sockets.resize_with(self.sockets.len().max(place + 2), || None);
        for (at, socket) in [(place, client), (place + 1, upstream)] {
            socket.set_nonblocking(true).doing("cannot set O_NONBLOCK")?;
            socket.set_nodelay(true).doing("cannot set TCP_NODELAY")?;
            epoll::add(&self.epoll, &socket, EventData::new_u64(at as u64), EventFlags::IN)
                .doing("cannot watch a socket")?;
            self.sockets[at] = Some(socket);
        }
        Ok(())
    }

    /// Closing both sockets also takes them out of the epoll.
    fn pass_on(&mut self, at: usize) {
        if self.relay(at).is_none() {
            self.sockets[at] = None;
            self.sockets[at ^ 1] = None;
        }
    }

    /// `None` when the connection is over.
    fn relay(&mut self, at: usize) -> Option<()> {
        let [Some(from), Some(to)] = [&self.sockets[at], &self.sockets[at ^ 1]] else { return None };
        let length = match (&*from).read(&mut self.buffer) {
            Ok(0) => return None,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(()),
            Err(_) => return None,
        };
        let mut rest = &self.buffer[..length];
        while !rest.is_empty() {
            match (&*to).write(rest) {
                Ok(written) => rest = &rest[written..],
                // Only large bodies fill a socket; then the reader is due to run, and soon will.
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(_) => return None,
            }
        }
        Some(())
    }
}
