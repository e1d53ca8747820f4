//! Families whose values are computed when somebody reads: pool sizes, endpoints by health, the generation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::desc::Desc;
use super::family::SERIES_MAX;
use super::registry::Source;
use super::snapshot::{FamilySnapshot, Kind, SeriesSnapshot, Value};

/// Collects the values of one observed family for one reader.
#[derive(Debug)]
pub struct Observations<const N: usize> {
    values: BTreeMap<[Box<str>; N], f64>,
    refused: u64,
}

impl<const N: usize> Observations<N> {
    /// Sets the value at these label values; a second call replaces the first. Past [`SERIES_MAX`] it is
    /// refused, and counted as such.
    pub fn set(&mut self, labels: [&str; N], value: f64) {
        let key = labels.map(Box::from);
        if self.values.len() >= SERIES_MAX && !self.values.contains_key(&key) {
            self.refused += 1;
            return;
        }
        self.values.insert(key, value);
    }
}

/// A family that a function fills.
pub(super) struct Observed<const N: usize, F> {
    desc: Desc<N>,
    kind: Kind,
    observe: F,
    refused: AtomicU64,
}

impl<const N: usize, F> Observed<N, F> {
    pub(super) fn new(desc: Desc<N>, kind: Kind, observe: F) -> Observed<N, F> {
        Observed { desc, kind, observe, refused: AtomicU64::new(0) }
    }
}

impl<const N: usize, F> Source for Observed<N, F>
where
    F: Fn(&mut Observations<N>) + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.desc.name
    }

    fn snapshot(&self) -> FamilySnapshot {
        let mut seen = Observations { values: BTreeMap::new(), refused: 0 };
        (self.observe)(&mut seen);
        self.refused.fetch_add(seen.refused, Relaxed);
        let Desc { name, help, unit, labels } = self.desc;
        let series = seen
            .values
            .into_iter()
            .map(|(values, value)| SeriesSnapshot {
                labels: labels.into_iter().zip(values).collect(),
                value: Value::Number(value),
            })
            .collect();
        FamilySnapshot { name, help, unit, kind: self.kind, series }
    }

    fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}
