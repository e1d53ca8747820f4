//! Endpoints that stand for each other: those of one priority level and, where a zone is preferred, of one zone.

use std::num::NonZeroU32;

use fastrand::Rng;

use crate::alias::AliasTable;
use crate::table::{Seat, Seated};
use crate::{Balance, Candidate};

/// Priority levels kept apart; those beyond share the last one. More than two or three are rare.
const LEVELS_MAX: usize = 8;
/// Zones kept apart in one level; those beyond share the last one. Clouds have three to six in a region.
const ZONES_MAX: usize = 16;

/// A part of a fleet that is chosen as a whole before an endpoint in it is.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Counted from 0, the preferred one.
    pub(crate) level: usize,
    /// Whether it is of the preferred zone.
    pub(crate) is_local: bool,
    /// Sum of its weights.
    pub(crate) capacity: u64,
    /// For hashing policies.
    pub(crate) seated: Option<Seated>,
    members: Members,
    weights: Weights,
}

/// Which endpoints, ascending.
#[derive(Debug)]
enum Members {
    All(usize),
    Some(Box<[u32]>),
}

#[derive(Debug)]
enum Weights {
    Equal,
    Unequal(AliasTable),
}

impl Pool {
    fn new<E: Candidate>(group: Group, members: Members, endpoints: &[E]) -> Pool {
        let mut pool = Pool {
            level: group.level,
            is_local: group.zone == Some(0),
            capacity: 0,
            seated: None,
            members,
            weights: Weights::Equal,
        };
        let weights: Vec<NonZeroU32> =
            (0..pool.size()).map(|place| endpoints[pool.index(place)].weight()).collect();
        pool.capacity = weights.iter().map(|weight| u64::from(weight.get())).sum();
        if weights.windows(2).any(|pair| pair[0] != pair[1]) {
            pool.weights = Weights::Unequal(AliasTable::new(&weights));
        }
        pool
    }

    pub(crate) fn size(&self) -> usize {
        match &self.members {
            Members::All(count) => *count,
            Members::Some(indices) => indices.len(),
        }
    }

    /// The index in the fleet of the endpoint at `place`.
    pub(crate) fn index(&self, place: usize) -> usize {
        match &self.members {
            Members::All(_) => place,
            Members::Some(indices) => indices[place] as usize,
        }
    }

    /// The place of the endpoint with this index.
    pub(crate) fn place(&self, index: usize) -> Option<usize> {
        match &self.members {
            Members::All(count) => (index < *count).then_some(index),
            Members::Some(indices) => indices.binary_search(&(index as u32)).ok(),
        }
    }

    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.size()).map(|place| self.index(place))
    }

    pub(crate) fn has_equal_weights(&self) -> bool {
        matches!(self.weights, Weights::Equal)
    }

    /// Any endpoint, with a chance proportional to its weight. The pool must not be empty.
    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        self.index(match &self.weights {
            Weights::Equal => rng.usize(..self.size()),
            Weights::Unequal(table) => table.draw(rng),
        })
    }

    /// Whom its table has to seat.
    pub(crate) fn seats<E: Candidate>(&self, endpoints: &[E]) -> Vec<(Seat, u32)> {
        let seat =
            |index: usize| Seat { who: endpoints[index].identity(), weight: endpoints[index].weight() };
        self.indices().map(|index| (seat(index), index as u32)).collect()
    }
}

/// What makes a pool; in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    level: usize,
    /// 0 is the preferred zone; `None` when zones do not matter.
    zone: Option<usize>,
}

/// The pools of a fleet: levels ascending, in each the preferred zone first. None is empty.
pub(crate) fn pools<E: Candidate>(balance: &Balance, endpoints: &[E]) -> Box<[Pool]> {
    let preferred = balance.zone.as_deref().filter(|_| !balance.policy.is_hashing());
    let mut priorities: Vec<u16> = endpoints.iter().map(Candidate::priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    if priorities.len() <= 1 && preferred.is_none() {
        let only = Group { level: 0, zone: None };
        let pool = || Pool::new(only, Members::All(endpoints.len()), endpoints);
        return (!endpoints.is_empty()).then(pool).into_iter().collect();
    }
    let mut zones: Vec<Option<&str>> = vec![preferred];
    let mut groups: Vec<(Group, Vec<u32>)> = Vec::new();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let level = priorities.binary_search(&endpoint.priority()).unwrap_or_default().min(LEVELS_MAX - 1);
        let zone = preferred.map(|_| zone_number(&mut zones, endpoint.zone()));
        let group = Group { level, zone };
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, members)) => members.push(index as u32),
            None => groups.push((group, vec![index as u32])),
        }
    }
    groups.sort_unstable_by_key(|(group, _)| *group);
    let pool =
        |(group, members): (Group, Vec<u32>)| Pool::new(group, Members::Some(members.into()), endpoints);
    groups.into_iter().map(pool).collect()
}

fn zone_number<'z>(zones: &mut Vec<Option<&'z str>>, zone: Option<&'z str>) -> usize {
    match zones.iter().position(|known| *known == zone) {
        Some(number) => number,
        None if zones.len() < ZONES_MAX => {
            zones.push(zone);
            zones.len() - 1
        }
        None => ZONES_MAX - 1,
    }
}
