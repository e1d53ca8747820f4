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
    /// By identity, ascending, with the index that the endpoint had when the table was built.
    seats: Box<[(Seat, u32)]>,
    /// Says these indices.
    circle: Circle,
}

/// A table as a fleet uses it.
#[derive(Clone, Debug)]
pub(crate) struct Seated {
    table: Arc<Table>,
    /// By the index that an endpoint had when the table was built, the one that it has now, or [`GONE`]; `None` as long as
    /// that is the same for all, which spares a pick a look.
    moved: Option<Box<[u32]>>,
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
        let is_same = |table: &Table| table.seats().eq(endpoints.iter().map(|(seat, _)| seat));
        let kept = before.map(|before| &before.table).filter(|table| keep || is_same(table));
        let Some(table) = kept else {
            let table = Arc::new(Table::new(policy, endpoints.into())?);
            return Some(Seated { table, moved: None, is_settled: true });
        };
        let mut seated = Seated { table: Arc::clone(table), moved: None, is_settled: is_same(table) };
        if *table.seats != *endpoints {
            let mut moved = table.unmoved();
            for (number, (seat, before)) in table.seats.iter().enumerate() {
                // A settled table's seats are these endpoints in this order; searching would be the same, only slower.
                let found = match seated.is_settled {
                    true => Some(number),
                    false => endpoints.binary_search_by_key(&seat.who, |(seat, _)| seat.who).ok(),
                };
                moved[*before as usize] = found.map_or(GONE, |at| endpoints[at].1);
            }
            seated.moved = Some(moved);
        }
        Some(seated)
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
        if let Ok(seat) = self.table.seats.binary_search_by_key(&who, |(seat, _)| seat.who) {
            let (_, before) = self.table.seats[seat];
            if self.moved.is_some() || before != index {
                self.moved.get_or_insert_with(|| self.table.unmoved())[before as usize] = index;
            }
        }
    }

    /// Where a key begins.
    #[inline]
    pub(crate) fn start(&self, key: u64) -> usize {
        match &self.table.circle {
            Circle::Maglev(maglev) => maglev.start(key),
            Circle::Ring(ring) => ring.start(key),
        }
    }

    /// The index of the endpoint that sits at `position`, unless it is gone, and the position behind it.
    #[inline]
    pub(crate) fn seat(&self, position: usize) -> (Option<usize>, usize) {
        let (before, size) = match &self.table.circle {
            Circle::Maglev(maglev) => (maglev.seat(position), maglev.size()),
            Circle::Ring(ring) => (ring.seat(position), ring.size()),
        };
        let index = self.moved.as_ref().map_or(before as u32, |moved| moved[before]);
        let behind = if position + 1 == size { 0 } else { position + 1 };
        ((index != GONE).then_some(index as usize), behind)
    }
}

impl Table {
    fn new(policy: Policy, seats: Box<[(Seat, u32)]>) -> Option<Table> {
        let circle = match policy {
            Policy::Maglev => Circle::Maglev(Maglev::new(&seats)),
            Policy::RingHash => Circle::Ring(Ring::new(&seats)),
            Policy::LeastRequest | Policy::PeakEwma | Policy::RoundRobin | Policy::Random => return None,
        };
        Some(Table { seats, circle })
    }

    fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().map(|(seat, _)| seat)
    }

    /// Every index for itself.
    fn unmoved(&self) -> Box<[u32]> {
        let last = self.seats.iter().map(|(_, index)| *index).max();
        (0..=last.unwrap_or_default()).collect()
    }
}
