//! How much time a request has left, told from hop to hop. Relative, because clocks differ.

use std::time::Duration;

use forebay_clock::Moment;

/// The field that says how many milliseconds the sender of a request waits for the response's head.
pub const TIMEOUT_FIELD: &str = "forebay-timeout-ms";

/// More digits than any timeout has; what is longer is no number we wrote.
const DIGITS_MAX: usize = 10;

/// The deadline of a request that came at `received`: its caller's, when that is sooner than our own, never later.
///
/// A field that is no plain number is left aside: it can only be wrong, and our own deadline still holds.
pub fn shortened(own: Moment, received: Moment, field: Option<&[u8]>) -> Moment {
    let is_number = |text: &&[u8]| {
        !text.is_empty() && text.len() <= DIGITS_MAX && text.iter().all(|byte| byte.is_ascii_digit())
    };
    match field.filter(is_number) {
        Some(digits) => {
            let ms = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            own.min(received + Duration::from_millis(ms))
        }
        None => own,
    }
}

/// What to tell the next hop: whole milliseconds until `deadline`, rounded down, so that it gives up before we do.
pub fn left_ms(deadline: Moment, now: Moment) -> u64 {
    u64::try_from(now.until(deadline).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: Moment = Moment::from_nanos(5_000_000_000);

    #[test]
    fn a_caller_can_only_shorten_a_deadline() {
        let own = RECEIVED + Duration::from_secs(15);
        let check = |field: &str, expected_ms: u64| {
            let deadline = shortened(own, RECEIVED, Some(field.as_bytes()));
            assert_eq!(left_ms(deadline, RECEIVED), expected_ms, "{field:?}");
        };
        check("0", 0);
        check("1500", 1500);
        check("15000", 15_000);
        check("9999999999", 15_000);
        for nonsense in ["", "-1", "1.5", "1s", "99999999999", " 5", "\u{ff11}"] {
            check(nonsense, 15_000);
        }
        assert_eq!(shortened(own, RECEIVED, None), own);
    }

    #[test]
    fn what_is_left_never_goes_below_nothing() {
        assert_eq!(left_ms(RECEIVED, RECEIVED + Duration::from_secs(1)), 0);
        assert_eq!(left_ms(RECEIVED + Duration::from_micros(1999), RECEIVED), 1);
    }
}
