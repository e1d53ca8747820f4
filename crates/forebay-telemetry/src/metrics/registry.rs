//! Which families exist, and who may write. One per process; passed as a value, never global.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::buckets::Buckets;
use super::core::Core;
use super::desc::{Desc, Unit};
use super::exposition::{self, Exposition};
use super::family::{Family, Inner as FamilyInner};
use super::instrument::{Counter, Gauge, Histogram, Instrument};
use super::observe::{Observations, Observed};
use super::snapshot::{FamilySnapshot, Kind, SeriesSnapshot, Value};
use crate::TelemetryError;

/// Shard 0 belongs to everyone who has no core.
const SHARED_SHARDS: usize = 1;

const REFUSED: Desc<1> = Desc::new(
    "forebay_metrics_series_refused",
    "Label values that found their metric family full and were counted under other=\"true\".",
    ["family"],
);

/// A family as a reader sees it.
pub(super) trait Source: Any + Send + Sync {
    fn name(&self) -> &'static str;
    fn snapshot(&self) -> FamilySnapshot;
    /// How many series it refused because it was full.
    fn refused(&self) -> u64;
}

/// All metric families of a process. Cloning yields another handle of the same registry.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    cores: usize,
    claimed: AtomicUsize,
    sources: Mutex<BTreeMap<&'static str, Arc<dyn Source>>>,
}

impl Registry {
    /// A registry with a shard for each of `cores` cores.
    pub fn new(cores: usize) -> Registry {
        Registry { inner: Arc::new(Inner { cores, claimed: AtomicUsize::new(0), sources: Mutex::default() }) }
    }

    /// Makes the calling thread the one writer of a shard. Call it once on each core's thread, at its start.
    ///
    /// # Errors
    /// [`TelemetryError::NoCoreLeft`] when every core is claimed: claims are for life.
    pub fn claim_core(&self) -> Result<Core, TelemetryError> {
        let claimed = self.inner.claimed.fetch_add(1, Relaxed);
        if claimed >= self.inner.cores {
            return Err(TelemetryError::NoCoreLeft { cores: self.inner.cores });
        }
        Ok(Core::of_shard(SHARED_SHARDS + claimed))
    }

    /// A family of counters; the same family again when asked again.
    ///
    /// # Panics
    /// When another family has the name: two crates claim it, which no configuration can cause.
    pub fn counters<const N: usize>(&self, desc: Desc<N>) -> Family<Counter, N> {
        self.family(desc, ())
    }

    /// A family of gauges; the same family again when asked again.
    ///
    /// # Panics
    /// When another family has the name.
    pub fn gauges<const N: usize>(&self, desc: Desc<N>) -> Family<Gauge, N> {
        self.family(desc, ())
    }

    /// A family of histograms of durations; the same family again when asked again.
    ///
    /// # Panics
    /// When another family has the name, or the unit is not seconds.
    pub fn histograms<const N: usize>(
        &self,
        desc: Desc<N>,
        buckets: &'static Buckets,
    ) -> Family<Histogram, N> {
        assert_eq!(desc.unit, Some(Unit::Seconds), "{} holds durations: its unit is seconds", desc.name);
        self.family(desc, buckets)
    }

    /// Gauges whose values `observe` sets each time somebody reads. It runs on the reader's thread and must
    /// not wait.
    ///
    /// # Panics
    /// When another family has the name.
    pub fn observe_gauges<const N: usize>(
        &self,
        desc: Desc<N>,
        observe: impl Fn(&mut Observations<N>) + Send + Sync + 'static,
    ) {
        self.add_new(desc.name, Arc::new(Observed::new(desc, Kind::Gauge, observe)));
    }

    /// Counters that are kept elsewhere and only grow; otherwise as [`Registry::observe_gauges`].
    ///
    /// # Panics
    /// When another family has the name.
    pub fn observe_counters<const N: usize>(
        &self,
        desc: Desc<N>,
        observe: impl Fn(&mut Observations<N>) + Send + Sync + 'static,
    ) {
        self.add_new(desc.name, Arc::new(Observed::new(desc, Kind::Counter, observe)));
    }

    /// All families that have series, sorted by name.
    pub fn gather(&self) -> Vec<FamilySnapshot> {
        // The list is copied so that reading, which takes milliseconds, does not hold up who adds a family.
        let sources: Vec<Arc<dyn Source>> = self.lock().values().cloned().collect();
        let mut families: Vec<FamilySnapshot> = sources.iter().map(|source| source.snapshot()).collect();
        families.push(refusals(&sources));
        families.retain(|family| !family.series.is_empty());
        families.sort_by_key(|family| family.name);
        families
    }

    /// The body of a `/metrics` response.
    pub fn expose(&self, exposition: Exposition) -> String {
        exposition::render(&self.gather(), exposition)
    }

    fn family<I: Instrument, const N: usize>(&self, desc: Desc<N>, shape: I::Shape) -> Family<I, N> {
        let mut sources = self.lock();
        let Some(known) = sources.get(desc.name) else {
            let family = Family::new(desc, shape, SHARED_SHARDS + self.inner.cores);
            sources.insert(desc.name, family.inner());
            return family;
        };
        let known: Arc<dyn Any + Send + Sync> = Arc::<dyn Source>::clone(known);
        match known.downcast::<FamilyInner<I, N>>() {
            Ok(same) if same.desc == desc && same.shape == shape => Family::of(same),
            _ => panic!("two metric families are called {}", desc.name),
        }
    }

    fn add_new(&self, name: &'static str, source: Arc<dyn Source>) {
        let before = self.lock().insert(name, source);
        assert!(before.is_none(), "two metric families are called {name}");
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<dyn Source>>> {
        self.inner.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusals(sources: &[Arc<dyn Source>]) -> FamilySnapshot {
    let series = sources
        .iter()
        .filter(|source| source.refused() > 0)
        .map(|source| SeriesSnapshot {
            labels: vec![(REFUSED.labels[0], Box::from(source.name()))],
            value: Value::Count(source.refused()),
        })
        .collect();
    FamilySnapshot { name: REFUSED.name, help: REFUSED.help, unit: None, kind: Kind::Counter, series }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::family::SERIES_MAX;

    const THINGS: Desc<1> = Desc::new("things", "Things.", ["kind"]);

    #[test]
    fn there_are_as_many_writers_as_cores() {
        let registry = Registry::new(2);
        assert!(registry.claim_core().is_ok());
        assert!(registry.claim_core().is_ok());
        assert!(matches!(registry.claim_core(), Err(TelemetryError::NoCoreLeft { cores: 2 })));
    }

    #[test]
    fn every_core_counts_and_a_reader_sees_the_sum() {
        let registry = Registry::new(4);
        let things = registry.counters(THINGS).series(["a"]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let core = registry.claim_core().unwrap();
                    (0..10_000).for_each(|_| things.inc(core));
                });
            }
        });
        assert_eq!(things.total(), 40_000);
    }

    #[test]
    fn the_same_declaration_is_the_same_family() {
        let registry = Registry::new(1);
        let one = registry.counters(THINGS).series(["a"]);
        registry.counters(THINGS).series(["a"]).add_shared(3);
        assert_eq!(one.total(), 3);
    }

    #[test]
    #[should_panic(expected = "two metric families are called things")]
    fn one_name_cannot_mean_two_things() {
        let registry = Registry::new(1);
        registry.counters(THINGS);
        registry.gauges(THINGS);
    }

    #[test]
    fn observed_values_are_computed_when_read() {
        let registry = Registry::new(1);
        let calls = AtomicUsize::new(0);
        registry.observe_gauges(THINGS, move |seen| {
            seen.set(["calls"], calls.fetch_add(1, Relaxed) as f64);
        });
        let value = || registry.gather()[0].series[0].value.clone();
        assert_eq!((value(), value()), (Value::Number(0.0), Value::Number(1.0)));
    }

    #[test]
    fn refused_series_are_counted_by_family() {
        let registry = Registry::new(1);
        registry.observe_gauges(THINGS, |seen| {
            for kind in 0..=SERIES_MAX {
                seen.set([&kind.to_string()], 0.0);
            }
        });
        let families = registry.gather();
        assert_eq!(families[0].name, REFUSED.name);
        assert_eq!(families[0].series[0].value, Value::Count(1));
        assert_eq!(families[1].series.len(), SERIES_MAX);
    }

    #[test]
    fn a_family_without_series_is_not_shown() {
        let registry = Registry::new(1);
        registry.counters(THINGS);
        assert_eq!(registry.gather(), []);
    }
}
