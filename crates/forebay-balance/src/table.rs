//! Where a key's endpoint is found: a circle of seats. A hashing policy says how the circle is filled and where on it
//! a key begins; who is not to be had is passed by, seat after seat, the same way for every request with that key.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::maglev::Maglev;
use crate::ring::Ring;
use crate::{Candidate, Identity, Policy};

/// In place of an index: the endpoint is not in the fleet any more.
const GONE: u32 = u32::MAX;

/// Whom a table seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) who: Identity,
    pub(crate) weight: NonZeroU32,
}

impl Seat {
    pub(crate) fn of(endpoint: &impl Candidate) -> Seat {
        Seat { who: endpoint.identity(), weight: endpoint.weight() }
    }
}

/// Built off the data path; shared by the fleets of the same endpoints, and for a while by their successors.
#[derive(Debug)]
struct Table {
    /// By identity, ascending.
    seats: Box<[Seat]>,
    circle: Circle,
}

/// A table as a fleet uses it.
#[derive(Clone, Debug)]
pub(crate) struct Seated {
    table: Arc<Table>,
    /// By the seats' numbers, the index of the endpoint, or [`GONE`].
    indices: Box<[u32]>,
    /// Whether the table was built for exactly these endpoints and weights.
    pub(crate) is_settled: bool,
}

#[derive(Debug)]
enum Circle {
    Maglev(Maglev),
    Ring(Ring),
}

impl Seated {
    /// Endpoints by index. Builds a table, unless the one there is `before` was built for the same, or it must
    /// `keep` that one whatever has changed. `None` for policies that do not hash.
    pub(crate) fn new(
        policy: Policy,
        mut endpoints: Vec<(Seat, u32)>,
        before: Option<&Seated>,
        keep: bool,
    ) -> Option<Seated> {
        // Every node finds the same seats, in whatever order its sources list the endpoints.
        endpoints.sort_unstable_by_key(|(seat, index)| (seat.who, *index));
        let is_same = |table: &Table| table.seats.iter().eq(endpoints.iter().map(|(seat, _)| seat));
        let kept = before.map(|before| &before.table).filter(|table| keep || is_same(table));
        let (table, is_settled) = match kept {
            Some(table) => (Arc::clone(table), is_same(table)),
            None => (Arc::new(Table::new(policy, endpoints.iter().map(|(seat, _)| *seat).collect())?), true),
        };
        let index = |seat: &Seat| {
            let found = endpoints.binary_search_by_key(&seat.who, |(seat, _)| seat.who);
            found.map_or(GONE, |at| endpoints[at].1)
        };
        // A settled table's seats are these endpoints in this order; searching would be the same, only slower.
        let indices = match is_settled {
            true => endpoints.iter().map(|(_, index)| *index).collect(),
            false => table.seats.iter().map(index).collect(),
        };
        Some(Seated { table, indices, is_settled })
    }

    /// This endpoint is found at this index from now on, if the table has seats for it; the table stays as it is.
    pub(crate) fn put(&mut self, who: Identity, index: usize) {
        self.point(who, index as u32);
    }

    /// This endpoint is found no more.
    pub(crate) fn remove(&mut self, who: Identity) {
        self.point(who, GONE);
    }

    fn point(&mut self, who: Identity, index: u32) {
        if let Ok(seat) = self.table.seats.binary_search_by_key(&who, |seat| seat.who) {
            self.indices[seat] = index;
        }
    }

    /// Where a key begins.
    pub(crate) fn start(&self, key: u64) -> usize {
        match &self.table.circle {
            Circle::Maglev(maglev) => maglev.start(key),
            Circle::Ring(ring) => ring.start(key),
        }
    }

    /// The index of the endpoint that sits at `position`, unless it is gone, and the position behind it.
    pub(crate) fn seat(&self, position: usize) -> (Option<usize>, usize) {
        let (seat, size) = match &self.table.circle {
            Circle::Maglev(maglev) => (maglev.seat(position), maglev.size()),
            Circle::Ring(ring) => (ring.seat(position), ring.size()),
        };
        let index = self.indices[seat];
        let behind = if position + 1 == size { 0 } else { position + 1 };
        ((index != GONE).then_some(index as usize), behind)
    }
}

impl Table {
    fn new(policy: Policy, seats: Box<[Seat]>) -> Option<Table> {
        let circle = match policy {
            Policy::Maglev => Circle::Maglev(Maglev::new(&seats)),
            Policy::RingHash => Circle::Ring(Ring::new(&seats)),
            Policy::LeastRequest | Policy::PeakEwma | Policy::RoundRobin | Policy::Random => return None,
        };
        Some(Table { seats, circle })
    }
}
