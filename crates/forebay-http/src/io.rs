//! A connected socket, plain or TLS, read and written by shared reference: one task drives both directions.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::buffer::Buffer;

/// One connection's socket.
pub struct Io(RefCell<Socket>);

/// TLS state is large and rare beside plain text inside a machine, so it is boxed.
enum Socket {
    Tcp(TcpStream),
    TlsServer(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    #[cfg(any(test, fuzzing))]
    Memory(crate::fuzzing::Memory),
}

/// Runs an expression on whichever stream it is.
macro_rules! on_stream {
    ($socket:expr, $stream:ident => $body:expr) => {
        match $socket {
            Socket::Tcp($stream) => {
                let $stream = Pin::new($stream);
                $body
            }
            Socket::TlsServer($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $body
            }
            Socket::TlsClient($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $body
            }
            #[cfg(any(test, fuzzing))]
            Socket::Memory($stream) => {
                let $stream = Pin::new($stream);
                $body
            }
        }
    };
}

impl Socket {
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Socket::Tcp(tcp) => Some(tcp),
            Socket::TlsServer(stream) => Some(stream.get_ref().0),
            Socket::TlsClient(stream) => Some(stream.get_ref().0),
            #[cfg(any(test, fuzzing))]
            Socket::Memory(_) => None,
        }
    }
}

impl Io {
    /// A plain connection.
    pub fn tcp(stream: TcpStream) -> Io {
        Io(RefCell::new(Socket::Tcp(stream)))
    }

    /// A connection accepted with TLS.
    pub fn tls_server(stream: tokio_rustls::server::TlsStream<TcpStream>) -> Io {
        Io(RefCell::new(Socket::TlsServer(Box::new(stream))))
    }

    /// A connection made with TLS.
    pub fn tls_client(stream: tokio_rustls::client::TlsStream<TcpStream>) -> Io {
        Io(RefCell::new(Socket::TlsClient(Box::new(stream))))
    }

    /// A connection to nobody.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn memory(memory: crate::fuzzing::Memory) -> Io {
        Io(RefCell::new(Socket::Memory(memory)))
    }

    /// Everything written to a connection to nobody.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn into_written(self) -> Vec<u8> {
        match self.0.into_inner() {
            Socket::Memory(memory) => memory.into_written(),
            _ => Vec::new(),
        }
    }

    /// Reads into the free part of `buffer`; zero bytes mean that the peer has closed.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        let mut socket = self.0.borrow_mut();
        let mut free = ReadBuf::new(buffer.free());
        debug_assert!(free.remaining() > 0);
        let read = on_stream!(&mut *socket, stream => stream.poll_read(cx, &mut free));
        let count = free.filled().len();
        read.map_ok(|()| {
            buffer.fill(count);
            count
        })
    }

    /// Writes some of `first`, then of `second`.
    pub fn poll_write(&self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        let mut socket = self.0.borrow_mut();
        if let (Socket::Tcp(tcp), true) = (&*socket, second.is_empty()) {
            // Nearly always there is room, and then nobody needs to be woken.
            match tcp.try_write(first) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
        on_stream!(&mut *socket, stream => {
            if second.is_empty() {
                stream.poll_write(cx, first)
            } else if first.is_empty() {
                stream.poll_write(cx, second)
            } else {
                stream.poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)])
            }
        })
    }

    /// Sends what TLS holds back; nothing on a plain socket.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.0.borrow_mut() {
            Socket::Tcp(_) => Poll::Ready(Ok(())),
            socket => on_stream!(socket, stream => stream.poll_flush(cx)),
        }
    }

    /// Says that nothing more will be written; reading goes on.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut socket = self.0.borrow_mut();
        on_stream!(&mut *socket, stream => stream.poll_shutdown(cx))
    }

    /// Ready once the peer has closed its side or is gone; for who keeps it waiting. Bytes that nobody has read yet say
    /// that it is there, and from then on nothing more is noticed. Of TLS, only the end of the connection below is.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let socket = self.0.borrow();
        let Some(tcp) = socket.tcp() else { return Poll::Pending };
        let mut byte = [0];
        match tcp.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Makes the coming close a reset, so that the peer does not take it for a proper end.
    pub fn reset_on_close(&self) {
        if let Some(tcp) = self.0.borrow().tcp() {
            // A socket that cannot be told so has no peer any more.
            let _ = socket2::SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Whether the runtime has noticed nothing since the last read. Costs no system call. Never true of TLS, which may
    /// hold back what its socket does not show.
    pub fn seems_quiet(&self) -> bool {
        let Socket::Tcp(tcp) = &*self.0.borrow() else { return false };
        let arrived = tcp.try_io(tokio::io::Interest::READABLE, || Ok(()));
        matches!(arrived, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Asks the kernel, past the readiness that the runtime remembers, whether the peer is silent and still there.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let socket = self.0.borrow();
        let Some(tcp) = socket.tcp() else { return false };
        // Anything but "would block" is an end, an error, or an answer nobody asked for.
        let peeked = socket2::SockRef::from(tcp).peek(&mut byte);
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
