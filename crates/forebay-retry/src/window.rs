//! Counts over a window that slides with time, shared by all cores. Decides nothing about what is counted.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use forebay_clock::Moment;

/// A shared number. The data path uses [`AtomicU64`]; the test of interleavings puts another in its place.
pub(crate) trait Word {
    fn new(value: u64) -> Self;
    fn load(&self) -> u64;
    /// Changes it in one step, unless `change` has nothing to say.
    fn update(&self, change: impl FnMut(u64) -> Option<u64>) -> bool;
    /// Changes it in one step if it is still what was `seen`.
    fn swap_if(&self, seen: u64, next: u64) -> bool {
        self.update(|word| (word == seen).then_some(next))
    }
    fn set(&self, value: u64) {
        self.update(|_| Some(value));
    }
}

impl Word for AtomicU64 {
    fn new(value: u64) -> AtomicU64 {
        AtomicU64::new(value)
    }

    // Sequentially consistent: who adds to one slot and then reads another must not miss who does the reverse.
    fn load(&self) -> u64 {
        AtomicU64::load(self, SeqCst)
    }

    fn update(&self, change: impl FnMut(u64) -> Option<u64>) -> bool {
        self.fetch_update(SeqCst, SeqCst, change).is_ok()
    }

    fn swap_if(&self, seen: u64, next: u64) -> bool {
        self.compare_exchange(seen, next, SeqCst, SeqCst).is_ok()
    }

    fn set(&self, value: u64) {
        self.store(value, SeqCst);
    }
}

/// One count per slot of time, in a ring: an old slot is taken over by whoever counts in its place first.
///
/// A slot's word holds the low half of the slot's number above the count, so that taking over is one step. The numbers
/// repeat after 2³² slots, years later.
#[derive(Debug)]
pub(crate) struct Counter<W, const SLOTS: usize> {
    slots: [W; SLOTS],
}

impl<W: Word, const SLOTS: usize> Counter<W, SLOTS> {
    pub(crate) fn new() -> Counter<W, SLOTS> {
        Counter { slots: std::array::from_fn(|_| W::new(0)) }
    }

    /// Adds to the count of slot number `slot`. Not if its place is taken by a later one: then the caller's clock is a
    /// whole ring behind another core's.
    pub(crate) fn add(&self, slot: u64, count: u32) -> bool {
        self.place(slot).update(|word| match age(word, slot) {
            0 => Some(join(slot, part(word).saturating_add(count))),
            // A slot without counts is nobody's, whatever its number.
            older if older < u32::MAX / 2 || part(word) == 0 => Some(join(slot, count)),
            _ => None,
        })
    }

    /// Takes back what was added, if it still counts.
    pub(crate) fn take_back(&self, slot: u64, count: u32) {
        self.place(slot)
            .update(|word| (age(word, slot) == 0).then(|| join(slot, part(word).saturating_sub(count))));
    }

    /// The counts of `slot` and the `before` slots before it; at most as many as the ring has.
    pub(crate) fn sum(&self, slot: u64, before: u32) -> u64 {
        let counts = |word: u64| if age(word, slot) <= before { u64::from(part(word)) } else { 0 };
        self.slots.iter().map(|word| counts(word.load())).sum()
    }

    /// Forgets all counts.
    pub(crate) fn clear(&self) {
        self.slots.iter().for_each(|word| {
            word.update(|_| Some(0));
        });
    }

    fn place(&self, slot: u64) -> &W {
        &self.slots[(slot % SLOTS as u64) as usize]
    }
}

/// How many slots before `slot` the word was written; beyond half the numbers, it was after.
fn age(word: u64, slot: u64) -> u32 {
    (slot as u32).wrapping_sub((word >> 32) as u32)
}

fn part(word: u64) -> u32 {
    word as u32
}

fn join(slot: u64, count: u32) -> u64 {
    slot << 32 | u64::from(count)
}

/// A stretch of time cut into slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    slot_ns: u64,
}

impl Window {
    pub(crate) fn new(length: Duration, slots: u32) -> Window {
        Window { slot_ns: u64::try_from(length.as_nanos() / u128::from(slots)).unwrap_or(u64::MAX).max(1) }
    }

    pub(crate) fn slot(self, now: Moment) -> u64 {
        now.as_nanos() / self.slot_ns
    }
}

/// What was earned and what was spent of it, over a window of `SLOTS - 1` slots.
#[derive(Debug)]
pub(crate) struct Ledger<W, const SLOTS: usize> {
    earned: Counter<W, SLOTS>,
    spent: Counter<W, SLOTS>,
}

impl<W: Word, const SLOTS: usize> Ledger<W, SLOTS> {
    /// Slots before the present one that what was spent still counts in. One fewer for what was earned: in any stretch
    /// of a window's length less was earned than spent is compared with.
    const BEFORE: u32 = SLOTS as u32 - 1;

    pub(crate) fn new() -> Ledger<W, SLOTS> {
        Ledger { earned: Counter::new(), spent: Counter::new() }
    }

    pub(crate) fn earn(&self, slot: u64, count: u32) {
        self.earned.add(slot, count);
    }

    /// Spends one, unless more than `limit` of what was earned would then be spent.
    ///
    /// Counts itself first and looks then: of any who spend at the same time, each sees all before it, so the last one
    /// sees everybody. Who sees too many takes its own back; at worst two deny each other the last one.
    pub(crate) fn spend(&self, slot: u64, limit: impl Fn(u64) -> u64) -> bool {
        let limit = limit(self.earned(slot));
        // Looks before it writes: in a storm most are denied, and those need not fight for the line.
        if self.spent(slot) >= limit || !self.spent.add(slot, 1) {
            return false;
        }
        let within = self.spent(slot) <= limit;
        if !within {
            self.spent.take_back(slot, 1);
        }
        within
    }

    pub(crate) fn earned(&self, slot: u64) -> u64 {
        self.earned.sum(slot, Self::BEFORE - 1)
    }

    /// Slots that another core with a faster clock has begun are counted as well, where they took no older one's place.
    pub(crate) fn spent(&self, slot: u64) -> u64 {
        self.spent.sum(slot, Self::BEFORE) + self.spent.sum(slot.wrapping_add(1), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_leaves_the_window_with_its_slot() {
        let counter: Counter<AtomicU64, 4> = Counter::new();
        assert!(counter.add(5, 2) && counter.add(7, 3));
        let sums: Vec<u64> = (5..=11).map(|slot| counter.sum(slot, 3)).collect();
        assert_eq!(sums, [2, 2, 5, 5, 3, 3, 0]);
        assert!(counter.add(9, 1), "the place of slot 5 is free");
        assert_eq!(counter.sum(9, 3), 4);
        assert!(!counter.add(5, 1), "a clock that far behind counts nothing");
        counter.take_back(5, 1);
        counter.take_back(7, 9);
        assert_eq!(counter.sum(9, 3), 1);
    }

    #[test]
    fn counts_outlive_the_repetition_of_slot_numbers() {
        let counter: Counter<AtomicU64, 4> = Counter::new();
        let last = u64::from(u32::MAX);
        assert!(counter.add(last, 2) && counter.add(last + 1, 3));
        assert_eq!(counter.sum(last + 1, 3), 5);
    }
}
