//! A histogram of latencies: constant memory, values exact to within 1.6%.

use std::time::Duration;

/// Buckets per doubling.
const PER_OCTAVE: u64 = 64;
/// Doublings above the first bucket: up to 2^42 ns, more than an hour.
const OCTAVES: u64 = 36;

#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Latencies {
    pub(crate) fn new() -> Latencies {
        Latencies { counts: vec![0; bucket(u64::MAX) + 1], total: 0 }
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        self.counts[bucket(latency.as_nanos() as u64)] += 1;
        self.total += 1;
    }

    /// The value that this share of all does not exceed; zero when there are none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return Duration::from_nanos(floor(index as u64));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < PER_OCTAVE {
        return nanos as usize;
    }
    let octave = u64::from(nanos.ilog2() - PER_OCTAVE.ilog2()).min(OCTAVES - 1);
    // Beyond the last octave everything falls into the last bucket.
    let within = (nanos >> octave).min(2 * PER_OCTAVE - 1) - PER_OCTAVE;
    ((octave + 1) * PER_OCTAVE + within) as usize
}

/// The smallest value of a bucket.
fn floor(index: u64) -> u64 {
    match index / PER_OCTAVE {
        0 => index,
        octave => (PER_OCTAVE + index % PER_OCTAVE) << (octave - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_two_percent() {
        let mut latencies = Latencies::new();
        for micros in 1..=1000 {
            latencies.add(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latencies.quantile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.02, "{share}: {found}");
        }
    }

    #[test]
    fn extremes_have_a_bucket() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.quantile(0.5), Duration::ZERO);
        latencies.add(Duration::ZERO);
        latencies.add(Duration::MAX);
        assert_eq!(latencies.quantile(0.5), Duration::ZERO);
        assert!(latencies.quantile(1.0) > Duration::from_secs(3600));
    }
}
