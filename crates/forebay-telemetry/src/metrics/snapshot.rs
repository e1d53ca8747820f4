//! What a reader sees of the metrics at one moment. Plain values: rendering them is [`super::exposition`]'s
//! work.

use super::buckets::Buckets;
use super::desc::Unit;

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends or the series is retired.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// One family with all its series, sorted by label values.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilySnapshot {
    /// The OpenMetrics family name: unit as suffix, without `_total`.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// The unit, when the values have one.
    pub unit: Option<Unit>,
    /// The family's type.
    pub kind: Kind,
    /// The series, sorted by label values.
    pub series: Vec<SeriesSnapshot>,
}

/// One series of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSnapshot {
    /// Label names and values, in the order the family declares them.
    pub labels: Vec<(&'static str, Box<str>)>,
    /// The value now.
    pub value: Value,
}

/// The value of one series. Parts of a value are read one after the other while cores go on writing, so a sum
/// may be one request ahead of its counts; a histogram's count is the sum of its buckets and always agrees
/// with them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge, and of counters that are kept elsewhere.
    Number(f64),
    /// Of a histogram.
    Durations {
        /// The bounds.
        buckets: &'static Buckets,
        /// How many fell into each bucket, not cumulated; one more than there are bounds.
        counts: Vec<u64>,
        /// Exact sum of all durations.
        sum_nanos: u128,
    },
}
