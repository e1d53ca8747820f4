//! Counters, gauges and histograms: what the record path touches. Never locks, never allocates.
//!
//! Each metric is one allocation of one shard per core, and one more that everyone else shares. Shards are
//! aligned to 128 bytes, not 64: processors fetch cache lines in pairs, and two cores writing the two halves
//! of a pair slow each other down as if they shared a line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::buckets::{BOUNDS_MAX, Buckets};
use super::core::Core;
use super::snapshot::{Kind, Value};

/// The shard of writers that have no [`Core`]: control tasks, background threads.
const ANYONE: usize = 0;

#[derive(Debug, Default)]
#[repr(align(128))]
struct CountShard(AtomicU64);

// The sum comes first: it then shares its line with the buckets up to 50 ms, where most requests fall.
#[derive(Debug, Default)]
#[repr(align(128))]
struct DurationShard {
    sum_nanos: AtomicU64,
    counts: [AtomicU64; BOUNDS_MAX + 1],
}

/// A number that only grows. Cloning yields another handle of the same series.
#[derive(Clone, Debug)]
pub struct Counter {
    shards: Arc<[CountShard]>,
}

impl Counter {
    /// Adds one from this core.
    pub fn inc(&self, core: Core) {
        self.add(core, 1);
    }

    /// Adds `n` from this core.
    ///
    /// # Panics
    /// When `core` was claimed from another registry with more cores.
    pub fn add(&self, core: Core, n: u64) {
        add_alone(&self.shards[core.shard()].0, n);
    }

    /// Adds `n` from any thread: an atomic read-modify-write, for what happens rarely.
    pub fn add_shared(&self, n: u64) {
        self.shards[ANYONE].0.fetch_add(n, Relaxed);
    }

    /// The sum over all shards.
    pub fn total(&self) -> u64 {
        sum(&self.shards)
    }
}

/// A number that goes up and down: in-flight requests, open connections. Each core adds and takes away its
/// own share, and only the sum has a meaning.
#[derive(Clone, Debug)]
pub struct Gauge {
    shards: Arc<[CountShard]>,
}

impl Gauge {
    /// Adds one from this core.
    pub fn inc(&self, core: Core) {
        self.add(core, 1);
    }

    /// Takes one away from this core.
    pub fn dec(&self, core: Core) {
        self.add(core, -1);
    }

    /// Adds `n`, which may be negative, from this core.
    ///
    /// # Panics
    /// When `core` was claimed from another registry with more cores.
    pub fn add(&self, core: Core, n: i64) {
        add_alone(&self.shards[core.shard()].0, n as u64);
    }

    /// Adds `n`, which may be negative, from any thread.
    pub fn add_shared(&self, n: i64) {
        self.shards[ANYONE].0.fetch_add(n as u64, Relaxed);
    }

    /// The sum over all shards.
    pub fn total(&self) -> i64 {
        // Two's complement: sums of wrapped shares are right again.
        sum(&self.shards) as i64
    }
}

/// How durations are distributed over fixed [`Buckets`]; the sum is exact.
#[derive(Clone, Debug)]
pub struct Histogram {
    shards: Arc<[DurationShard]>,
    buckets: &'static Buckets,
}

impl Histogram {
    /// Records one duration in nanoseconds from this core.
    ///
    /// # Panics
    /// When `core` was claimed from another registry with more cores.
    pub fn record(&self, core: Core, nanos: u64) {
        let shard = &self.shards[core.shard()];
        add_alone(&shard.sum_nanos, nanos);
        add_alone(&shard.counts[self.buckets.index(nanos)], 1);
    }

    /// Records one duration from any thread.
    pub fn record_shared(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let shard = &self.shards[ANYONE];
        shard.sum_nanos.fetch_add(nanos, Relaxed);
        shard.counts[self.buckets.index(nanos)].fetch_add(1, Relaxed);
    }
}

/// Adds to a cell that nobody else writes: two plain moves and an add, no bus lock.
fn add_alone(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
}

fn sum(shards: &[CountShard]) -> u64 {
    shards.iter().fold(0, |sum, shard| sum.wrapping_add(shard.0.load(Relaxed)))
}

/// What a [`Family`](super::Family) needs to know of its series. Implemented here and nowhere else.
pub trait Instrument: Clone + Send + Sync + 'static {
    /// What must be decided once per family.
    #[doc(hidden)]
    type Shape: Copy + Send + Sync + PartialEq;
    #[doc(hidden)]
    const KIND: Kind;
    #[doc(hidden)]
    fn with_shards(shards: usize, shape: Self::Shape) -> Self;
    #[doc(hidden)]
    fn value(&self) -> Value;
    /// Whether anybody but the caller still holds a handle.
    #[doc(hidden)]
    fn is_held_elsewhere(&self) -> bool;
}

impl Instrument for Counter {
    type Shape = ();
    const KIND: Kind = Kind::Counter;

    fn with_shards(shards: usize, (): ()) -> Counter {
        Counter { shards: zeroed(shards) }
    }

    fn value(&self) -> Value {
        Value::Count(self.total())
    }

    fn is_held_elsewhere(&self) -> bool {
        Arc::strong_count(&self.shards) > 1
    }
}

impl Instrument for Gauge {
    type Shape = ();
    const KIND: Kind = Kind::Gauge;

    fn with_shards(shards: usize, (): ()) -> Gauge {
        Gauge { shards: zeroed(shards) }
    }

    fn value(&self) -> Value {
        Value::Number(self.total() as f64)
    }

    fn is_held_elsewhere(&self) -> bool {
        Arc::strong_count(&self.shards) > 1
    }
}

impl Instrument for Histogram {
    type Shape = &'static Buckets;
    const KIND: Kind = Kind::Histogram;

    fn with_shards(shards: usize, buckets: &'static Buckets) -> Histogram {
        Histogram { shards: zeroed(shards), buckets }
    }

    fn value(&self) -> Value {
        let mut counts = vec![0u64; self.buckets.bounds_nanos().len() + 1];
        let mut sum_nanos = 0;
        for shard in &*self.shards {
            sum_nanos += u128::from(shard.sum_nanos.load(Relaxed));
            for (count, cell) in counts.iter_mut().zip(&shard.counts) {
                *count += cell.load(Relaxed);
            }
        }
        Value::Durations { buckets: self.buckets, counts, sum_nanos }
    }

    fn is_held_elsewhere(&self) -> bool {
        Arc::strong_count(&self.shards) > 1
    }
}

fn zeroed<T: Default>(shards: usize) -> Arc<[T]> {
    (0..shards).map(|_| T::default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORES: usize = 2;

    fn core(number: usize) -> Core {
        Core::of_shard(ANYONE + 1 + number)
    }

    #[test]
    fn shards_of_two_cores_never_share_a_pair_of_cache_lines() {
        assert_eq!(size_of::<CountShard>(), 128);
        assert_eq!(size_of::<DurationShard>(), 256);
    }

    #[test]
    fn a_total_is_the_sum_over_cores_and_everyone_else() {
        let counter = Counter::with_shards(1 + CORES, ());
        counter.inc(core(0));
        counter.add(core(1), 10);
        counter.add_shared(100);
        assert_eq!(counter.total(), 111);
    }

    #[test]
    fn a_gauge_may_rise_on_one_core_and_fall_on_another() {
        let gauge = Gauge::with_shards(1 + CORES, ());
        gauge.inc(core(0));
        gauge.dec(core(1));
        gauge.dec(core(1));
        assert_eq!(gauge.total(), -1);
    }

    #[test]
    fn a_histogram_keeps_every_nanosecond_and_every_count() {
        let histogram = Histogram::with_shards(1 + CORES, Buckets::HTTP);
        histogram.record(core(0), 1);
        histogram.record(core(1), 500_000);
        histogram.record_shared(Duration::from_secs(11));
        let Value::Durations { counts, sum_nanos, .. } = histogram.value() else {
            panic!("a histogram yields durations");
        };
        assert_eq!(sum_nanos, 11_000_500_001);
        assert_eq!((counts[0], counts[counts.len() - 1]), (2, 1));
        assert_eq!(counts.iter().sum::<u64>(), 3);
    }
}
