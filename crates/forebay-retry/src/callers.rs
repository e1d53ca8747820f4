//! What each caller has left of a rate limit, shared by all cores. Knows of a caller nothing but a hash, and never grows.
//!
//! A table of buckets with eight seats. A seat is two words: whose it is, and what is left ([`Gcra`]). Who has a whole
//! burst left needs no seat, so a seat is free as soon as its word lies in the past; nothing has to be swept. Where all
//! eight are taken, the one who has used least of his burst is forgotten: a crowd that comes once each pushes out its own,
//! and who is being held back stays.
//!
//! A caller who has a seat costs one compare-and-swap, a refusal no write at all. Only who has none yet takes a lock, for
//! as long as it takes to write two words: otherwise two cores could give one caller two seats.
//!
//! Why no lock is needed to count: who has read a seat's word, then whose it is, and then finds or swaps the same word, knows
//! that it was that caller's all the while, since a word only ever grows. (Except where somebody was forgotten before his
//! burst was back. Then a core that stood still for so long could take one request for another caller's, if the words are
//! the same to a part of a nanosecond.)

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use forebay_clock::Moment;

use crate::gcra::Gcra;
use crate::window::Word;

/// Callers that are told apart at a time: as many as a busy site has in a minute. 16 bytes each, a megabyte a limit.
pub const CALLERS_MAX: usize = 65_536;
/// The keys of a bucket are one cache line, and the words another.
const SEATS: usize = 8;
/// Locks for who is new. Two cores seldom meet at one.
const DOORS: usize = 64;
/// In place of a seat's word while it changes hands; no word comes near it.
const CHANGING: u64 = u64::MAX;

/// One request of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Within the limit.
    Within {
        /// Whether somebody else had to be forgotten who had not his whole burst back.
        forgot: bool,
    },
    /// More than that; after so long there is room for one.
    Over(Duration),
}

/// The callers of one limit.
#[derive(Debug)]
pub struct Callers {
    gcra: Gcra,
    table: Table<AtomicU64, Mutex<()>>,
}

impl Callers {
    /// Nobody has come yet. Up to [`CALLERS_MAX`] are told apart, or just one.
    pub fn new(gcra: Gcra, callers_max: usize) -> Callers {
        Callers { gcra, table: Table::new(callers_max) }
    }

    /// Counts a request of the caller with this hash, which strangers must not be able to predict.
    pub fn count(&self, caller: u64, now: Moment) -> Counted {
        self.table.count(caller, &self.gcra, now)
    }
}

/// Where those wait who have no seat yet. The test of interleavings puts another in place of the mutex.
pub(crate) trait Door {
    fn new() -> Self;
    fn alone<R>(&self, act: impl FnOnce() -> R) -> R;
}

impl Door for Mutex<()> {
    fn new() -> Mutex<()> {
        Mutex::new(())
    }

    fn alone<R>(&self, act: impl FnOnce() -> R) -> R {
        let _alone = self.lock().unwrap_or_else(PoisonError::into_inner);
        act()
    }
}

#[derive(Debug)]
pub(crate) struct Table<W, D> {
    buckets: Box<[Bucket<W>]>,
    doors: Box<[D]>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Bucket<W> {
    /// Whose each seat is.
    keys: [W; SEATS],
    /// What is left.
    words: [W; SEATS],
}

impl<W: Word, D: Door> Table<W, D> {
    pub(crate) fn new(callers_max: usize) -> Table<W, D> {
        let buckets = callers_max.clamp(1, CALLERS_MAX).div_ceil(SEATS).next_power_of_two();
        let empty = |_| Bucket::new();
        Table {
            buckets: (0..buckets).map(empty).collect(),
            doors: (0..buckets.min(DOORS)).map(|_| D::new()).collect(),
        }
    }

    pub(crate) fn count(&self, caller: u64, gcra: &Gcra, now: Moment) -> Counted {
        // Both lengths are powers of two, so that a bucket has one door.
        let (bucket, door) =
            (caller as usize & (self.buckets.len() - 1), caller as usize & (self.doors.len() - 1));
        let bucket = &self.buckets[bucket];
        match bucket.count_seated(caller, gcra, now) {
            Some(counted) => counted,
            None => self.doors[door].alone(|| bucket.count_new(caller, gcra, now)),
        }
    }

    #[cfg(test)]
    pub(crate) fn seats_of(&self, caller: u64) -> usize {
        let seats = self.buckets.iter().flat_map(|bucket| &bucket.keys);
        seats.filter(|key| key.load() == caller).count()
    }
}

impl<W: Word> Bucket<W> {
    fn new() -> Bucket<W> {
        let words = || std::array::from_fn(|_| W::new(Gcra::UNKNOWN));
        Bucket { keys: words(), words: words() }
    }

    /// `None` for who has no seat.
    fn count_seated(&self, caller: u64, gcra: &Gcra, now: Moment) -> Option<Counted> {
        let seat = self.keys.iter().position(|key| key.load() == caller)?;
        let (key, word) = (&self.keys[seat], &self.words[seat]);
        loop {
            let seen = word.load();
            if seen == CHANGING || key.load() != caller {
                return None;
            }
            let (counted, is_same) = match gcra.admit(seen, now) {
                Ok(next) => (Counted::Within { forgot: false }, word.swap_if(seen, next)),
                Err(wait) => (Counted::Over(wait), word.load() == seen),
            };
            if is_same {
                return Some(counted);
            }
        }
    }

    /// For who holds the bucket's door.
    fn count_new(&self, caller: u64, gcra: &Gcra, now: Moment) -> Counted {
        loop {
            // Whoever was at the door before may have been the same.
            if let Some(counted) = self.count_seated(caller, gcra, now) {
                return counted;
            }
            let (mut seat, mut least) = (0, CHANGING);
            for (place, word) in self.words.iter().enumerate() {
                let word = word.load();
                if word < least {
                    (seat, least) = (place, word);
                }
            }
            // Not if its caller has just come back.
            if self.words[seat].swap_if(least, CHANGING) {
                self.keys[seat].set(caller);
                // Of whom nothing is known, nothing is refused.
                let first = gcra.admit(Gcra::UNKNOWN, now).unwrap_or(Gcra::UNKNOWN);
                self.words[seat].set(first);
                return Counted::Within { forgot: !gcra.has_whole_burst(least, now) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use forebay_config::{Rate, RatePeriod};
    use proptest::prelude::*;

    use super::*;

    const WITHIN: Counted = Counted::Within { forgot: false };

    fn per_second(count: u32, burst: u32) -> Gcra {
        Gcra::new(Rate { count, period: RatePeriod::Second }, burst)
    }

    fn at_ms(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn callers_are_counted_each_for_himself() {
        let callers = Callers::new(per_second(10, 2), CALLERS_MAX);
        for caller in [1, 2, u64::MAX, 0] {
            let counted = [0; 3].map(|_| callers.count(caller, at_ms(0)));
            assert_eq!(counted, [WITHIN, WITHIN, Counted::Over(Duration::from_millis(100))], "{caller}");
        }
        assert_eq!(callers.count(2, at_ms(100)), WITHIN);
    }

    #[test]
    fn a_table_is_no_larger_than_it_says() {
        for (callers_max, seats) in
            [(1, 8), (100, 128), (CALLERS_MAX, CALLERS_MAX), (usize::MAX, CALLERS_MAX)]
        {
            let table: Table<AtomicU64, Mutex<()>> = Table::new(callers_max);
            assert_eq!(table.buckets.len() * SEATS, seats);
            assert_eq!(size_of_val(&*table.buckets), seats * 16);
        }
    }

    #[test]
    fn who_has_his_burst_back_makes_room_and_nobody_is_forgotten() {
        let callers = Callers::new(per_second(10, 2), 1);
        // Eight at a time, a tenth of a second later eight others.
        for round in 0..100 {
            for caller in 0..8 {
                assert_eq!(callers.count(round * 8 + caller, at_ms(round * 100)), WITHIN);
            }
        }
    }

    #[test]
    fn a_crowd_pushes_out_its_own_and_not_who_is_held_back() {
        let callers = Callers::new(per_second(10, 20), 1);
        let held_back = u64::MAX;
        while callers.count(held_back, at_ms(0)) == WITHIN {}
        let mut forgot = 0;
        for stranger in 0..10_000 {
            match callers.count(stranger, at_ms(50)) {
                Counted::Within { forgot: somebody } => forgot += u32::from(somebody),
                Counted::Over(_) => panic!("{stranger} has come once"),
            }
        }
        assert_eq!(forgot, 10_000 - 7, "one seat of the eight is not theirs");
        assert_eq!(callers.count(held_back, at_ms(50)), Counted::Over(Duration::from_millis(50)));
    }

    #[test]
    fn it_takes_a_burst_from_each_of_a_bucket_to_push_out_who_is_held_back() {
        let callers = Callers::new(per_second(10, 20), 1);
        let held_back = u64::MAX;
        while callers.count(held_back, at_ms(0)) == WITHIN {}
        for stranger in 0..7 {
            for _ in 0..20 {
                assert_eq!(callers.count(stranger, at_ms(1)), WITHIN);
            }
        }
        assert!(matches!(callers.count(held_back, at_ms(1)), Counted::Over(_)), "after 140 requests");
        assert_eq!(callers.count(7, at_ms(1)), Counted::Within { forgot: true });
        assert_eq!(callers.count(held_back, at_ms(1)), Counted::Within { forgot: true });
    }

    #[test]
    fn cores_together_let_through_a_burst_of_each_caller() {
        let callers = Callers::new(per_second(1, 100), 512);
        let let_through = std::thread::scope(|scope| {
            let core = || {
                let count = |request: u64| callers.count(request % 64 + 1, at_ms(0)) == WITHIN;
                (0..64 * 100).filter(|&request| count(request)).count()
            };
            let cores = [0; 4].map(|_| scope.spawn(core));
            cores.map(|core| core.join().expect("nobody panicked")).iter().sum::<usize>()
        });
        assert_eq!(let_through, 64 * 100);
    }

    #[test]
    fn counting_allocates_nothing() {
        let callers = Callers::new(per_second(10, 2), CALLERS_MAX);
        let counted = allocation_counter::measure(|| {
            for caller in 0..100_000u64 {
                std::hint::black_box(
                    callers.count(caller.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 70_000, at_ms(1)),
                );
            }
        });
        assert_eq!(counted.count_total, 0);
    }

    proptest! {
        #[test]
        fn while_there_is_room_each_caller_is_as_if_alone(
            requests in proptest::collection::vec((0..8u64, 0..120u64), 1..300),
            (count, burst) in (1..50u32, 1..6u32),
        ) {
            let gcra = per_second(count, burst);
            let callers = Callers::new(gcra, 1);
            let mut words: HashMap<u64, u64> = HashMap::new();
            let mut ms = 0;
            for (caller, gap) in requests {
                ms += gap;
                let word = words.entry(caller).or_insert(Gcra::UNKNOWN);
                let expected = match gcra.admit(*word, at_ms(ms)) {
                    Ok(next) => { *word = next; WITHIN }
                    Err(wait) => Counted::Over(wait),
                };
                prop_assert_eq!(callers.count(caller, at_ms(ms)), expected);
            }
        }

        #[test]
        fn however_many_come_nobody_below_the_rate_is_refused(
            crowd in proptest::collection::vec((0..1000u64, 0..30u64), 1..500),
        ) {
            let callers = Callers::new(per_second(10, 1), 16);
            let mut last: HashMap<u64, u64> = HashMap::new();
            let mut ms = 0;
            for (caller, gap) in crowd {
                ms += gap;
                if last.get(&caller).is_none_or(|last| ms - last >= 100) {
                    last.insert(caller, ms);
                    prop_assert!(!matches!(callers.count(caller, at_ms(ms)), Counted::Over(_)));
                }
            }
        }
    }
}
