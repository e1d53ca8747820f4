//! Kept connections to upstreams, one pool per core: no lock, and a connection never changes its core.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use forebay_clock::Moment;

use crate::client::Connection;

/// Idle connections kept per endpoint and core: more than a burst leaves behind are closed.
const IDLE_PER_ENDPOINT_MAX: usize = 512;

/// Idle connections by endpoint.
pub struct Pool {
    idle: RefCell<HashMap<u64, Vec<Idle>, BuildHasherDefault<IdHasher>>>,
    /// Shorter than what upstreams usually allow (Node 5 s is the shortest in common use), so that it is us who close.
    idle_timeout: Cell<Duration>,
}

struct Idle {
    connection: Box<Connection>,
    since: Moment,
}

impl Pool {
    /// An empty pool.
    pub fn new(idle_timeout: Duration) -> Pool {
        Pool { idle: RefCell::default(), idle_timeout: Cell::new(idle_timeout) }
    }

    /// Changes how long idle connections are kept, those at hand included.
    pub fn set_idle_timeout(&self, idle_timeout: Duration) {
        self.idle_timeout.set(idle_timeout);
    }

    /// The most recently used connection that is still there. `certain` asks the kernel, for a request that must
    /// not be sent twice: otherwise a connection closed this very moment is found out by using it.
    pub fn take(&self, endpoint: u64, now: Moment, certain: bool) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.get_mut(&endpoint)?;
        while let Some(Idle { mut connection, since }) = kept.pop() {
            if now.since(since) < self.idle_timeout.get()
                && connection.seems_alive()
                && (!certain || connection.is_quiet())
            {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last request is finished.
    pub fn put(&self, endpoint: u64, connection: Box<Connection>, now: Moment) {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.entry(endpoint).or_default();
        if kept.len() < IDLE_PER_ENDPOINT_MAX {
            kept.push(Idle { connection, since: now });
        }
    }

    /// Closes what has been idle for too long or was closed by its upstream.
    pub fn expire(&self, now: Moment) {
        self.idle.borrow_mut().retain(|_, kept| {
            kept.retain_mut(|idle| {
                now.since(idle.since) < self.idle_timeout.get() && idle.connection.seems_alive()
            });
            !kept.is_empty()
        });
    }

    /// Number of idle connections.
    pub fn len(&self) -> usize {
        self.idle.borrow().values().map(Vec::len).sum()
    }

    /// Whether no connection is idle.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Endpoint ids are small numbers given out in order: spreading them is one multiplication (Fibonacci hashing).
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
