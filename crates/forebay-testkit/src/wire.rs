//! One connection as a test sees it: bytes go out as given, and what comes back is read piece by piece.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::PATIENCE;

/// Bytes asked of the kernel at a time.
const READ_BYTES: usize = 16 * 1024;

/// Something that bytes go through: a socket, or TLS over one.
pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// Shown every piece of bytes that arrives.
type Tap = Box<dyn FnMut(&[u8]) + Send>;

/// One end of a connection.
pub struct Wire {
    stream: Box<dyn Stream>,
    /// The same socket, for what streams cannot do.
    socket: TcpStream,
    received: Vec<u8>,
    tap: Option<Tap>,
}

impl Wire {
    /// Over a plain socket.
    pub fn plain(socket: TcpStream) -> io::Result<Wire> {
        let stream = Box::new(socket.try_clone()?);
        Wire::over(stream, socket)
    }

    /// Over a stream that lives on `socket`.
    pub(crate) fn over(stream: Box<dyn Stream>, socket: TcpStream) -> io::Result<Wire> {
        // Each piece is to arrive as a piece.
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, socket, received: Vec::new(), tap: None })
    }

    /// Shows `tap` every piece that arrives.
    pub(crate) fn tap(&mut self, tap: impl FnMut(&[u8]) + Send + 'static) {
        self.tap = Some(Box::new(tap));
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Sends it in pieces of `size` bytes, each with a write of its own.
    pub fn send_pieces(&mut self, bytes: impl AsRef<[u8]>, size: usize) -> io::Result<()> {
        bytes.as_ref().chunks(size).try_for_each(|piece| self.send(piece))
    }

    /// Sends `piece` again and again until the peer takes no more for `stalled`, or `bytes_max` are sent; gives the
    /// number of bytes the kernel took.
    pub fn flood(&mut self, piece: &[u8], bytes_max: usize, stalled: Duration) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(stalled))?;
        let mut taken = 0;
        while taken < bytes_max {
            match self.stream.write(piece) {
                Ok(count) => taken += count,
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(error),
            }
        }
        self.socket.set_write_timeout(Some(PATIENCE))?;
        Ok(taken)
    }

    /// Reads until `count` bytes have come, and takes them.
    pub fn read_exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < count {
            self.fill_or_end()?;
        }
        Ok(self.received.drain(..count).collect())
    }

    /// Reads until `end` has come, and takes everything up to and with it.
    pub fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.received.windows(end.len()).position(|window| window == end) {
                return Ok(self.received.drain(..at + end.len()).collect());
            }
            self.fill_or_end()?;
        }
    }

    /// Reads until the peer closes, cleanly, and takes everything.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.received))
    }

    /// Waits until the peer is gone, cleanly or not, and gives what came until then.
    ///
    /// # Panics
    /// When it stays.
    pub fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => panic!("the connection stays open"),
                Err(_) => break,
            }
        }
        std::mem::take(&mut self.received)
    }

    /// What has arrived already, within `window` at most; for claims that nothing comes.
    pub fn arrives_within(&mut self, window: Duration) -> io::Result<Vec<u8>> {
        self.socket.set_read_timeout(Some(window))?;
        let filled = self.fill();
        self.socket.set_read_timeout(Some(PATIENCE))?;
        match filled {
            Err(error) if !is_timeout(&error) => Err(error),
            _ => Ok(std::mem::take(&mut self.received)),
        }
    }

    /// Whether anything has arrived that nobody took.
    pub fn has_bytes(&self) -> bool {
        !self.received.is_empty()
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Makes the coming close a reset.
    pub fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))
    }

    fn fill_or_end(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; READ_BYTES];
        let count = self.stream.read(&mut piece)?;
        if let Some(tap) = &mut self.tap {
            tap(&piece[..count]);
        }
        self.received.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
