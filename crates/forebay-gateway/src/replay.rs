//! Keeps a request's body while it is being sent, so that another attempt can send it again from the start.

use forebay_http::Method;
use forebay_http::framing::Framing;

/// A body longer than this is sent once. Large enough for the JSON of most APIs; each waiting request may hold one.
const REPLAY_BYTES_MAX: usize = 64 * 1024;

/// The bytes of a body that have been taken from the client so far.
#[derive(Debug)]
pub(crate) struct Replay {
    keeps: bool,
    kept: Vec<u8>,
    /// Taken from the client in all.
    taken: u64,
}

impl Replay {
    /// Keeps only what another attempt may need: none is made with one attempt, and none after bytes were sent for a
    /// method that is not idempotent.
    pub(crate) fn new(attempts_max: u32, method: Method, framing: Framing) -> Replay {
        let fits = framing.length().is_none_or(|length| length <= REPLAY_BYTES_MAX as u64);
        Replay { keeps: attempts_max > 1 && method.is_idempotent() && fits, kept: Vec::new(), taken: 0 }
    }

    /// Notes a piece that was taken from the client.
    pub(crate) fn keep(&mut self, piece: &[u8]) {
        self.taken += piece.len() as u64;
        if !self.keeps {
            return;
        }
        if self.kept.len() + piece.len() > REPLAY_BYTES_MAX {
            self.keeps = false;
            self.kept = Vec::new();
            return;
        }
        self.kept.extend_from_slice(piece);
    }

    /// What the next attempt has to send before the rest of the body.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether the body can be sent from its beginning.
    pub(crate) fn is_whole(&self) -> bool {
        self.taken == self.kept.len() as u64
    }

    /// Bytes of the body taken from the client.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }
}
