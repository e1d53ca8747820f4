//! How long requests took: counts in buckets that grow with the value, so that a day of them takes no more room than a
//! second. A quantile is at most one part in 32 too large.

use std::time::Duration;

/// Buckets for each doubling, as a power of two.
const BITS: u32 = 5;
/// Up to 2³² µs, more than an hour: no request takes as long.
const BUCKETS: usize = ((32 - BITS as usize) + 1) << BITS;

/// Latencies in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    counts: Box<[u32; BUCKETS]>,
    slowest: Duration,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies { counts: Box::new([0; BUCKETS]), slowest: Duration::ZERO }
    }
}

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.counts[bucket(micros)] += 1;
        self.slowest = self.slowest.max(latency);
    }

    pub(crate) fn merge(&mut self, other: &Latencies) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count += more;
        }
        self.slowest = self.slowest.max(other.slowest);
    }

    /// The latency that this many of a thousand do not exceed; `None` without any.
    pub(crate) fn quantile(&self, permille: u64) -> Option<Duration> {
        let total: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let rank = (total * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        let reached = self.counts.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank
        });
        reached.map(|bucket| Duration::from_micros(upper_bound(bucket)).min(self.slowest))
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.slowest
    }
}

/// Values below 2⁵ have a bucket each; above, the five bits behind the first one tell.
fn bucket(micros: u32) -> usize {
    let doublings = (32 - BITS).saturating_sub(micros.leading_zeros());
    match doublings {
        0 => micros as usize,
        _ => ((doublings as usize) << BITS) + (micros >> (doublings - 1)) as usize - (1 << BITS),
    }
}

/// The largest value of a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let (doublings, rest) = (bucket >> BITS, (bucket & ((1 << BITS) - 1)) as u64);
    match doublings {
        0 => rest,
        _ => (((1 << BITS) + rest + 1) << (doublings - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_the_bucket_that_ends_at_most_a_thirty_second_above_it() {
        let values = (0..5000).chain((12..32).flat_map(|bit| [(1u32 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        for micros in values.chain([u32::MAX]) {
            let upper = upper_bound(bucket(micros));
            let exact = u64::from(micros);
            assert!(exact <= upper && upper <= exact + exact / 32, "{micros} is counted as {upper}");
        }
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(500), None);
        (1..=100).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let check = |permille, exact_ms: u64| {
            let found = latencies.quantile(permille).unwrap();
            let exact = Duration::from_millis(exact_ms);
            assert!(exact <= found && found <= exact + exact / 32, "{permille}: {found:?}");
        };
        check(0, 1);
        check(500, 50);
        check(990, 99);
        assert_eq!(latencies.quantile(1000), Some(Duration::from_millis(100)));
    }
}
