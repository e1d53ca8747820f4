//! Durations: `"250ms"`, `"15s"`, `"10m"`, `"1h"`, `"2d"`. One whole number, one unit.

use std::time::Duration;

use super::{bad_unit, number_and_unit};
use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::{Scalar, Shape};
use crate::value::Value;

/// Units and their nanoseconds, the smallest first.
const UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// The units that messages offer; smaller ones are read but seldom meant.
const USUAL_UNITS: [&str; 5] = ["ms", "s", "m", "h", "d"];

fn parse(text: &str) -> Result<Duration, Problem> {
    let (number, unit) = number_and_unit(text, "\"15s\"")?;
    let (_, nanos) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| bad_unit(number, &unit, "s", &USUAL_UNITS))?;
    let nanos = u128::from(number) * nanos;
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| Problem::new("is too long"))?;
    Ok(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// A duration as the file spells it, in the largest unit that keeps it whole: `90s`, not `1.5m`. Reads back to
/// the same value up to the 584 years whose nanoseconds fit 64 bits, and for whole seconds always.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, size) = UNITS.iter().rev().find(|(_, size)| nanos.is_multiple_of(*size)).unwrap_or(&UNITS[0]);
    if nanos == 0 { "0s".to_owned() } else { format!("{}{unit}", nanos / size) }
}

impl Value for Duration {
    const SHAPE: Shape =
        Shape::Scalar(Scalar::text("a duration", "\"15s\"").pattern("^[0-9]+(ns|us|ms|s|m|h|d)$").unit("s"));

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, parse)
    }

    fn magnitude(&self) -> Option<i128> {
        i128::try_from(self.as_nanos()).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Duration, &str>) {
        assert_eq!(parse(text).map_err(|problem| problem.clause), expected.map_err(str::to_owned));
    }

    #[test]
    fn a_duration_is_one_number_and_one_unit() {
        check("250ms", Ok(Duration::from_millis(250)));
        check("15s", Ok(Duration::from_secs(15)));
        check("10m", Ok(Duration::from_secs(600)));
        check("1h", Ok(Duration::from_secs(3600)));
        check("2d", Ok(Duration::from_secs(172_800)));
        check("15", Err("has no unit"));
        check("15 s", Err("has a space in it"));
        check("15S", Err("has the unknown unit `S`"));
        check("1.5s", Err("has a fraction"));
        check("-1s", Err("does not start with a number"));
        check("1h30m", Err("has the unknown unit `h30m`"));
        check("", Err("does not start with a number"));
        check("18446744073709551615d", Err("is too long"));
        check("99999999999999999999s", Err("is too large"));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format_duration(duration)).ok(), Some(duration));
        }

        #[test]
        fn whole_seconds_read_back(seconds: u64) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&format_duration(duration)).ok(), Some(duration));
        }
    }
}
