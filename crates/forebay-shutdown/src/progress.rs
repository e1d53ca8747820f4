//! What is in flight and what became of it: numbers only.

use std::ops::{Index, IndexMut};
use std::time::Duration;

/// What a stop waits for. The order is one of dependence: a listener yields connections, which yield the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An open listener: it may still yield connections.
    Listener,
    /// An open client connection, idle or not. Held for as long as any of its requests or its tunnel.
    Connection,
    /// A request whose response has not been written to its end.
    Request,
    /// An upgraded connection; nearly always a WebSocket, and called so where people read it.
    Tunnel,
}

impl Kind {
    /// Every kind, a source before what it yields.
    pub const ALL: [Kind; 4] = [Kind::Listener, Kind::Connection, Kind::Request, Kind::Tunnel];
}

/// One kind's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Now.
    pub in_flight: u32,
    /// Ended by themselves since the stop began.
    pub finished: u32,
    /// Ended by us in their own protocol since the stop began: a WebSocket closed with 1001.
    pub closed: u32,
    /// The longest of the finished, where its length was told; zero otherwise.
    pub slowest: Duration,
}

/// The numbers of every kind, over all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress([Count; Kind::ALL.len()]);

impl Progress {
    /// Whether nothing is in flight and nothing can come any more.
    pub fn is_quiet(&self) -> bool {
        self.0.iter().all(|count| count.in_flight == 0)
    }
}

impl Index<Kind> for Progress {
    type Output = Count;

    fn index(&self, kind: Kind) -> &Count {
        &self.0[kind as usize]
    }
}

impl IndexMut<Kind> for Progress {
    fn index_mut(&mut self, kind: Kind) -> &mut Count {
        &mut self.0[kind as usize]
    }
}
