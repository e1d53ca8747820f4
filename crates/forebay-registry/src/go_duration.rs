//! Durations as Go writes them, which is what Consul's clients send and expect: `1h30m`, `1.5s`, `250ms`. Refuses negative
//! ones: nothing here lasts less than no time.

use std::time::Duration;

use thiserror::Error;

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum NoDuration {
    /// Nothing, or letters first.
    #[error("it begins with no number")]
    NoNumber,
    /// A number alone.
    #[error("a number has no unit; write \"10s\", \"5m\" or \"250ms\"")]
    NoUnit,
    /// Letters that are no unit.
    #[error("it has a unit other than ns, us, ms, s, m and h")]
    UnknownUnit,
    /// A minus sign.
    #[error("it is negative")]
    Negative,
    /// Beyond what nanoseconds in 64 bits can say.
    #[error("it is longer than 292 years")]
    TooLong,
}

/// Units, largest first, with their nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];
/// Go's own limit.
const NANOS_MAX: u128 = i64::MAX as u128;

/// Reads one.
pub(crate) fn parse(text: &str) -> Result<Duration, NoDuration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err(NoDuration::Negative);
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanos: u128 = 0;
    loop {
        let (part, tail) = first_part(rest)?;
        nanos += part;
        if nanos > NANOS_MAX {
            return Err(NoDuration::TooLong);
        }
        rest = tail;
        if rest.is_empty() {
            return Ok(Duration::from_nanos(u64::try_from(nanos).map_err(|_| NoDuration::TooLong)?));
        }
    }
}

/// One number with its unit, in nanoseconds, and what follows.
fn first_part(text: &str) -> Result<(u128, &str), NoDuration> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err(NoDuration::NoNumber);
    }
    let unit_len = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_len);
    if unit.is_empty() {
        return Err(NoDuration::NoUnit);
    }
    let unit = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NoDuration::UnknownUnit)?.1;
    // More digits than any duration has.
    if whole.len() > 20 {
        return Err(NoDuration::TooLong);
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| NoDuration::TooLong)? };
    let mut nanos = whole * u128::from(unit);
    let mut place = u128::from(unit);
    for digit in fraction.bytes() {
        place /= 10;
        nanos += u128::from(digit - b'0') * place;
    }
    Ok((nanos, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

/// Writes one as Go's `Duration.String` does: `1h0m0s`, `10s`, `1.5s`, `250ms`.
pub(crate) fn write(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let second = 1_000_000_000;
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < second {
        let (unit, size) = match nanos {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{}{unit}", decimal(nanos, size));
    }
    let (hours, minutes, rest) =
        (nanos / (3_600 * second), nanos / (60 * second) % 60, nanos % (60 * second));
    let seconds = decimal(rest, second);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `nanos` in units of `size`, without zeros at the end.
fn decimal(nanos: u128, size: u128) -> String {
    let (whole, rest) = (nanos / size, nanos % size);
    if rest == 0 {
        return whole.to_string();
    }
    let width = size.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: u64, written: &str) {
        let duration = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(duration, Duration::from_millis(millis), "{text}");
        assert_eq!(write(duration), written, "{text}");
    }

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        check("0", 0, "0s");
        check("10s", 10_000, "10s");
        check("5m", 300_000, "5m0s");
        check("1h30m", 5_400_000, "1h30m0s");
        check("1.5s", 1_500, "1.5s");
        check("+250ms", 250, "250ms");
        check(".5h", 1_800_000, "30m0s");
    }

    #[test]
    fn fractions_of_a_unit_are_exact() {
        assert_eq!(parse("1.000000001s"), Ok(Duration::new(1, 1)));
        assert_eq!(write(Duration::from_nanos(1_500_000)), "1.5ms");
        assert_eq!(write(Duration::from_nanos(1_500)), "1.5µs");
        assert_eq!(write(Duration::from_nanos(7)), "7ns");
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, why) in [
            ("", NoDuration::NoNumber),
            ("s", NoDuration::NoNumber),
            (".s", NoDuration::NoNumber),
            ("10", NoDuration::NoUnit),
            ("10s5", NoDuration::NoUnit),
            ("10d", NoDuration::UnknownUnit),
            ("10 s", NoDuration::UnknownUnit),
            ("-1s", NoDuration::Negative),
            ("3000000h", NoDuration::TooLong),
            ("99999999999999999999999h", NoDuration::TooLong),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }
}
