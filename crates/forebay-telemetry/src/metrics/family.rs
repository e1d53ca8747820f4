//! A family: all series of one name. Decides which series exist; never runs on the record path.
//!
//! A series lives as long as somebody holds a handle. Whoever asks for the same label values gets the same
//! series, so a reload that takes its handles before it drops the old ones never makes a counter go
//! backwards. Once the last handle is gone, a counter's or histogram's final value is shown to one more
//! reader and then forgotten; a gauge is forgotten at once, for it speaks of something that no longer exists.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::desc::{Desc, OVERFLOW_LABEL};
use super::instrument::Instrument;
use super::labels::Axis;
use super::registry::Source;
use super::snapshot::{FamilySnapshot, Kind, SeriesSnapshot};

/// Series of one family. A full family of histograms is then about 5 MB of text per scrape and half a MB of
/// memory per core, which a machine bears; ten times that, from a label somebody forgot to bound, it would
/// not.
pub const SERIES_MAX: usize = 2_000;

/// All series of one name, with `N` labels. Cloning yields another handle of the same family.
#[derive(Clone)]
pub struct Family<I: Instrument, const N: usize> {
    inner: Arc<Inner<I, N>>,
}

pub(super) struct Inner<I: Instrument, const N: usize> {
    pub(super) desc: Desc<N>,
    pub(super) shape: I::Shape,
    shards: usize,
    series: Mutex<BTreeMap<[Box<str>; N], Series<I>>>,
    overflow: OnceLock<I>,
    refused: AtomicU64,
}

struct Series<I> {
    instrument: I,
    // Set when a reader has seen the final value; the next one no longer finds the series.
    shown_last: bool,
}

impl<I: Instrument, const N: usize> Family<I, N> {
    pub(super) fn new(desc: Desc<N>, shape: I::Shape, shards: usize) -> Family<I, N> {
        Family::of(Arc::new(Inner {
            desc,
            shape,
            shards,
            series: Mutex::default(),
            overflow: OnceLock::new(),
            refused: AtomicU64::new(0),
        }))
    }

    pub(super) fn of(inner: Arc<Inner<I, N>>) -> Family<I, N> {
        Family { inner }
    }

    pub(super) fn inner(&self) -> Arc<Inner<I, N>> {
        Arc::clone(&self.inner)
    }

    /// The series with these label values, in the order of the labels' names; the same one for as long as
    /// anybody holds it. Takes a lock: call it when a route or an endpoint is made, not for each request.
    ///
    /// At [`SERIES_MAX`] it is the series labelled `other="true"`, which all further label values share.
    pub fn series(&self, values: [&str; N]) -> I {
        let key = values.map(Box::from);
        let mut series = self.inner.lock();
        if let Some(known) = series.get_mut(&key) {
            known.shown_last = false;
            return known.instrument.clone();
        }
        if series.len() >= SERIES_MAX {
            series.retain(|_, series| series.instrument.is_held_elsewhere());
        }
        if series.len() >= SERIES_MAX {
            drop(series);
            return self.inner.overflow();
        }
        let instrument = I::with_shards(self.inner.shards, self.inner.shape);
        series.insert(key, Series { instrument: instrument.clone(), shown_last: false });
        instrument
    }

    /// Series for every value of `A`, after `F` label values that are fixed. A series is made when it is
    /// first used: a route that never sees `DELETE` shows none.
    ///
    /// `F` and the labels of `A` together are the family's labels, or it does not compile:
    ///
    /// ```compile_fail,E0080
    /// use forebay_telemetry::metrics::{Desc, MethodLabel, Registry};
    ///
    /// const REQUESTS: Desc<2> = Desc::new("requests", "Requests.", ["route", "method"]);
    /// let family = Registry::new(1).counters(REQUESTS);
    /// family.grid::<MethodLabel, 2>(["orders", "one too many"]);
    /// ```
    pub fn grid<A: Axis, const F: usize>(&self, fixed: [&str; F]) -> Grid<I, N, A> {
        const { assert!(F + A::ARITY == N, "fixed labels and axis together are the family's labels") };
        Grid {
            family: self.clone(),
            fixed: fixed.iter().map(|&value| Box::from(value)).collect(),
            cells: (0..A::LEN).map(|_| OnceLock::new()).collect(),
            axis: PhantomData,
        }
    }
}

impl<I: Instrument, const N: usize> Inner<I, N> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<[Box<str>; N], Series<I>>> {
        // A panic elsewhere leaves the map whole: every change to it is one call.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn overflow(&self) -> I {
        if self.refused.fetch_add(1, Relaxed) == 0 {
            tracing::warn!(
                family = self.desc.name,
                series_max = SERIES_MAX,
                "metric family is full; further label values are counted together as other=\"true\""
            );
        }
        self.overflow.get_or_init(|| I::with_shards(self.shards, self.shape)).clone()
    }

    fn named(&self, values: &[Box<str>; N]) -> Vec<(&'static str, Box<str>)> {
        self.desc.labels.iter().copied().zip(values.iter().cloned()).collect()
    }
}

impl<I: Instrument, const N: usize> Source for Inner<I, N> {
    fn name(&self) -> &'static str {
        self.desc.name
    }

    fn snapshot(&self) -> FamilySnapshot {
        let mut series = self.lock();
        series.retain(|_, series| {
            series.instrument.is_held_elsewhere() || (I::KIND != Kind::Gauge && !series.shown_last)
        });
        let mut seen: Vec<SeriesSnapshot> = series
            .iter_mut()
            .map(|(values, series)| {
                series.shown_last = !series.instrument.is_held_elsewhere();
                SeriesSnapshot { labels: self.named(values), value: series.instrument.value() }
            })
            .collect();
        drop(series);
        if let Some(overflow) = self.overflow.get() {
            let labels = vec![(OVERFLOW_LABEL, Box::from("true"))];
            seen.push(SeriesSnapshot { labels, value: overflow.value() });
        }
        let Desc { name, help, unit, .. } = self.desc;
        FamilySnapshot { name, help, unit, kind: I::KIND, series: seen }
    }

    fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// The series of one route, service or endpoint along an [`Axis`]. Held by what it measures; shared by all
/// cores.
pub struct Grid<I: Instrument, const N: usize, A> {
    family: Family<I, N>,
    fixed: Box<[Box<str>]>,
    cells: Box<[OnceLock<I>]>,
    axis: PhantomData<fn(A)>,
}

impl<I: Instrument, const N: usize, A: Axis> Grid<I, N, A> {
    /// The series at `axis`: one atomic load once it exists. The first use makes it, under the family's lock.
    pub fn at(&self, axis: A) -> &I {
        self.cells[axis.index()].get_or_init(|| self.make(axis))
    }

    #[cold]
    fn make(&self, axis: A) -> I {
        let mut values = Vec::with_capacity(A::ARITY);
        axis.push_values(&mut values);
        // `Family::grid` has checked that the two together are N.
        self.family.series(std::array::from_fn(|at| match self.fixed.get(at) {
            Some(fixed) => fixed,
            None => values[at - self.fixed.len()],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::instrument::{Counter, Gauge};
    use crate::metrics::labels::{MethodLabel, StatusClass};
    use crate::metrics::snapshot::Value;

    fn counters<const N: usize>(labels: [&'static str; N]) -> Family<Counter, N> {
        Family::new(Desc::new("things", "Things.", labels), (), 1)
    }

    fn shown<I: Instrument, const N: usize>(family: &Family<I, N>) -> Vec<(Vec<String>, Value)> {
        let labels =
            |series: &SeriesSnapshot| series.labels.iter().map(|(_, value)| value.to_string()).collect();
        family.inner.snapshot().series.into_iter().map(|series| (labels(&series), series.value)).collect()
    }

    #[test]
    fn the_same_labels_are_the_same_series() {
        let family = counters(["route"]);
        family.series(["orders"]).add_shared(1);
        let held = family.series(["orders"]);
        held.add_shared(2);
        assert_eq!(held.total(), 3);
    }

    #[test]
    fn a_reload_keeps_the_totals_of_what_stays() {
        let family = counters(["route"]);
        let old = [family.series(["stays"]), family.series(["goes"])];
        old.iter().for_each(|counter| counter.add_shared(5));
        let new = [family.series(["stays"]), family.series(["comes"])];
        drop(old);
        shown(&family);
        new[0].add_shared(1);
        let names = shown(&family);
        assert_eq!(
            names,
            [(vec!["comes".to_string()], Value::Count(0)), (vec!["stays".to_string()], Value::Count(6))]
        );
    }

    #[test]
    fn a_final_count_is_shown_once_more() {
        let family = counters([]);
        family.series([]).add_shared(7);
        assert_eq!(shown(&family), [(vec![], Value::Count(7))]);
        assert_eq!(shown(&family), []);
    }

    #[test]
    fn a_series_that_returns_before_it_is_forgotten_is_not_forgotten() {
        let family = counters([]);
        family.series([]).add_shared(7);
        shown(&family);
        let back = family.series([]);
        assert_eq!((shown(&family).len(), back.total()), (1, 7));
    }

    #[test]
    fn a_gauge_goes_with_its_last_handle() {
        let family: Family<Gauge, 0> = Family::new(Desc::new("open", "Open things.", []), (), 1);
        let held = family.series([]);
        held.add_shared(1);
        assert_eq!(shown(&family), [(vec![], Value::Number(1.0))]);
        drop(held);
        assert_eq!(shown(&family), []);
    }

    #[test]
    fn a_full_family_counts_the_rest_together() {
        let family = counters(["path"]);
        let held: Vec<Counter> = (0..SERIES_MAX + 2).map(|n| family.series([&n.to_string()])).collect();
        held.iter().for_each(|counter| counter.add_shared(1));
        let seen = shown(&family);
        assert_eq!(seen.len(), SERIES_MAX + 1);
        assert_eq!(seen[SERIES_MAX], (vec!["true".to_string()], Value::Count(2)));
        assert_eq!(family.inner.refused(), 2);
    }

    #[test]
    fn retired_series_make_room_even_when_nobody_reads() {
        let family = counters(["endpoint"]);
        for n in 0..3 * SERIES_MAX {
            family.series([&n.to_string()]).add_shared(1);
        }
        assert_eq!(family.inner.refused(), 0);
    }

    #[test]
    fn a_grid_shows_only_what_was_used() {
        let family = counters(["route", "method", "status_class"]);
        let grid = family.grid::<(MethodLabel, StatusClass), 1>(["orders"]);
        grid.at((MethodLabel::Get, StatusClass::Success)).add_shared(1);
        grid.at((MethodLabel::Get, StatusClass::Success)).add_shared(1);
        let labels = ["orders", "GET", "2xx"].map(String::from).to_vec();
        assert_eq!(shown(&family), [(labels, Value::Count(2))]);
    }
}
