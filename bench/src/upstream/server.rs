//! The upstream's own program: one thread that listens on two ports and answers from memory. As light as it can
//! be, because it may share its core with what is measured.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use memchr::memmem;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::client::field;
use crate::failure::{Doing as _, Failure};
use crate::traffic;

const EVENTS_MAX: usize = 256;
/// Larger than any request a proxy makes of ours.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

struct Server {
    epoll: OwnedFd,
    listeners: [TcpListener; 2],
    /// By the number that epoll reports, less the listeners.
    connections: Vec<Option<Connection>>,
    pages: Vec<Page>,
    events: Vec<epoll::Event>,
}

/// A response that is ready to be sent.
struct Page {
    /// The request line up to and including the blank after the path.
    line: Vec<u8>,
    response: Vec<u8>,
}

struct Connection {
    socket: TcpStream,
    received: Vec<u8>,
    sending: Sending,
    /// Whether epoll tells us about room in the socket's buffer rather than about requests.
    waits_for_room: bool,
}

/// What is being sent, and how much of it has gone.
enum Sending {
    Nothing,
    Page { index: usize, sent: usize },
    Echo { response: Vec<u8>, sent: usize },
}

/// What became of a connection's turn.
enum Turn {
    Go,
    Closed,
}

/// Serves until killed. Prints its two ports first.
pub(crate) fn run() -> Result<bool, Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).doing("cannot tie the upstream to the harness")?;
    let mut server = Server::bind()?;
    let [first, second] = &server.listeners;
    println!("{} {}", port(first)?, port(second)?);
    loop {
        server.turn()?;
    }
}

fn listen() -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("cannot listen")?;
    listener.set_nonblocking(true).doing("cannot set O_NONBLOCK")?;
    Ok(listener)
}

fn port(listener: &TcpListener) -> Result<u16, Failure> {
    listener.local_addr().map(|address| address.port()).doing("a listener without an address")
}

impl Server {
    fn bind() -> Result<Server, Failure> {
        let page = |path: String, body: &[u8]| Page {
            line: format!("GET {path} ").into_bytes(),
            response: traffic::response("application/octet-stream", body),
        };
        let sizes = traffic::SIZES.map(|size| page(traffic::path(size), &traffic::body(size)));
        let server = Server {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).doing("cannot create an epoll")?,
            listeners: [listen()?, listen()?],
            connections: Vec::new(),
            pages: sizes.into_iter().chain([page(traffic::HEALTH.into(), b"ok\n")]).collect(),
            events: Vec::with_capacity(EVENTS_MAX),
        };
        for (index, listener) in server.listeners.iter().enumerate() {
            epoll::add(&server.epoll, listener, EventData::new_u64(index as u64), EventFlags::IN)
                .doing("cannot watch a listener")?;
        }
        Ok(server)
    }

    fn turn(&mut self) -> Result<(), Failure> {
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), None).doing("cannot wait")?;
        for at in 0..self.events.len() {
            let index = self.events[at].data.u64() as usize;
            match index.checked_sub(self.listeners.len()) {
                None => self.accept(index)?,
                Some(connection) => self.serve(connection)?,
            }
        }
        self.events.clear();
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> Result<(), Failure> {
        // The other end may have gone meanwhile; then there is nothing to accept.
        let Ok((socket, _)) = self.listeners[listener].accept() else { return Ok(()) };
        socket.set_nonblocking(true).doing("cannot set O_NONBLOCK")?;
        socket.set_nodelay(true).doing("cannot set TCP_NODELAY")?;
        let free = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
        let data = EventData::new_u64((self.listeners.len() + free) as u64);
        epoll::add(&self.epoll, &socket, data, EventFlags::IN).doing("cannot watch a socket")?;
        let connection =
            Connection { socket, received: Vec::new(), sending: Sending::Nothing, waits_for_room: false };
        if free == self.connections.len() {
            self.connections.push(None);
        }
        self.connections[free] = Some(connection);
        Ok(())
    }

    fn serve(&mut self, index: usize) -> Result<(), Failure> {
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        if let Turn::Closed = connection.turn(&self.pages) {
            // Closing the socket also takes it out of the epoll.
            self.connections[index] = None;
            return Ok(());
        }
        let waits = !matches!(connection.sending, Sending::Nothing);
        if waits != connection.waits_for_room {
            connection.waits_for_room = waits;
            let flags = if waits { EventFlags::OUT } else { EventFlags::IN };
            let data = EventData::new_u64((self.listeners.len() + index) as u64);
            epoll::modify(&self.epoll, &connection.socket, data, flags).doing("cannot watch a socket")?;
        }
        Ok(())
    }
}

impl Connection {
    fn turn(&mut self, pages: &[Page]) -> Turn {
        if matches!(self.sending, Sending::Nothing) {
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer) {
                Ok(length) if length > 0 => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Go,
                _ => return Turn::Closed,
            }
            let Some(end) = memmem::find(&self.received, b"\r\n\r\n") else {
                return if self.received.len() > REQUEST_BYTES_MAX { Turn::Closed } else { Turn::Go };
            };
            // Nothing follows a request before it is answered: neither proxies nor our load pipeline.
            let Some(answer) = self.answer(&self.received[..end + 2], pages) else { return Turn::Closed };
            self.sending = answer;
            self.received.clear();
        }
        self.send(pages)
    }

    fn answer(&self, head: &[u8], pages: &[Page]) -> Option<Sending> {
        if let Some(index) = pages.iter().position(|page| head.starts_with(&page.line)) {
            return Some(Sending::Page { index, sent: 0 });
        }
        let text = std::str::from_utf8(head).ok()?;
        // A client that speaks to us in another way than the harness gets no answer, which it will notice.
        text.starts_with(&format!("GET {} ", traffic::ECHO)).then_some(())?;
        let port = self.socket.local_addr().ok()?.port();
        let body = format!("Upstream-Port: {port}\r\n{text}");
        field(&body, "Host")?;
        Some(Sending::Echo { response: traffic::response("text/plain", body.as_bytes()), sent: 0 })
    }

    fn send(&mut self, pages: &[Page]) -> Turn {
        let (response, sent) = match &mut self.sending {
            Sending::Nothing => return Turn::Go,
            Sending::Page { index, sent } => (&pages[*index].response, sent),
            Sending::Echo { response, sent } => (&*response, sent),
        };
        match self.socket.write(&response[*sent..]) {
            Ok(length) => *sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Turn::Closed,
        }
        if *sent == response.len() {
            self.sending = Sending::Nothing;
        }
        Turn::Go
    }
}
