//! Sizes in bytes: `"512B"`, `"64KiB"`, `"1MiB"`, `"10GB"`. Binary and decimal units, told apart by the `i`.

use std::fmt;

use super::{bad_unit, number_and_unit};
use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::{Scalar, Shape};
use crate::value::Value;

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// For buffers and lengths; saturates where memory addresses are narrower than 64 bits.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Result<ByteSize, Problem> {
        let (number, unit) = number_and_unit(text, "\"64KiB\"")?;
        let unit = if unit == "KB" { "kB".to_owned() } else { unit };
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| {
            bad_unit(number, &unit, "B", &["B", "KiB", "MiB", "GiB", "TiB", "kB", "MB", "GB", "TB"])
        })?;
        number.checked_mul(*size).map(ByteSize).ok_or_else(|| Problem::new("is too large"))
    }
}

/// In the unit that needs the fewest digits and keeps the number whole.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().filter(|(_, size)| self.0 != 0 && self.0.is_multiple_of(*size));
        let (unit, size) = whole.max_by_key(|(_, size)| *size).unwrap_or(&UNITS[0]);
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl Value for ByteSize {
    const SHAPE: Shape = Shape::Scalar(
        Scalar::text("a size in bytes", "\"64KiB\"").pattern("^[0-9]+(B|[KMGT]i?B|kB)$").unit("B"),
    );

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, ByteSize::parse)
    }

    fn magnitude(&self) -> Option<i128> {
        Some(i128::from(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        let parsed = ByteSize::parse(text).map(ByteSize::bytes).map_err(|problem| problem.clause);
        assert_eq!(parsed, expected.map_err(str::to_owned));
    }

    #[test]
    fn the_i_makes_a_unit_binary() {
        check("512B", Ok(512));
        check("64KiB", Ok(65_536));
        check("64KB", Ok(64_000));
        check("1MiB", Ok(1 << 20));
        check("10GB", Ok(10_000_000_000));
        check("10", Err("has no unit"));
        check("10mib", Err("has the unknown unit `mib`"));
        check("99999999999TiB", Err("is too large"));
    }

    #[test]
    fn prints_in_the_largest_whole_unit() {
        assert_eq!(ByteSize(65_536).to_string(), "64KiB");
        assert_eq!(ByteSize(10_000_000_000).to_string(), "10GB");
        assert_eq!(ByteSize(0).to_string(), "0B");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bytes: u64) {
            prop_assert_eq!(ByteSize::parse(&ByteSize(bytes).to_string()), Ok(ByteSize(bytes)));
        }
    }
}
