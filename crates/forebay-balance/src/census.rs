//! Who is eligible, counted now and then rather than for every pick, and what follows from it for the pools.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use forebay_clock::Moment;

use crate::pool::Pool;
use crate::ramp::FULL;
use crate::spread::{Capacity, Portion, spread};
use crate::{Candidate, Fleet};

/// How long a census holds, for each endpoint. Looking at one costs 10 ns or so, hence a thousandth of a core.
const AGE_PER_ENDPOINT: Duration = Duration::from_micros(10);
/// The longest that one holds: how late panic, fail-over and spill-over may be. (A pick looks at its endpoint itself.)
const AGE_MAX: Duration = Duration::from_millis(100);

/// Chunks of endpoints that are counted again with a change; beyond it all are, with the next pick. 4,096 endpoints, two
/// fifths of the largest fleet.
const CHANGED_MAX: usize = 16;

/// One core's latest count.
#[derive(Debug)]
pub(crate) struct Census {
    /// `None` before the first.
    due: Option<Moment>,
    tallies: Box<[Tally]>,
    capacities: Box<[Capacity]>,
    portions: Box<[Portion]>,
    /// The pool that gets everything, if one does.
    sole: Option<usize>,
}

/// What was found in one pool.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The eligible, ascending.
    pub(crate) eligible: Vec<u32>,
    /// Sum of their weights.
    pub(crate) capacity: u64,
    /// Sum of their requests in flight.
    pub(crate) in_flight: u64,
    /// The most that one of them has of its weight, in thousandths: what others are measured against, since in a fleet
    /// where all are new nobody is.
    pub(crate) permille_max: u32,
}

impl Census {
    pub(crate) fn new<E: Candidate>(fleet: &Fleet<E>) -> Census {
        let pools = fleet.pools();
        let tally = |size| Tally {
            eligible: Vec::with_capacity(size),
            capacity: 0,
            in_flight: 0,
            permille_max: FULL,
        };
        let capacity = |pool: &Pool| Capacity {
            level: pool.level,
            is_local: pool.is_local,
            total: pool.capacity,
            eligible: 0,
        };
        Census {
            due: None,
            tallies: pools.iter().map(|pool| tally(pool.size())).collect(),
            capacities: pools.iter().map(capacity).collect(),
            portions: pools.iter().map(|_| Portion::default()).collect(),
            sole: None,
        }
    }

    /// The census of the fleet that follows, if this one can be carried on: by one look at each endpoint whose chunk is another.
    pub(crate) fn succeed<E: Candidate>(
        before: &Census,
        old: &Fleet<E>,
        new: &Fleet<E>,
        now: Moment,
    ) -> Census {
        let mut census = Census::new(new);
        let Some(due) = before.due.filter(|_| old.is_of_one_lineage(new)) else { return census };
        let changed: Vec<Range<usize>> = old.endpoints().unshared(new.endpoints()).collect();
        if changed.len() > CHANGED_MAX {
            return census;
        }
        // Of one lineage, hence the same pools.
        let pools = new.pools().iter().zip(&before.tallies);
        for ((pool, before), (tally, capacity)) in
            pools.zip(census.tallies.iter_mut().zip(&mut census.capacities))
        {
            tally.carry(before, &changed, old, (new, pool), now);
            capacity.eligible = tally.capacity;
        }
        census.settle(new, due);
        census
    }

    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Looks at every endpoint.
    pub(crate) fn take<E: Candidate>(&mut self, fleet: &Fleet<E>, now: Moment) {
        let counted = fleet.pools().iter().zip(&mut self.tallies).zip(&mut self.capacities);
        for ((pool, tally), capacity) in counted {
            tally.count(fleet, pool, now);
            capacity.eligible = tally.capacity;
        }
        let count = u32::try_from(fleet.endpoints().len()).unwrap_or(u32::MAX);
        self.settle(fleet, now + AGE_PER_ENDPOINT.saturating_mul(count).min(AGE_MAX));
    }

    /// Says what follows for the pools.
    fn settle<E: Candidate>(&mut self, fleet: &Fleet<E>, due: Moment) {
        spread(&self.capacities, fleet.balance().panic_threshold.fraction(), &mut self.portions);
        self.sole = self.portions.iter().position(|portion| portion.share >= 1.0);
        self.due = Some(due);
    }

    #[cfg(test)]
    pub(crate) fn findings(&self) -> impl std::fmt::Debug {
        (&self.tallies, &self.capacities, &self.portions, self.sole)
    }

    pub(crate) fn tally(&self, pool: usize) -> &Tally {
        &self.tallies[pool]
    }

    pub(crate) fn is_panicked(&self, pool: usize) -> bool {
        self.portions[pool].panicked
    }

    /// The pool for a request: the same one for the same `ticket`, at random without.
    pub(crate) fn draw(&self, ticket: Option<u64>, rng: &mut Rng) -> usize {
        if let Some(pool) = self.sole {
            return pool;
        }
        let mut left = match ticket {
            Some(ticket) => (ticket >> 11) as f64 / (1u64 << 53) as f64,
            None => rng.f64(),
        };
        let last = self.portions.iter().rposition(|portion| portion.share > 0.0).unwrap_or_default();
        let mut shares = self.portions[..last].iter();
        let drawn = shares.position(|portion| {
            left -= portion.share;
            left < 0.0
        });
        drawn.unwrap_or(last)
    }
}

impl Tally {
    fn count<E: Candidate>(&mut self, fleet: &Fleet<E>, pool: &Pool, now: Moment) {
        self.eligible.clear();
        (self.capacity, self.in_flight, self.permille_max) = (0, 0, 1);
        pool.each_member(fleet.endpoints(), |index, endpoint| self.look(index, endpoint, fleet, now));
    }

    fn look<E: Candidate>(&mut self, index: usize, endpoint: &E, fleet: &Fleet<E>, now: Moment) {
        if endpoint.is_eligible(now) {
            // Never beyond the capacity it was made with: it holds the whole pool.
            self.eligible.push(index as u32);
            self.capacity += u64::from(endpoint.weight().get());
            self.in_flight += u64::from(endpoint.in_flight());
            self.permille_max = self.permille_max.max(fleet.balance().ramp.permille(endpoint, now));
        }
    }

    /// Takes over what was found before, and looks again where something has `changed`.
    fn carry<E: Candidate>(
        &mut self,
        before: &Tally,
        changed: &[Range<usize>],
        old: &Fleet<E>,
        (new, pool): (&Fleet<E>, &Pool),
        now: Moment,
    ) {
        (self.capacity, self.in_flight) = (before.capacity, before.in_flight);
        self.permille_max = before.permille_max;
        let mut left = &before.eligible[..];
        for range in changed {
            let (same, rest) = left.split_at(left.partition_point(|&index| (index as usize) < range.start));
            let (gone, rest) = rest.split_at(rest.partition_point(|&index| (index as usize) < range.end));
            self.eligible.extend_from_slice(same);
            for &index in gone {
                let endpoint = &old.endpoints()[index as usize];
                self.capacity -= u64::from(endpoint.weight().get());
                // What it had then is not known any more; what it has now is as near as the count itself.
                self.in_flight = self.in_flight.saturating_sub(u64::from(endpoint.in_flight()));
            }
            for index in pool.places(range).map(|place| pool.index(place)) {
                self.look(index, &new.endpoints()[index], new, now);
            }
            left = rest;
        }
        self.eligible.extend_from_slice(left);
        if self.eligible.is_empty() {
            self.permille_max = 1;
        }
    }
}
