//! The sending half of an HTTP/1 connection: heads and bodies, framed once, in as few system calls as it takes.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use thiserror::Error;

use crate::chunked;
use crate::head::{RequestHead, ResponseHead, Version};
use crate::io::Io;
use crate::section::Section;

/// Below this, copying a piece behind what already waits is cheaper than a vectored write.
const COPY_BYTES_MAX: usize = 4 * 1024;
/// More than this does not wait: the peer has to take some first. Bounds what a slow reader can hold.
const WAITING_BYTES_MAX: usize = 32 * 1024;
/// Output vectors a thread keeps for the next message.
const POOLED_MAX: usize = 256;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Why nothing more can be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The connection failed.
    #[error("the connection broke while writing")]
    Broken(#[source] io::Error),
    /// The body is longer than its head said.
    #[error("the body is longer than its head said")]
    TooLong,
    /// The body ended before the length that its head said.
    #[error("the body is shorter than its head said")]
    TooShort,
}

/// How a body is delimited on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimit {
    /// There is none.
    None,
    /// By this length in bytes.
    Length(u64),
    /// By the chunked coding.
    Chunked,
    /// By closing this direction.
    Close,
}

/// Writes one direction of one connection.
#[derive(Debug)]
pub struct Writer {
    /// Framed bytes that wait to be sent.
    out: Vec<u8>,
    sent: usize,
    delimit: Delimit,
    ended: bool,
    /// Body bytes taken in this message, for the logs.
    taken: u64,
    /// Whether any byte of this message has left.
    has_sent: bool,
}

impl Writer {
    /// For a fresh connection.
    pub fn new() -> Writer {
        Writer { out: Vec::new(), sent: 0, delimit: Delimit::None, ended: true, taken: 0, has_sent: false }
    }

    /// Body bytes accepted since the last head.
    pub fn body_bytes(&self) -> u64 {
        self.taken
    }

    /// Whether the message under way is whole and sent.
    pub fn is_between_messages(&self) -> bool {
        self.ended && self.sent == self.out.len()
    }

    /// Whether only the connection's end says where the body under way ends.
    pub fn is_ended_by_close(&self) -> bool {
        self.delimit == Delimit::Close
    }

    /// Whether anything waits for the peer to take it.
    pub fn has_waiting(&self) -> bool {
        self.sent < self.out.len()
    }

    /// Whether the kernel has taken any byte of the message under way.
    pub fn has_sent(&self) -> bool {
        self.has_sent
    }

    fn out(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = POOL
                .with(|pool| pool.borrow_mut().pop())
                .unwrap_or_else(|| Vec::with_capacity(COPY_BYTES_MAX));
        }
        &mut self.out
    }

    /// Starts a request. The head has no hop-by-hop fields; this adds those that frame the body, and asks for
    /// an upgrade where one is given.
    pub fn start_request(&mut self, head: &RequestHead, delimit: Delimit, upgrade: Option<&[u8]>) {
        let out = self.out();
        out.extend_from_slice(head.method_text().as_bytes());
        out.push(b' ');
        out.extend_from_slice(head.target_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        head.fields().write_to(out);
        self.start_body(delimit, upgrade);
    }

    /// Starts a response, as [`Writer::start_request`]. `connection` is its only option but `upgrade`.
    pub fn start_response(
        &mut self,
        head: &ResponseHead,
        delimit: Delimit,
        connection: Option<&str>,
        upgrade: Option<&[u8]>,
    ) {
        let out = self.out();
        write_status_line(out, head);
        head.fields().write_to(out);
        if let Some(option) = connection {
            out.extend_from_slice(b"connection: ");
            out.extend_from_slice(option.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        self.start_body(delimit, upgrade);
    }

    /// Writes a 1xx response other than 101.
    pub fn interim(&mut self, head: &ResponseHead) {
        let out = self.out();
        write_status_line(out, head);
        head.fields().write_to(out);
        out.extend_from_slice(b"\r\n");
    }

    fn start_body(&mut self, delimit: Delimit, upgrade: Option<&[u8]>) {
        let out = &mut self.out;
        if let Some(protocol) = upgrade {
            out.extend_from_slice(b"connection: upgrade\r\nupgrade: ");
            out.extend_from_slice(protocol);
            out.extend_from_slice(b"\r\n");
        }
        match delimit {
            Delimit::None | Delimit::Close => {}
            Delimit::Length(length) => {
                out.extend_from_slice(b"content-length: ");
                write_decimal(out, length);
                out.extend_from_slice(b"\r\n");
            }
            Delimit::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        out.extend_from_slice(b"\r\n");
        self.delimit = delimit;
        self.ended = false;
        self.taken = 0;
        self.has_sent = false;
    }

    /// The body that the head announced will not come: an answer to `HEAD`, or 304.
    pub fn omit_body(&mut self) {
        self.delimit = Delimit::None;
    }

    /// Takes some of a piece of the body. What is taken may wait for [`Writer::poll_flush`].
    pub fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        io: &Io,
        piece: &[u8],
    ) -> Poll<Result<usize, WriteError>> {
        debug_assert!(!piece.is_empty());
        if self.out.len() - self.sent > WAITING_BYTES_MAX {
            ready!(self.poll_send(cx, io))?;
        }
        let count = match self.delimit {
            Delimit::None => return Poll::Ready(Err(WriteError::TooLong)),
            Delimit::Length(left) if piece.len() as u64 > left => {
                return Poll::Ready(Err(WriteError::TooLong));
            }
            Delimit::Chunked => {
                chunked::write_chunk(self.out(), piece);
                piece.len()
            }
            Delimit::Length(_) | Delimit::Close => {
                if self.out.len() - self.sent + piece.len() <= COPY_BYTES_MAX {
                    self.out().extend_from_slice(piece);
                    piece.len()
                } else {
                    ready!(self.poll_send_with(cx, io, piece))?
                }
            }
        };
        if let Delimit::Length(left) = &mut self.delimit {
            *left -= count as u64;
        }
        self.taken += count as u64;
        Poll::Ready(Ok(count))
    }

    /// Ends the body; what waits is sent by [`Writer::poll_flush`]. Calling it again does nothing.
    pub fn end(&mut self, trailers: Option<&Section>) -> Result<(), WriteError> {
        if self.ended {
            return Ok(());
        }
        match self.delimit {
            Delimit::Length(left) if left > 0 => return Err(WriteError::TooShort),
            Delimit::Chunked => chunked::write_end(&mut self.out, trailers),
            _ => {}
        }
        self.ended = true;
        Ok(())
    }

    /// Sends everything that waits.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>, io: &Io) -> Poll<Result<(), WriteError>> {
        ready!(self.poll_send(cx, io))?;
        io.poll_flush(cx).map_err(WriteError::Broken)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, io: &Io) -> Poll<Result<(), WriteError>> {
        while self.sent < self.out.len() {
            let count = ready!(io.poll_write(cx, &self.out[self.sent..], &[])).map_err(WriteError::Broken)?;
            if count == 0 {
                return Poll::Ready(Err(WriteError::Broken(io::ErrorKind::WriteZero.into())));
            }
            self.sent += count;
            self.has_sent = true;
        }
        self.give_back();
        Poll::Ready(Ok(()))
    }

    /// Sends what waits and then straight from `piece`; ready once some of `piece` was taken.
    fn poll_send_with(
        &mut self,
        cx: &mut Context<'_>,
        io: &Io,
        piece: &[u8],
    ) -> Poll<Result<usize, WriteError>> {
        loop {
            let waiting = &self.out[self.sent..];
            let count = ready!(io.poll_write(cx, waiting, piece)).map_err(WriteError::Broken)?;
            if count == 0 {
                return Poll::Ready(Err(WriteError::Broken(io::ErrorKind::WriteZero.into())));
            }
            let waiting = waiting.len();
            self.sent += count.min(waiting);
            self.has_sent = true;
            if count > waiting {
                self.give_back();
                return Poll::Ready(Ok(count - waiting));
            }
        }
    }

    /// An idle connection holds no output vector.
    fn give_back(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        self.sent = 0;
        if out.capacity() == 0 || out.capacity() > 2 * WAITING_BYTES_MAX {
            return;
        }
        out.clear();
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED_MAX {
                pool.push(out);
            }
        });
    }
}

impl Default for Writer {
    fn default() -> Writer {
        Writer::new()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn write_status_line(out: &mut Vec<u8>, head: &ResponseHead) {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(head.status()));
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
}

fn write_decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(decimal(number, &mut [0; 20]));
}

/// The digits of a number, of which there are twenty at most.
pub(crate) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    &digits[at..]
}

/// How a response body goes out: decided once, behind the last stage that may change its length.
pub fn delimit_response(version: Version, length: Option<u64>) -> Delimit {
    match (length, version) {
        (Some(length), _) => Delimit::Length(length),
        (None, Version::Http10) => Delimit::Close,
        (None, _) => Delimit::Chunked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_whole() {
        for number in [0, 7, 10, 200, u64::MAX] {
            let mut out = Vec::new();
            write_decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
