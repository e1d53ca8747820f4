//! Consistent hashing on a ring (Karger et al., 1997), with many points for each endpoint as ketama has them: a key
//! belongs to the endpoint of the next point. When an endpoint goes, only its own keys move.

use crate::hash::rehash;
use crate::table::Seat;

/// Points of the lightest endpoint, heavier ones have more: shares stray from weights by 1/√256, 6%.
const POINTS_PER_ENDPOINT: u64 = 256;
/// 64 MiB with 12 bytes a point and 4 for finding it, and 10,000 equal endpoints fit. Beyond it all have fewer points.
const POINTS_MAX: u64 = 1 << 22;

#[derive(Debug)]
pub(crate) struct Ring {
    /// Where on the ring each point is, ascending.
    points: Box<[u64]>,
    /// The index of whose point it is.
    seats: Box<[u32]>,
    /// For each value of a hash's first bits, the first point that has them or comes behind: one look at it saves a
    /// search through megabytes.
    starts: Box<[u32]>,
    shift: u32,
}

impl Ring {
    /// For endpoints, each with its index.
    pub(crate) fn new(endpoints: &[(Seat, u32)]) -> Ring {
        let weight = |(endpoint, _): &(Seat, u32)| u64::from(endpoint.weight.get());
        let lightest = endpoints.iter().map(weight).min().unwrap_or(1);
        let weights: u64 = endpoints.iter().map(weight).sum();
        let wanted = weights.div_ceil(lightest).saturating_mul(POINTS_PER_ENDPOINT);
        let count = |endpoint: &(Seat, u32)| {
            let whole = u128::from(weight(endpoint)) * u128::from(POINTS_PER_ENDPOINT) / u128::from(lightest);
            (whole * u128::from(POINTS_MAX.min(wanted)) / u128::from(wanted)).max(1) as u64
        };
        let mut points: Vec<(u64, u32)> =
            Vec::with_capacity(POINTS_MAX.min(wanted) as usize + endpoints.len());
        for endpoint in endpoints {
            let (Seat { who, .. }, index) = endpoint;
            points.extend((0..count(endpoint)).map(|point| (rehash(who.0, point), *index)));
        }
        points.sort_unstable();
        let bits = points.len().ilog2().max(1);
        let shift = u64::BITS - bits;
        let mut starts = Vec::with_capacity(1 << bits);
        let mut position = 0;
        for prefix in 0..1u64 << bits {
            while position < points.len() && points[position].0 >> shift < prefix {
                position += 1;
            }
            starts.push(position as u32);
        }
        let (points, seats): (Vec<u64>, Vec<u32>) = points.into_iter().unzip();
        Ring { points: points.into(), seats: seats.into(), starts: starts.into(), shift }
    }

    /// The first point at or behind the key, around the ring's end.
    pub(crate) fn start(&self, key: u64) -> usize {
        let mut position = self.starts[(key >> self.shift) as usize] as usize;
        while position < self.points.len() && self.points[position] < key {
            position += 1;
        }
        if position == self.points.len() { 0 } else { position }
    }

    /// The index of whose the point at `position` is.
    pub(crate) fn seat(&self, position: usize) -> usize {
        self.seats[position] as usize
    }

    pub(crate) fn size(&self) -> usize {
        self.seats.len()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::Identity;

    #[test]
    fn a_key_belongs_to_the_next_point() {
        let seat = |number: u32| (Seat { who: Identity(number.into()), weight: NonZeroU32::MIN }, number);
        let ring = Ring::new(&(0..5).map(seat).collect::<Vec<_>>());
        for number in 0..2000 {
            let key = rehash(number, 99);
            let expected = ring.points.partition_point(|&point| point < key) % ring.points.len();
            assert_eq!(ring.start(key), expected);
        }
        assert_eq!((ring.start(0), ring.start(u64::MAX)), (0, 0));
    }
}
