//! Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): every endpoint prefers the seats in an order of its own, and
//! they take turns in taking the best one left. Seats come out even, and few change hands when endpoints do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::hash::{reduce, rehash};
use crate::table::Seat;

/// Seats for the lightest endpoint: a share is off by no more than one of them, hence within 1%. The paper's advice.
const SEATS_PER_ENDPOINT: u64 = 100;
/// The paper's size; next to it small fleets' weights hold to the fourth digit. All sizes are the prime next to a power
/// of two, so that a fleet may grow and shrink for long before the size, and with it everything, changes.
const SEATS_MIN: u64 = 1 << 16;
/// Enough for 5,000 equal endpoints; 1 MiB. Beyond it light endpoints have fewer seats: of 10,000 equal ones each has 52, and
/// a share that is right to 2%. With twice the seats a pick of such a fleet takes half as long again, and longer where others
/// use the last cache, too: table and endpoints are all read at random.
const SEATS_MAX: u64 = 1 << 19;
/// No endpoint yet.
const FREE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Maglev {
    seats: Seats,
}

/// The index of whose each seat is. Half as wide where that will do: a table that fits a cache saves more than a branch
/// costs.
#[derive(Debug)]
enum Seats {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

/// The seats that an endpoint prefers: an arithmetic progression modulo the size, which is prime.
struct Preference {
    next: usize,
    skip: usize,
}

impl Maglev {
    /// For endpoints, each with its index, in an order that does not depend on the node.
    pub(crate) fn new(endpoints: &[(Seat, u32)]) -> Maglev {
        let size = size(endpoints);
        let mut seats = vec![FREE; size];
        let prefer = |(endpoint, _): &(Seat, u32)| Preference {
            next: reduce(rehash(endpoint.who.0, 0), size),
            skip: 1 + reduce(rehash(endpoint.who.0, 1), size - 1),
        };
        let mut preferences: Vec<Preference> = endpoints.iter().map(prefer).collect();
        each_turn(endpoints, size, |number| {
            let seat = preferences[number].free(&seats);
            (_, seats[seat]) = endpoints[number];
        });
        if endpoints.iter().all(|(_, index)| u16::try_from(*index).is_ok()) {
            return Maglev { seats: Seats::Narrow(seats.into_iter().map(|seat| seat as u16).collect()) };
        }
        Maglev { seats: Seats::Wide(seats.into()) }
    }

    pub(crate) fn start(&self, key: u64) -> usize {
        reduce(key, self.size())
    }

    /// The index of whose the seat at `position` is.
    pub(crate) fn seat(&self, position: usize) -> usize {
        match &self.seats {
            Seats::Narrow(seats) => usize::from(seats[position]),
            Seats::Wide(seats) => seats[position] as usize,
        }
    }

    pub(crate) fn size(&self) -> usize {
        match &self.seats {
            Seats::Narrow(seats) => seats.len(),
            Seats::Wide(seats) => seats.len(),
        }
    }
}

impl Preference {
    /// The best seat left; there must be one.
    fn free(&mut self, seats: &[u32]) -> usize {
        loop {
            let seat = self.next;
            self.next += self.skip;
            if self.next >= seats.len() {
                self.next -= seats.len();
            }
            if seats[seat] == FREE {
                return seat;
            }
        }
    }
}

/// Calls `take` for so many turns: as often for each endpoint as its weight says, and once before anybody's second.
fn each_turn(endpoints: &[(Seat, u32)], count: usize, mut take: impl FnMut(usize)) {
    if endpoints.windows(2).all(|pair| weight(&pair[0]) == weight(&pair[1])) {
        return (0..endpoints.len()).cycle().take(count).for_each(take);
    }
    let heaviest = endpoints.iter().map(weight).max().unwrap_or(1);
    // 20 bits of fraction: exact to less than a seat even for the heaviest.
    let step = |number: usize| (heaviest << 20) / weight(&endpoints[number]);
    let mut queue: BinaryHeap<Reverse<(u64, usize)>> =
        (0..endpoints.len()).map(|number| Reverse((0, number))).collect();
    for _ in 0..count {
        if let Some(mut first) = queue.peek_mut() {
            let Reverse((time, number)) = *first;
            *first = Reverse((time + step(number), number));
            take(number);
        }
    }
}

fn weight((endpoint, _): &(Seat, u32)) -> u64 {
    u64::from(endpoint.weight.get())
}

fn size(endpoints: &[(Seat, u32)]) -> usize {
    let lightest = endpoints.iter().map(weight).min().unwrap_or(1);
    let weights: u64 = endpoints.iter().map(weight).sum();
    let wanted = weights.div_ceil(lightest).saturating_mul(SEATS_PER_ENDPOINT);
    // Never fewer than one for each.
    let wanted = wanted.clamp(SEATS_MIN, SEATS_MAX).max(endpoints.len() as u64);
    let mut size = wanted.next_power_of_two() + 1;
    while !is_prime(size) {
        size += 2;
    }
    size as usize
}

/// For odd numbers.
fn is_prime(number: u64) -> bool {
    (3..)
        .step_by(2)
        .take_while(|divisor| divisor * divisor <= number)
        .all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::Identity;

    #[test]
    fn seats_of_ten_thousand_are_fewer_and_as_even_as_seats_can_be() {
        let endpoint = |number: u32| (Seat { who: Identity(number.into()), weight: NonZeroU32::MIN }, number);
        let maglev = Maglev::new(&(0..10_000).map(endpoint).collect::<Vec<_>>());
        let mut counts = vec![0; 10_000];
        (0..maglev.size()).for_each(|position| counts[maglev.seat(position)] += 1);
        assert!(counts.iter().all(|count| [52, 53].contains(count)));
    }
}
