//! Endpoints that stand for each other: those of one priority level and, where a zone is preferred, of one zone.

use std::num::NonZeroU32;
use std::ops::Range;

use fastrand::Rng;

use crate::alias::AliasTable;
use crate::hash::reduce;
use crate::table::{Seat, Seated};
use crate::{Balance, Candidate, Endpoints, Identity};

/// Priority levels kept apart; those beyond share the last one. More than two or three are rare.
const LEVELS_MAX: usize = 8;
/// Zones kept apart in one level; those beyond share the last one. Clouds have three to six in a region.
const ZONES_MAX: usize = 16;

/// A part of a fleet that is chosen as a whole before an endpoint in it is.
#[derive(Clone, Debug)]
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
    /// By place. Here too, so that a change of one needs no look at the endpoints of the others.
    weights: Vec<NonZeroU32>,
    draws: Draws,
}

/// Which endpoints, ascending.
#[derive(Clone, Debug)]
enum Members {
    All(usize),
    Some(Vec<u32>),
}

/// How a place is drawn.
#[derive(Clone, Debug)]
enum Draws {
    Equal,
    ByWeight(AliasTable),
}

impl Pool {
    fn new<E: Candidate>(group: Group, members: Members, endpoints: &Endpoints<E>) -> Pool {
        let mut pool = Pool {
            level: group.level,
            is_local: group.zone == Some(0),
            capacity: 0,
            seated: None,
            members,
            weights: Vec::new(),
            draws: Draws::Equal,
        };
        pool.weights = pool.indices().map(|index| endpoints[index].weight()).collect();
        pool.weigh();
        pool
    }

    /// Computes what follows from its weights.
    pub(crate) fn weigh(&mut self) {
        self.capacity = self.weights.iter().map(|weight| u64::from(weight.get())).sum();
        let is_equal = self.weights.windows(2).all(|pair| pair[0] == pair[1]);
        self.draws = if is_equal { Draws::Equal } else { Draws::ByWeight(AliasTable::new(&self.weights)) };
    }

    /// Takes an endpoint in, of which it has nothing yet; the last one of the fleet where it has all. To be
    /// [weighed](Pool::weigh) then.
    pub(crate) fn insert(&mut self, index: usize, seat: Seat) {
        let place = match &mut self.members {
            Members::All(count) => {
                *count += 1;
                index
            }
            Members::Some(indices) => {
                let place = indices.partition_point(|&other| (other as usize) < index);
                indices.insert(place, index as u32);
                place
            }
        };
        self.weights.insert(place, seat.weight);
        if let Some(seated) = &mut self.seated {
            seated.put(seat.who, index);
            seated.is_settled = false;
        }
    }

    /// Lets an endpoint go; the last one of the fleet where it has all. To be [weighed](Pool::weigh) then.
    pub(crate) fn remove(&mut self, index: usize, who: Identity) {
        let Some(place) = self.place(index) else { return };
        self.weights.remove(place);
        match &mut self.members {
            Members::All(count) => *count -= 1,
            Members::Some(indices) => drop(indices.remove(place)),
        }
        if let Some(seated) = &mut self.seated {
            seated.remove(who);
            seated.is_settled = false;
        }
    }

    /// Has another endpoint, or the same otherwise, at an index. Whether it is to be [weighed](Pool::weigh).
    pub(crate) fn replace(&mut self, index: usize, who: Identity, seat: Seat) -> bool {
        let Some(place) = self.place(index) else { return false };
        let weight = std::mem::replace(&mut self.weights[place], seat.weight);
        if let Some(seated) = &mut self.seated {
            if who != seat.who {
                seated.remove(who);
            }
            seated.put(seat.who, index);
            seated.is_settled &= who == seat.who && weight == seat.weight;
        }
        weight != seat.weight
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

    /// Calls `each` with every endpoint and its index, ascending.
    pub(crate) fn each_member<'e, E>(&self, endpoints: &'e Endpoints<E>, mut each: impl FnMut(usize, &'e E)) {
        match &self.members {
            // Chunk by chunk, which is quicker than one by one.
            Members::All(_) => {
                endpoints.iter().enumerate().for_each(|(index, endpoint)| each(index, endpoint))
            }
            Members::Some(_) => self.indices().for_each(|index| each(index, &endpoints[index])),
        }
    }

    /// By place.
    pub(crate) fn weights(&self) -> &[NonZeroU32] {
        &self.weights
    }

    pub(crate) fn has_equal_weights(&self) -> bool {
        matches!(self.draws, Draws::Equal)
    }

    /// Places of those whose indices are in the range.
    pub(crate) fn places(&self, indices: &Range<usize>) -> Range<usize> {
        let bound = |index: usize| match &self.members {
            Members::All(count) => index.min(*count),
            Members::Some(members) => members.partition_point(|&member| (member as usize) < index),
        };
        bound(indices.start)..bound(indices.end)
    }

    /// Any endpoint, with a chance proportional to its weight. The pool must not be empty.
    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        self.index(match &self.draws {
            Draws::Equal => reduce(rng.u64(..), self.size()),
            Draws::ByWeight(table) => table.draw(rng),
        })
    }

    /// Whom its table has to seat.
    pub(crate) fn seats<E: Candidate>(&self, endpoints: &Endpoints<E>) -> Vec<(Seat, u32)> {
        self.indices().map(|index| (Seat::of(&endpoints[index]), index as u32)).collect()
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
pub(crate) fn pools<E: Candidate>(balance: &Balance, endpoints: &Endpoints<E>) -> Box<[Pool]> {
    let preferred = preferred_zone(balance);
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
    let pool = |(group, members): (Group, Vec<u32>)| Pool::new(group, Members::Some(members), endpoints);
    groups.into_iter().map(pool).collect()
}

/// The zone that is preferred, where zones matter.
pub(crate) fn preferred_zone(balance: &Balance) -> Option<&str> {
    balance.zone.as_deref().filter(|_| !balance.policy.is_hashing())
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
