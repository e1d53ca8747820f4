//! Shares of a whole: `"20%"`, `"0.5%"`; from nothing to everything.

use std::fmt;

use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::{Scalar, Shape};
use crate::value::Value;

const MILLION: u32 = 1_000_000;

/// A share in millionths, at most the whole. Exact to four decimals of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Share(u32);

impl Share {
    /// From millionths; more than the whole becomes the whole.
    pub const fn from_millionths(millionths: u32) -> Share {
        Share(if millionths > MILLION { MILLION } else { millionths })
    }

    /// In millionths, at most 1,000,000.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// Between 0 and 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(MILLION)
    }

    fn parse(text: &str) -> Result<Share, Problem> {
        let Some(number) = text.strip_suffix('%') else {
            let is_number = text.parse::<f64>().is_ok_and(|number| number >= 0.0);
            let help =
                if is_number { format!("write \"{text}%\"") } else { "write for example \"20%\"".to_owned() };
            return Err(Problem::new("has no percent sign").help(help));
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(Problem::new("is no number before its percent sign"));
        }
        if decimals.len() > 4 {
            return Err(Problem::new("has more than four decimals").help("round it"));
        }
        let beyond = || Problem::new("is more than the whole").help("write at most \"100%\"");
        let whole: u32 = whole.parse().map_err(|_| beyond())?;
        let decimals: u32 = format!("{decimals:0<4}").parse().map_err(|_| beyond())?;
        let millionths = whole.checked_mul(10_000).and_then(|whole| whole.checked_add(decimals));
        millionths.filter(|millionths| *millionths <= MILLION).map(Share).ok_or_else(beyond)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / 10_000, self.0 % 10_000);
        if decimals == 0 {
            return write!(f, "{whole}%");
        }
        write!(f, "{whole}.{}%", format!("{decimals:04}").trim_end_matches('0'))
    }
}

impl Value for Share {
    const SHAPE: Shape =
        Shape::Scalar(Scalar::text("a share", "\"20%\"").pattern("^[0-9]+(\\.[0-9]{1,4})?%$").unit("%"));

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, Share::parse)
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
    fn check(text: &str, expected: Result<u32, &str>) {
        let parsed = Share::parse(text).map(Share::millionths).map_err(|problem| problem.clause);
        assert_eq!(parsed, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_share_is_a_percentage_up_to_the_whole() {
        check("20%", Ok(200_000));
        check("0.5%", Ok(5_000));
        check("0.0001%", Ok(1));
        check("100%", Ok(1_000_000));
        check("20", Err("has no percent sign"));
        check("100.1%", Err("is more than the whole"));
        check("99999999999%", Err("is more than the whole"));
        check("-5%", Err("is no number before its percent sign"));
        check("1.%", Err("is no number before its percent sign"));
        check("1.00001%", Err("has more than four decimals"));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(millionths in 0..=MILLION) {
            let share = Share::from_millionths(millionths);
            prop_assert_eq!(Share::parse(&share.to_string()), Ok(share));
        }
    }
}
