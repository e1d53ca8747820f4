//! Moments as files hold them: RFC 3339 in UTC, to the second. Knows the calendar, and no clock.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_config::{Node, Problem, Reader, Shape, Value};
use forebay_telemetry::date::rfc3339;

/// A second of UTC, as `2026-11-28T13:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(SystemTime);

impl Timestamp {
    /// The second that a moment lies in.
    pub fn of(time: SystemTime) -> Timestamp {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Timestamp(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// Its beginning.
    pub fn time(self) -> SystemTime {
        self.0
    }
}

impl FromStr for Timestamp {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Timestamp, Problem> {
        let wrong = || Problem::new("is none").help("write for example \"2026-11-28T13:00:00Z\", in UTC");
        let bytes = text.as_bytes();
        let has_form = bytes.len() == 20
            && bytes.iter().zip(b"0000-00-00T00:00:00Z").all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                fixed => byte == fixed,
            });
        if !has_form {
            return Err(wrong());
        }
        let number = |from: usize, to: usize| text[from..to].parse::<u64>().map_err(|_| wrong());
        let days = days_since_epoch(number(0, 4)?, number(5, 7)?, number(8, 10)?).ok_or_else(wrong)?;
        let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        let read = Timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        // What does not print as it was written was no date: the 30th of February, the 25th hour.
        if read.to_string() == text { Ok(read) } else { Err(wrong()) }
    }
}

/// Days from 1970 on, counting years from March so that the leap day comes last.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days =
        year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day.checked_sub(1)?;
    // Days from the first of March of the year 0 to 1970.
    days.checked_sub(719_468)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = rfc3339(self.0);
        write!(f, "{}Z", String::from_utf8_lossy(&text[..19]))
    }
}

impl Value for Timestamp {
    const SHAPE: Shape = Shape::text("a date and time", "\"2026-11-28T13:00:00Z\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Timestamp> {
        reader.text(node, &Self::SHAPE, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_real_moments_are_read() {
        for text in
            ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2000-02-29T00:00:00Z", "9999-12-31T23:59:59Z"]
        {
            assert_eq!(text.parse::<Timestamp>().map(|read| read.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00+01:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(seconds in 0_u64..253_402_300_800) {
            let moment = Timestamp::of(UNIX_EPOCH + Duration::from_secs(seconds));
            prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }
}
