//! Dates as text: IMF-fixdate for HTTP, RFC 3339 for logs. UTC only, formats only; nothing here reads a
//! clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// The last second that four digits of year can write: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

const WEEKDAYS: &[u8; 21] = b"MonTueWedThuFriSatSun";
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// A date for HTTP's `Date` and its kin, as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7). Callers keep
/// it for a second. Times before 1970 or after 9999 become the nearest that can be written.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let date = forebay_telemetry::date::imf_fixdate(UNIX_EPOCH + Duration::from_secs(784_111_777));
/// assert_eq!(&date, b"Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
pub fn imf_fixdate(time: SystemTime) -> [u8; 29] {
    let utc = Utc::of(time);
    let mut text = *b"Mon, 00 Jan 0000 00:00:00 GMT";
    text[0..3].copy_from_slice(&WEEKDAYS[3 * utc.days_after_monday..][..3]);
    put(&mut text[5..7], utc.day);
    text[8..11].copy_from_slice(&MONTHS[3 * (utc.month as usize - 1)..][..3]);
    put(&mut text[12..16], utc.year);
    put(&mut text[17..19], utc.hour);
    put(&mut text[20..22], utc.minute);
    put(&mut text[23..25], utc.second);
    text
}

/// A time for logs, to the millisecond, as `1994-11-06T08:49:37.000Z` (RFC 3339). Times before 1970 or after
/// 9999 become the nearest that can be written.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let time = forebay_telemetry::date::rfc3339(UNIX_EPOCH + Duration::from_millis(784_111_777_250));
/// assert_eq!(&time, b"1994-11-06T08:49:37.250Z");
/// ```
pub fn rfc3339(time: SystemTime) -> [u8; 24] {
    let utc = Utc::of(time);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], utc.year);
    put(&mut text[5..7], utc.month);
    put(&mut text[8..10], utc.day);
    put(&mut text[11..13], utc.hour);
    put(&mut text[14..16], utc.minute);
    put(&mut text[17..19], utc.second);
    put(&mut text[20..23], utc.millisecond);
    text
}

/// A moment in the proleptic Gregorian calendar.
struct Utc {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millisecond: u64,
    days_after_monday: usize,
}

impl Utc {
    fn of(time: SystemTime) -> Utc {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let past_the_end = since_epoch.as_secs() > LAST_SECOND;
        let seconds = since_epoch.as_secs().min(LAST_SECOND);
        let days = seconds / SECONDS_PER_DAY;
        let (year, month, day) = civil_date(days);
        Utc {
            year,
            month,
            day,
            hour: seconds / 3600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            millisecond: if past_the_end { 999 } else { since_epoch.subsec_millis().into() },
            // 1970-01-01 was a Thursday.
            days_after_monday: ((days + 3) % 7) as usize,
        }
    }
}

/// Year, month and day from the days since 1970-01-01.
///
/// Years are counted from March, so that the leap day ends a year and the month lengths before it repeat in a
/// pattern of 153 days per five months (the method of Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms").
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_400_YEARS: u64 = 146_097;
    // 0000-03-01, the start of a cycle of 400 years, is 719,468 days before 1970-01-01.
    let days = days + 719_468;
    let (cycle, day_of_cycle) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    // Take out the leap days: one every 1,461 days, but not every 36,524, but every 146,097.
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let months_after_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_after_march + 2) / 5 + 1;
    let month = if months_after_march < 10 { months_after_march + 3 } else { months_after_march - 9 };
    let year = 400 * cycle + year_of_cycle + u64::from(month <= 2);
    (year, month, day)
}

/// Writes `number` in decimal over the whole of `digits`.
fn put(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days_in_month(year: u64, month: u64) -> u64 {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    #[test]
    fn every_day_from_1970_to_9999_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..=LAST_SECOND / SECONDS_PER_DAY {
            assert_eq!(civil_date(days), (year, month, day), "day {days}");
            day += 1;
            if day > days_in_month(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
    }

    #[test]
    fn known_times_are_written_as_the_standards_write_them() {
        let check = |seconds: u64, fixdate: &str, rfc: &str| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(str::from_utf8(&imf_fixdate(time)), Ok(fixdate));
            assert_eq!(str::from_utf8(&rfc3339(time)), Ok(rfc));
        };
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z");
        check(951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT", "2000-02-28T23:59:59.000Z");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000Z");
        check(1_795_409_132, "Mon, 23 Nov 2026 04:45:32 GMT", "2026-11-23T04:45:32.000Z");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.000Z");
        check(LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.000Z");
    }

    #[test]
    fn times_that_cannot_be_written_become_the_nearest() {
        assert_eq!(&rfc3339(UNIX_EPOCH - Duration::from_secs(1)), b"1970-01-01T00:00:00.000Z");
        assert_eq!(&rfc3339(UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1)), b"9999-12-31T23:59:59.999Z");
    }
}
