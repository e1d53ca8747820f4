//! A client that sends exactly what it is told.

use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::message::Message;
use crate::tls::TestRoot;
use crate::wire::Wire;

/// One connection to what is tested. Reads as a [`Wire`] does.
pub struct Client(Wire);

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> Client {
        let socket = TcpStream::connect(address).expect("nobody listens");
        Client(Wire::plain(socket).expect("a socket without options"))
    }

    /// Connects with TLS, trusting `root`, to `localhost`.
    ///
    /// # Panics
    /// When nobody listens, or the handshake fails.
    pub fn connect_tls(address: SocketAddr, root: &TestRoot) -> Client {
        let socket = TcpStream::connect(address).expect("nobody listens");
        Client(root.connect(socket).expect("the handshake failed"))
    }

    /// Connects with a receive buffer as small as the kernel allows, for a client that reads slowly.
    ///
    /// # Panics
    /// When nobody listens.
    pub fn connect_narrow(address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("no socket");
        socket.set_recv_buffer_size(1).expect("a socket without options");
        socket.connect(&address.into()).expect("nobody listens");
        Client(Wire::plain(socket.into()).expect("a socket without options"))
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// When there is no whole response.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        let request = request.as_ref();
        let method = request.split(|&byte| byte == b' ').next().unwrap_or_default();
        let method = String::from_utf8_lossy(method).into_owned();
        let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        self.send(request).unwrap_or_else(|error| panic!("{error} while sending {shown:?}"));
        self.response_to(&method).unwrap_or_else(|error| panic!("{error} instead of an answer to {shown:?}"))
    }

    /// Waits until the server has closed.
    ///
    /// # Panics
    /// When it sends anything, or does not close.
    pub fn expect_closed(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "{:?} instead of a close", String::from_utf8_lossy(&rest));
    }

    /// Whether the connection is open and silent for this long.
    pub fn is_quiet_for(&mut self, window: Duration) -> bool {
        let mut byte = [0];
        self.socket().set_read_timeout(Some(window)).expect("a socket without options");
        let peeked = self.socket().peek(&mut byte);
        self.socket().set_read_timeout(Some(crate::PATIENCE)).expect("a socket without options");
        peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// Asks one thing over a connection of its own.
pub fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Message {
    Client::connect(address).ask(request)
}

impl Deref for Client {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.0
    }
}
