//! Histogram bucket bounds and the search for the bucket of one duration.

/// Bounds of one histogram. With the bucket above the last bound and the sum, a core's shard is 256 bytes.
pub const BOUNDS_MAX: usize = 30;

/// Upper bounds of a duration histogram, in nanoseconds, inclusive (`le`).
#[derive(Debug, PartialEq, Eq)]
pub struct Buckets {
    // Padded with `u64::MAX`, which ends every search.
    upper_nanos: [u64; BOUNDS_MAX + 1],
    len: usize,
    // By bit length of a value: the first bucket that a value of this length can belong to.
    first: [u8; 65],
}

impl Buckets {
    /// Durations of HTTP exchanges: the bounds OpenTelemetry advises for `http.server.request.duration`, 5 ms
    /// to 10 s, and three below. A service behind a proxy on the same machine answers in well under 5 ms, and
    /// quantiles interpolated within one bucket from 0 to 5 ms would say nothing about it.
    pub const HTTP: &'static Buckets = &Buckets::new(&[
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        75_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        750_000_000,
        1_000_000_000,
        2_500_000_000,
        5_000_000_000,
        7_500_000_000,
        10_000_000_000,
    ]);

    /// Buckets with these upper bounds in nanoseconds; one more bucket holds what is above the last.
    ///
    /// # Panics
    /// Unless there are 1 to [`BOUNDS_MAX`] bounds, strictly ascending. In a constant this is a compile
    /// error.
    pub const fn new(bounds_nanos: &[u64]) -> Buckets {
        assert!(
            !bounds_nanos.is_empty() && bounds_nanos.len() <= BOUNDS_MAX,
            "a histogram has 1 to 30 bounds"
        );
        let mut upper_nanos = [u64::MAX; BOUNDS_MAX + 1];
        let mut at = 0;
        while at < bounds_nanos.len() {
            assert!(at == 0 || bounds_nanos[at - 1] < bounds_nanos[at], "bounds ascend");
            upper_nanos[at] = bounds_nanos[at];
            at += 1;
        }
        Buckets { upper_nanos, len: bounds_nanos.len(), first: first_by_bit_length(&upper_nanos) }
    }

    /// The upper bounds in nanoseconds, without the last bucket's infinity.
    pub fn bounds_nanos(&self) -> &[u64] {
        &self.upper_nanos[..self.len]
    }

    /// The bucket that `nanos` belongs to: 0 to the number of bounds, inclusive.
    pub fn index(&self, nanos: u64) -> usize {
        // The bit length narrows the search to the bounds of one octave: with bounds in steps of about two,
        // the loop runs at most once or twice.
        let mut at = self.first[(u64::BITS - nanos.leading_zeros()) as usize] as usize;
        while nanos > self.upper_nanos[at] {
            at += 1;
        }
        at
    }
}

const fn first_by_bit_length(upper_nanos: &[u64; BOUNDS_MAX + 1]) -> [u8; 65] {
    let mut first = [0; 65];
    let mut bits = 1;
    while bits <= 64 {
        let smallest = 1u64 << (bits - 1);
        let mut at = 0;
        while smallest > upper_nanos[at] {
            at += 1;
        }
        first[bits] = at as u8;
        bits += 1;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: the first bucket whose bound is not below the value.
    fn index_by_definition(buckets: &Buckets, nanos: u64) -> usize {
        buckets.bounds_nanos().iter().filter(|&&bound| nanos > bound).count()
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket_and_its_successor_to_the_next() {
        for (index, &bound) in Buckets::HTTP.bounds_nanos().iter().enumerate() {
            assert_eq!(Buckets::HTTP.index(bound), index);
            assert_eq!(Buckets::HTTP.index(bound + 1), index + 1);
        }
        assert_eq!(Buckets::HTTP.index(0), 0);
        assert_eq!(Buckets::HTTP.index(u64::MAX), Buckets::HTTP.bounds_nanos().len());
    }

    proptest! {
        #[test]
        fn every_value_finds_the_bucket_of_the_definition(shift in 0u32..64, value: u64) {
            let nanos = value >> shift;
            prop_assert_eq!(Buckets::HTTP.index(nanos), index_by_definition(Buckets::HTTP, nanos));
        }

        #[test]
        fn any_bounds_will_do(
            bounds in prop::collection::btree_set(any::<u64>(), 1..=BOUNDS_MAX),
            nanos: u64,
        ) {
            let buckets = Buckets::new(&bounds.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(buckets.index(nanos), index_by_definition(&buckets, nanos));
        }
    }
}
