//! Who is eligible, counted now and then rather than for every pick, and what follows from it for the pools.

use std::time::Duration;

use fastrand::Rng;
use forebay_clock::Moment;

use crate::ramp::FULL;
use crate::spread::{Capacity, Portion, spread};
use crate::{Candidate, Fleet};

/// How long a census holds, for each endpoint. Looking at one costs 10 ns or so, hence a thousandth of a core.
const AGE_PER_ENDPOINT: Duration = Duration::from_micros(10);
/// The longest that one holds: how late panic, fail-over and spill-over may be. (A pick looks at its endpoint itself.)
const AGE_MAX: Duration = Duration::from_millis(100);

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
        let capacity = |pool: &crate::pool::Pool| Capacity {
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

    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Looks at every endpoint.
    pub(crate) fn take<E: Candidate>(&mut self, fleet: &Fleet<E>, now: Moment) {
        let counted = fleet.pools().iter().zip(&mut self.tallies).zip(&mut self.capacities);
        for ((pool, tally), capacity) in counted {
            tally.count(pool.indices(), fleet, now);
            capacity.eligible = tally.capacity;
        }
        spread(&self.capacities, fleet.balance().panic_threshold.fraction(), &mut self.portions);
        self.sole = self.portions.iter().position(|portion| portion.share >= 1.0);
        let count = u32::try_from(fleet.endpoints().len()).unwrap_or(u32::MAX);
        self.due = Some(now + AGE_PER_ENDPOINT.saturating_mul(count).min(AGE_MAX));
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
    fn count<E: Candidate>(&mut self, indices: impl Iterator<Item = usize>, fleet: &Fleet<E>, now: Moment) {
        let ramp = fleet.balance().ramp;
        self.eligible.clear();
        (self.capacity, self.in_flight, self.permille_max) = (0, 0, 1);
        for index in indices {
            let endpoint = &fleet.endpoints()[index];
            if endpoint.is_eligible(now) {
                // Never beyond the capacity it was made with: it holds the whole pool.
                self.eligible.push(index as u32);
                self.capacity += u64::from(endpoint.weight().get());
                self.in_flight += u64::from(endpoint.in_flight());
                self.permille_max = self.permille_max.max(ramp.permille(endpoint, now));
            }
        }
    }
}
