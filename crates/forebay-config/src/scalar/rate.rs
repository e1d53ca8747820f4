//! Rates: `"500/s"`, `"30/m"`, `"1000/h"`, `"10/d"`.

use std::fmt;
use std::time::Duration;

use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::{Scalar, Shape};
use crate::value::Value;

/// What a rate counts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RatePeriod {
    /// `/s`
    Second,
    /// `/m`
    Minute,
    /// `/h`
    Hour,
    /// `/d`
    Day,
}

/// So many per period, at least one. The period is kept: 60/m may come in one burst where 1/s may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many, at least one.
    pub count: u32,
    /// In which time.
    pub period: RatePeriod,
}

impl RatePeriod {
    const ALL: [RatePeriod; 4] = [RatePeriod::Second, RatePeriod::Minute, RatePeriod::Hour, RatePeriod::Day];

    /// How long it is.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            RatePeriod::Second => 1,
            RatePeriod::Minute => 60,
            RatePeriod::Hour => 3_600,
            RatePeriod::Day => 86_400,
        })
    }

    /// What was meant by another word for it: `min`, `Seconds`.
    fn near(text: &str) -> Option<RatePeriod> {
        let text = text.to_ascii_lowercase();
        let words = ["seconds", "minutes", "hours", "days"];
        let near = |word: &&str| !text.is_empty() && word.starts_with(&text);
        words.iter().position(near).map(|place| RatePeriod::ALL[place])
    }

    const fn unit(self) -> &'static str {
        match self {
            RatePeriod::Second => "s",
            RatePeriod::Minute => "m",
            RatePeriod::Hour => "h",
            RatePeriod::Day => "d",
        }
    }
}

impl Rate {
    /// On average over the period.
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / self.period.duration().as_secs_f64()
    }

    fn parse(text: &str) -> Result<Rate, Problem> {
        let Some((count, unit)) = text.split_once('/') else {
            let help = match text.parse::<u32>() {
                Ok(number) => format!("write \"{number}/s\""),
                Err(_) => "write for example \"500/s\"".to_owned(),
            };
            return Err(Problem::new("has no period").help(help));
        };
        let period = RatePeriod::ALL.into_iter().find(|period| period.unit() == unit).ok_or_else(|| {
            let shown: String = unit.chars().take(20).collect();
            let problem = Problem::new(format!("has the unknown period `{shown}`"));
            match RatePeriod::near(unit) {
                Some(near) => {
                    problem.help(format!("write \"{}/{}\"", count.trim_end_matches('r'), near.unit()))
                }
                None => problem.help("the periods are `s`, `m`, `h` and `d`"),
            }
        })?;
        if let Some(digits) = count.strip_suffix('r').filter(|digits| is_digits(digits)) {
            let help = format!("write \"{digits}/{}\"", period.unit());
            return Err(Problem::new("says what is counted, which its setting does").help(help));
        }
        let count =
            if is_digits(count) { count.parse().map_err(|_| Problem::new("is too large"))? } else { 0 };
        if count == 0 {
            return Err(Problem::new("has no whole number above zero before the `/`"));
        }
        Ok(Rate { count, period })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.period.unit())
    }
}

impl Value for Rate {
    const SHAPE: Shape =
        Shape::Scalar(Scalar::text("a rate", "\"500/s\"").pattern("^[1-9][0-9]*/(s|m|h|d)$").unit("/s"));

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, Rate::parse)
    }

    /// Per day, so that every rate is a whole number.
    fn magnitude(&self) -> Option<i128> {
        Some(i128::from(self.count) * 86_400 / i128::from(self.period.duration().as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<f64, &str>) {
        let parsed = Rate::parse(text).map(Rate::per_second).map_err(|problem| problem.clause);
        assert_eq!(parsed, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_rate_is_a_count_per_period() {
        check("500/s", Ok(500.0));
        check("30/m", Ok(0.5));
        check("500", Err("has no period"));
        check("500/min", Err("has the unknown period `min`"));
        check("0/s", Err("has no whole number above zero before the `/`"));
        check("+5/s", Err("has no whole number above zero before the `/`"));
        check("99999999999/s", Err("is too large"));
    }

    #[test]
    fn who_writes_it_as_elsewhere_is_told_how_it_is_written_here() {
        let help = |text| Rate::parse(text).expect_err(text).help;
        for (text, here) in [("10r/s", "10/s"), ("10r/min", "10/m"), ("5/Hour", "5/h"), ("5/sec", "5/s")] {
            assert_eq!(help(text), Some(format!("write \"{here}\"")), "{text}");
        }
        assert_eq!(help("5/ms").as_deref(), Some("the periods are `s`, `m`, `h` and `d`"));
        assert_eq!(help("-5/s"), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(count in 1u32.., period in 0usize..4) {
            let rate = Rate { count, period: RatePeriod::ALL[period] };
            prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        }
    }
}
