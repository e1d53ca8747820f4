//! The receiving half of an HTTP/1 connection: heads, then the pieces of a body, from one buffer.

use std::io;
use std::task::{Context, Poll, ready};

use thiserror::Error;

use crate::buffer::{BUFFER_BYTES, Buffer};
use crate::chunked::{Decoder, Step};
use crate::framing::Framing;
use crate::head::{RequestHead, ResponseHead};
use crate::io::Io;
use crate::parse::{HeadLimits, Malformed, RequestParser, ResponseParser};
use crate::section::Section;

/// Empty lines a client may send before a request (RFC 9112 §2.2); some send one behind a form's body.
const LEADING_LINES_MAX: usize = 4;

/// Why nothing more can be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The connection failed.
    #[error("the connection broke while reading")]
    Broken(#[source] io::Error),
    /// The peer closed inside a message.
    #[error("the connection was closed inside a message")]
    Incomplete,
    /// The body is longer than allowed.
    #[error("the body is longer than allowed")]
    TooLarge,
    /// The bytes are not HTTP.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What a body gives next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This many bytes are ready.
    Data(usize),
    /// It is over.
    End,
}

#[derive(Debug)]
enum Decode {
    Done,
    Length { left: u64 },
    Chunked(Box<Decoder>),
    UntilClose,
}

/// Reads one direction of one connection.
#[derive(Debug)]
pub struct Reader {
    /// Taken when bytes arrive; an idle connection has none.
    buffer: Option<Buffer>,
    decode: Decode,
    /// Decoded body bytes at the front of the buffer.
    ready: usize,
    trailers: Option<Section>,
    keeps_trailers: bool,
    leading_lines: usize,
    /// Bytes received in this message, for the logs.
    received: u64,
    /// The body under way may not be longer.
    bytes_max: u64,
    limits: HeadLimits,
}

impl Reader {
    /// For a fresh connection.
    pub fn new(limits: HeadLimits) -> Reader {
        Reader {
            buffer: None,
            decode: Decode::Done,
            ready: 0,
            trailers: None,
            keeps_trailers: true,
            leading_lines: 0,
            received: 0,
            bytes_max: u64::MAX,
            limits,
        }
    }

    /// Whether bytes have arrived that belong to nobody yet.
    pub fn has_bytes(&self) -> bool {
        self.buffer.is_some()
    }

    /// Whether the body under way has been read to its end.
    pub fn is_between_messages(&self) -> bool {
        matches!(self.decode, Decode::Done) && self.ready == 0
    }

    /// Body bytes received since the last head.
    pub fn body_bytes(&self) -> u64 {
        self.received
    }

    /// Reads a request head. `Ok(None)` when the peer closed before its first byte. `parser` keeps what was
    /// understood between calls and starts as `None`.
    pub fn poll_request_head(
        &mut self,
        cx: &mut Context<'_>,
        io: &Io,
        parser: &mut Option<RequestParser>,
    ) -> Poll<Result<Option<RequestHead>, ReadError>> {
        loop {
            self.skip_leading_lines()?;
            if let Some(buffer) = &self.buffer {
                let parsing = parser.get_or_insert_with(|| RequestParser::new(self.limits));
                if let Some(length) = parsing.advance(buffer.filled())? {
                    let (Some(parser), Some(buffer)) = (parser.take(), self.take_head(length)) else {
                        return Poll::Ready(Err(ReadError::Incomplete));
                    };
                    return Poll::Ready(Ok(Some(parser.finish(buffer)?)));
                }
            }
            if ready!(self.poll_fill(cx, io))? == 0 {
                return Poll::Ready(if self.buffer.is_none() {
                    Ok(None)
                } else {
                    Err(ReadError::Incomplete)
                });
            }
        }
    }

    /// Reads a response head; the peer closing before its first byte is [`ReadError::Incomplete`] too.
    pub fn poll_response_head(
        &mut self,
        cx: &mut Context<'_>,
        io: &Io,
        parser: &mut Option<ResponseParser>,
    ) -> Poll<Result<ResponseHead, ReadError>> {
        loop {
            if let Some(buffer) = &self.buffer {
                let parsing = parser.get_or_insert_with(|| ResponseParser::new(self.limits));
                if let Some(length) = parsing.advance(buffer.filled())? {
                    let (Some(parser), Some(buffer)) = (parser.take(), self.take_head(length)) else {
                        return Poll::Ready(Err(ReadError::Incomplete));
                    };
                    return Poll::Ready(Ok(parser.finish(buffer)?));
                }
            }
            if ready!(self.poll_fill(cx, io))? == 0 {
                return Poll::Ready(Err(ReadError::Incomplete));
            }
        }
    }

    /// The buffer with exactly the head in it; what follows stays for the body or the next message.
    fn take_head(&mut self, length: usize) -> Option<Buffer> {
        let mut head = self.buffer.take()?;
        self.buffer = head.split_off(length);
        self.leading_lines = 0;
        Some(head)
    }

    fn skip_leading_lines(&mut self) -> Result<(), Malformed> {
        while let Some(buffer) = &mut self.buffer {
            if !buffer.filled().starts_with(b"\r\n") {
                break;
            }
            self.leading_lines += 1;
            if self.leading_lines > LEADING_LINES_MAX {
                return Err(Malformed::RequestLine);
            }
            buffer.consume(2);
            self.drop_empty_buffer();
        }
        Ok(())
    }

    /// Starts a body behind the head just read.
    pub fn begin_body(&mut self, framing: Framing) {
        debug_assert_eq!(self.ready, 0);
        self.received = 0;
        self.bytes_max = u64::MAX;
        self.trailers = None;
        self.keeps_trailers = true;
        self.decode = match framing {
            Framing::None => Decode::Done,
            Framing::Length(left) => Decode::Length { left },
            Framing::Chunked => Decode::Chunked(Box::new(Decoder::new())),
            Framing::UntilClose => Decode::UntilClose,
        };
    }

    /// Bounds the body under way: no piece beyond this many bytes is given out.
    pub fn limit_body(&mut self, bytes_max: u64) {
        self.bytes_max = bytes_max;
    }

    /// Drops the trailer section of the body under way.
    pub fn drop_trailers(&mut self) {
        self.keeps_trailers = false;
    }

    /// The next piece of the body; [`Reader::piece`] has its bytes until [`Reader::consume`].
    pub fn poll_piece(&mut self, cx: &mut Context<'_>, io: &Io) -> Poll<Result<Piece, ReadError>> {
        loop {
            if self.received + self.ready as u64 > self.bytes_max {
                return Poll::Ready(Err(ReadError::TooLarge));
            }
            if self.ready > 0 {
                return Poll::Ready(Ok(Piece::Data(self.ready)));
            }
            if self.decode()? {
                return Poll::Ready(Ok(Piece::End));
            }
            if self.ready == 0 && ready!(self.poll_fill(cx, io))? == 0 {
                return Poll::Ready(match self.decode {
                    Decode::UntilClose => {
                        self.decode = Decode::Done;
                        Ok(Piece::End)
                    }
                    _ => Err(ReadError::Incomplete),
                });
            }
        }
    }

    /// Looks for body bytes in what was received. True at the body's end.
    fn decode(&mut self) -> Result<bool, Malformed> {
        let available = self.buffer.as_ref().map_or(0, Buffer::len);
        match &mut self.decode {
            Decode::Done => return Ok(true),
            Decode::Length { left } => {
                self.ready = available.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= self.ready as u64;
                if *left == 0 {
                    self.decode = Decode::Done;
                }
            }
            Decode::UntilClose => self.ready = available,
            Decode::Chunked(decoder) => {
                let Some(buffer) = &mut self.buffer else { return Ok(false) };
                let step = decoder.step(buffer.filled(), &self.limits)?;
                let (Step::Data { skip, .. } | Step::More { skip } | Step::End { skip }) = step;
                buffer.consume(skip);
                if let Step::Data { len, .. } = step {
                    self.ready = len;
                } else if let Step::End { .. } = step {
                    self.trailers = decoder.take_trailers().filter(|_| self.keeps_trailers);
                    self.decode = Decode::Done;
                }
                self.drop_empty_buffer();
                return Ok(matches!(step, Step::End { .. }));
            }
        }
        Ok(false)
    }

    /// The bytes of the present piece.
    pub fn piece(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer.filled()[..self.ready])
    }

    /// Drops the first `count` bytes of the present piece.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.ready);
        self.ready -= count;
        self.received += count as u64;
        if let Some(buffer) = &mut self.buffer {
            buffer.consume(count);
        }
        self.drop_empty_buffer();
    }

    /// The trailer section of the body that has ended, without what must not be in it.
    pub fn trailers(&self) -> Option<&Section> {
        self.trailers.as_ref()
    }

    /// Throws away whatever else has arrived.
    pub fn discard(&mut self) {
        self.buffer = None;
        self.ready = 0;
    }

    /// Ready when anything happens on a connection that should be silent.
    pub(crate) fn poll_arrival(&mut self, cx: &mut Context<'_>, io: &Io) -> Poll<()> {
        self.poll_fill(cx, io).map(|_| ())
    }

    /// Reads more bytes; zero at the end. While nothing has arrived no buffer is held.
    fn poll_fill(&mut self, cx: &mut Context<'_>, io: &Io) -> Poll<Result<usize, ReadError>> {
        let mut buffer = self.buffer.take().unwrap_or_else(|| self.fresh_buffer());
        if buffer.is_full() {
            if buffer.has_consumed() {
                buffer.compact();
            } else {
                // Only heads get here, and the parser bounds their length.
                buffer.grow();
            }
        }
        let read = io.poll_read(cx, &mut buffer);
        if !buffer.is_empty() {
            self.buffer = Some(buffer);
        }
        read.map_err(ReadError::Broken)
    }

    /// Large where more of a body is known to come than the usual one holds: fewer system calls for the same bytes.
    fn fresh_buffer(&self) -> Buffer {
        match self.decode {
            Decode::Length { left } if left > BUFFER_BYTES as u64 => Buffer::take_large(),
            _ => Buffer::take(),
        }
    }

    /// A buffer goes back to the pool as soon as nothing is in it.
    fn drop_empty_buffer(&mut self) {
        if self.buffer.as_ref().is_some_and(Buffer::is_empty) {
            self.buffer = None;
        }
    }
}
