//! What a message says about retrying: `Retry-After` of a response, and the count of attempts that callers pass on.

use std::time::{Duration, SystemTime};

/// The field that says which attempt of its sender a request is; absent for the first.
pub const ATTEMPT_FIELD: &str = "forebay-attempt";

/// Attempts beyond this are counted as this many: somebody wrote nonsense.
const ATTEMPT_MAX: u32 = 99;

/// Reads a `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, of which the distance from `wall` counts. A date that
/// has passed is no time at all; anything else is `None`.
pub fn retry_after(value: &[u8], wall: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(wall).unwrap_or_default())
}

/// Which attempt a request is, over all callers that retry one inside the other.
///
/// Without it three layers of three attempts make twenty-seven of an overload. So whoever retries says so, and whoever is
/// called by a retry leaves overload to its caller: after a timeout or an error status it tries nothing again
/// ([`crate::Reason::CallerRetries`]). A connection that broke is still replaced, because that is no load on anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nesting {
    /// The attempt of our caller that the request is; 1 for the first.
    caller: u32,
}

impl Nesting {
    /// From the field of a caller that is believed; from anybody else it is to be left out.
    pub fn read(field: Option<&[u8]>) -> Nesting {
        let number = field.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        Nesting { caller: number.unwrap_or(1).clamp(1, ATTEMPT_MAX) }
    }

    /// Whether the request is a retry of its caller's.
    pub const fn is_retry(self) -> bool {
        self.caller > 1
    }

    /// What to tell the one who is called by our attempt `number`; nothing for a first one.
    pub const fn tell(self, number: u32) -> Option<u32> {
        let count = self.caller.saturating_add(number).saturating_sub(1);
        match count {
            0 | 1 => None,
            ATTEMPT_MAX.. => Some(ATTEMPT_MAX),
            count => Some(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wall = httpdate::parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT").unwrap();
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(retry_after(text.as_bytes(), wall), expected.map(Duration::from_secs), "{text:?}");
        };
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("99999999999999999999999", Some(u64::MAX));
        check("Mon, 23 Nov 2026 10:01:30 GMT", Some(90));
        check("Mon, 23 Nov 2026 09:00:00 GMT", Some(0));
        for nonsense in ["", "-1", "1.5", "+3", "soon", "1 s", "\u{ff11}"] {
            check(nonsense, None);
        }
    }

    #[test]
    fn attempts_are_counted_over_all_callers() {
        let check = |field: Option<&str>, own, told| {
            assert_eq!(Nesting::read(field.map(str::as_bytes)).tell(own), told, "{field:?}, {own}");
        };
        check(None, 1, None);
        check(None, 2, Some(2));
        check(Some("1"), 1, None);
        check(Some("2"), 1, Some(2));
        check(Some("2"), 3, Some(4));
        check(Some("99"), 3, Some(99));
        for nonsense in ["", "0", "-2", "x", "4294967296"] {
            check(Some(nonsense), 1, None);
        }
    }
}
