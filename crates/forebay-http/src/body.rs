//! Bodies as the stages see them: a source of pieces, a sink of pieces, and the relay between the two.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use thiserror::Error;

use crate::framing::Framing;
use crate::head::ResponseHead;
use crate::io::Io;
use crate::reader::{Piece, ReadError, Reader};
use crate::section::Section;
use crate::writer::{WriteError, Writer};

/// Where the body of a request or a response comes from.
pub enum Incoming<'c> {
    /// An HTTP/1 connection.
    Http1 {
        /// Its socket.
        io: &'c Io,
        /// Its receiving half, positioned in the body.
        reader: &'c mut Reader,
    },
    /// Held whole: internal requests and replays.
    Whole(Bytes),
}

impl Incoming<'_> {
    /// No body.
    pub fn empty() -> Incoming<'static> {
        Incoming::Whole(Bytes::new())
    }

    /// The next piece; [`Incoming::piece`] has its bytes until [`Incoming::consume`].
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, ReadError>> {
        match self {
            Incoming::Http1 { io, reader } => reader.poll_piece(cx, io),
            Incoming::Whole(bytes) if bytes.is_empty() => Poll::Ready(Ok(Piece::End)),
            Incoming::Whole(bytes) => Poll::Ready(Ok(Piece::Data(bytes.len()))),
        }
    }

    /// The bytes of the present piece.
    pub fn piece(&self) -> &[u8] {
        match self {
            Incoming::Http1 { reader, .. } => reader.piece(),
            Incoming::Whole(bytes) => bytes,
        }
    }

    /// Drops the first `count` bytes of the present piece.
    pub fn consume(&mut self, count: usize) {
        match self {
            Incoming::Http1 { reader, .. } => reader.consume(count),
            Incoming::Whole(bytes) => drop(bytes.split_to(count)),
        }
    }

    /// The trailer section, once the body is over.
    pub fn trailers(&self) -> Option<&Section> {
        match self {
            Incoming::Http1 { reader, .. } => reader.trailers(),
            Incoming::Whole(_) => None,
        }
    }

    /// Drops the trailer section that is still to come.
    pub fn drop_trailers(&mut self) {
        if let Incoming::Http1 { reader, .. } = self {
            reader.drop_trailers();
        }
    }

    /// What follows the head is the other protocol's bytes, until the client closes.
    pub fn begin_tunnel(&mut self) {
        if let Incoming::Http1 { reader, .. } = self {
            reader.begin_body(Framing::UntilClose);
        }
    }

    /// Bounds the body: what goes beyond is [`ReadError::TooLarge`] and is never given out.
    pub fn limit(&mut self, bytes_max: u64) {
        match self {
            Incoming::Http1 { reader, .. } => reader.limit_body(bytes_max),
            // What is held whole was bounded by whoever holds it.
            Incoming::Whole(_) => {}
        }
    }

    /// Ready once the client has closed its side or is gone; for an exchange that waits for something else. Never while
    /// something of the body is left to read.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Incoming::Http1 { io, .. } if self.is_over() => io.poll_closed(cx),
            Incoming::Http1 { .. } | Incoming::Whole(_) => Poll::Pending,
        }
    }

    /// Whether nothing of the body is left to read.
    pub fn is_over(&self) -> bool {
        match self {
            Incoming::Http1 { reader, .. } => reader.is_between_messages(),
            Incoming::Whole(bytes) => bytes.is_empty(),
        }
    }
}

/// A response held whole, for internal callers.
#[derive(Debug, Default)]
pub struct Collected {
    /// The head, once it was sent.
    pub head: Option<ResponseHead>,
    /// The body so far.
    pub body: Vec<u8>,
    /// The body may not grow past this.
    pub bytes_max: usize,
    /// Whether the body came to its end.
    pub is_whole: bool,
}

/// Where a body goes.
pub enum Outgoing<'c> {
    /// An HTTP/1 connection.
    Http1 {
        /// Its socket.
        io: &'c Io,
        /// Its sending half, with the head already written.
        writer: &'c mut Writer,
    },
    /// Memory, bounded.
    Collect(&'c mut Collected),
}

impl Outgoing<'_> {
    /// Takes some of a piece, which is not empty. What is taken may wait for [`Outgoing::poll_flush`].
    pub fn poll_body(&mut self, cx: &mut Context<'_>, piece: &[u8]) -> Poll<Result<usize, WriteError>> {
        match self {
            Outgoing::Http1 { io, writer } => writer.poll_body(cx, io, piece),
            Outgoing::Collect(collected) if collected.body.len() + piece.len() > collected.bytes_max => {
                Poll::Ready(Err(WriteError::TooLong))
            }
            Outgoing::Collect(collected) => {
                collected.body.extend_from_slice(piece);
                Poll::Ready(Ok(piece.len()))
            }
        }
    }

    /// Ends the body. Calling it again does nothing.
    pub fn end(&mut self, trailers: Option<&Section>) -> Result<(), WriteError> {
        match self {
            Outgoing::Http1 { writer, .. } => writer.end(trailers),
            Outgoing::Collect(collected) => {
                collected.is_whole = true;
                Ok(())
            }
        }
    }

    /// Sends everything that waits.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        match self {
            Outgoing::Http1 { io, writer } => writer.poll_flush(cx, io),
            Outgoing::Collect(_) => Poll::Ready(Ok(())),
        }
    }

    /// Says that this direction is over, as the end of a tunnel.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        match self {
            Outgoing::Http1 { io, .. } => io.poll_shutdown(cx).map_err(WriteError::Broken),
            Outgoing::Collect(_) => Poll::Ready(Ok(())),
        }
    }

    /// Body bytes accepted since the head.
    pub fn body_bytes(&self) -> u64 {
        match self {
            Outgoing::Http1 { writer, .. } => writer.body_bytes(),
            Outgoing::Collect(collected) => collected.body.len() as u64,
        }
    }
}

/// Which side a relay failed on.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The side that sends the body.
    #[error("the sender of the body failed")]
    Source(#[source] ReadError),
    /// The side that receives it.
    #[error("the receiver of the body failed")]
    Sink(#[source] WriteError),
}

/// Moves pieces until the body is over and everything is sent. What the sink cannot take stays in the source, so a
/// slow reader slows its writer. `seen` is shown every piece that went over.
pub fn poll_relay(
    cx: &mut Context<'_>,
    from: &mut Incoming<'_>,
    to: &mut Outgoing<'_>,
    mut seen: impl FnMut(&[u8]),
) -> Poll<Result<(), RelayError>> {
    loop {
        match from.poll_piece(cx) {
            Poll::Ready(Ok(Piece::Data(_))) => {
                let count = ready!(to.poll_body(cx, from.piece())).map_err(RelayError::Sink)?;
                seen(&from.piece()[..count]);
                from.consume(count);
            }
            Poll::Ready(Ok(Piece::End)) => {
                to.end(from.trailers()).map_err(RelayError::Sink)?;
                return to.poll_flush(cx).map_err(RelayError::Sink);
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(RelayError::Source(error))),
            // Nothing more for now: do not keep back what has come.
            Poll::Pending => {
                ready!(to.poll_flush(cx)).map_err(RelayError::Sink)?;
                return Poll::Pending;
            }
        }
    }
}
