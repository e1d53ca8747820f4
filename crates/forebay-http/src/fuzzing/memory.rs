//! A connection to nobody: gives out prepared pieces, one per read, and keeps what is written. Never waits.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The other side of [`crate::io::Io`], in memory.
#[derive(Debug, Default)]
pub struct Memory {
    pieces: VecDeque<Vec<u8>>,
    written: Vec<u8>,
}

impl Memory {
    /// Gives out these pieces, none of them empty, and then closes.
    pub(crate) fn new(pieces: impl IntoIterator<Item = Vec<u8>>) -> Memory {
        Memory { pieces: pieces.into_iter().collect(), written: Vec::new() }
    }

    pub(crate) fn into_written(self) -> Vec<u8> {
        self.written
    }
}

impl AsyncRead for Memory {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let memory = self.get_mut();
        if let Some(mut piece) = memory.pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(into.remaining()));
            into.put_slice(&piece);
            if !rest.is_empty() {
                memory.pieces.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
