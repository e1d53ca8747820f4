//! Which request headers need permission, and because of which byte (Fetch, "CORS-safelisted request-header"). Knows
//! where Chromium decides otherwise.

use std::fmt;

use super::call::bytes_of;
use super::departure::{Departure, Rules};
use crate::names;

/// Values longer than this need permission.
const VALUE_BYTES_MAX: usize = 128;
/// All safelisted values together.
const VALUES_BYTES_MAX: usize = 1024;
/// Methods, types and headers with these never need permission.
const SIMPLE_TYPES: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// Why a browser asks for permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A method other than GET, HEAD and POST.
    Method(String),
    /// A header that is not on the list.
    Header(String),
    /// A byte that such a header may not have.
    Byte {
        /// The header.
        name: String,
        /// The byte.
        byte: u8,
        /// Its place, from zero.
        at: usize,
    },
    /// A media type other than those of forms.
    ContentType(String),
    /// Anything but `bytes=from-to` or `bytes=from-`.
    Range(String),
    /// A value that is too long.
    Long {
        /// The header.
        name: String,
        /// Its bytes.
        bytes: usize,
    },
    /// Values that are too long together.
    LongTogether(usize),
    /// The call itself: a streamed body or upload progress.
    Forced,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Method(method) => write!(f, "{method} is not a simple method"),
            Cause::Header(name) => write!(f, "{name} is not a safelisted header"),
            Cause::Byte { name, byte, at } => {
                let shown =
                    if byte.is_ascii_graphic() { format!(" `{}`", *byte as char) } else { String::new() };
                write!(f, "{name} has the byte 0x{byte:02x}{shown} at position {at}")
            }
            Cause::ContentType(value) => {
                let shown = if value.is_empty() { "nothing" } else { value };
                write!(f, "content-type {shown} is not one of a form")
            }
            Cause::Range(value) => write!(f, "range {value} is not one simple range"),
            Cause::Long { name, bytes } => {
                write!(f, "{name} has {bytes} bytes, more than {VALUE_BYTES_MAX}")
            }
            Cause::LongTogether(bytes) => {
                write!(f, "safelisted headers have {bytes} bytes, more than {VALUES_BYTES_MAX}")
            }
            Cause::Forced => f.write_str("the call streams its body or listens to upload progress"),
        }
    }
}

/// Names of the headers that need permission, sorted, with the reasons (Fetch, "CORS-unsafe request-header names").
pub(crate) struct Unsafe {
    pub(crate) names: Vec<String>,
    pub(crate) causes: Vec<Cause>,
}

/// Looks at the headers that a script sets; names in lower case, forbidden ones removed.
pub(crate) fn find_unsafe(
    rules: Rules,
    headers: &[(String, String)],
    departures: &mut Vec<Departure>,
) -> Unsafe {
    let joined = joined(headers);
    if joined.len() != headers.len() && judge(headers, rules) != judge(&joined, rules) {
        Departure::note(Departure::RepeatedHeader, departures);
    }
    let (names, causes) = match rules {
        Rules::Standard => judge(headers, rules),
        Rules::Chromium => judge(&joined, rules),
    };
    let differs = |(name, value): &&(String, String)| {
        cause(Rules::Standard, name, value).is_some() != cause(Rules::Chromium, name, value).is_some()
    };
    for (name, _) in headers.iter().filter(differs) {
        let departure = if name == "range" { Departure::Range } else { Departure::ClientHint };
        Departure::note(departure, departures);
    }
    Unsafe { names, causes }
}

fn judge(headers: &[(String, String)], rules: Rules) -> (Vec<String>, Vec<Cause>) {
    let mut names = Vec::new();
    let mut causes = Vec::new();
    let mut safe = Vec::new();
    let mut bytes = 0;
    for (name, value) in headers {
        match cause(rules, name, value) {
            Some(cause) => {
                names.push(name.clone());
                causes.push(cause);
            }
            None => {
                safe.push(name.clone());
                bytes += value.chars().count();
            }
        }
    }
    if bytes > VALUES_BYTES_MAX {
        names.append(&mut safe);
        causes.push(Cause::LongTogether(bytes));
    }
    names.sort();
    names.dedup();
    (names, causes)
}

/// Chromium joins headers of one name before it looks.
fn joined(headers: &[(String, String)]) -> Vec<(String, String)> {
    let mut joined: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        match joined.iter_mut().find(|(had, _)| had == name) {
            Some((_, had)) => *had = format!("{had}, {value}"),
            None => joined.push((name.clone(), value.clone())),
        }
    }
    joined
}

fn cause(rules: Rules, name: &str, value: &str) -> Option<Cause> {
    let named = || name.to_owned();
    let bytes = bytes_of(value);
    let first = |bad: fn(u8) -> bool| {
        let at = bytes.iter().position(|&byte| bad(byte))?;
        Some(Cause::Byte { name: named(), byte: bytes[at], at })
    };
    let known = matches!(name, "accept" | "accept-language" | "content-language" | "content-type" | "range")
        || (rules == Rules::Chromium && is_safe_hint(name, value));
    if !known {
        return Some(Cause::Header(named()));
    }
    if bytes.len() > VALUE_BYTES_MAX {
        return Some(Cause::Long { name: named(), bytes: bytes.len() });
    }
    match name {
        "accept" => first(is_unsafe_byte),
        "accept-language" | "content-language" => first(|byte| !is_language_byte(byte)),
        "content-type" => first(is_unsafe_byte).or_else(|| {
            let essence = essence(value);
            let simple = essence.as_deref().is_some_and(|essence| SIMPLE_TYPES.contains(&essence));
            (!simple).then(|| Cause::ContentType(essence.unwrap_or_else(|| value.to_owned())))
        }),
        "range" => (!is_simple_range(rules, value)).then(|| Cause::Range(value.to_owned())),
        _ => None,
    }
}

/// Fetch, "CORS-unsafe request-header byte".
fn is_unsafe_byte(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || b"\"():<>?@[\\]{}\x7f".contains(&byte)
}

fn is_language_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" *,-.;=".contains(&byte)
}

/// Type and subtype in lower case (MIME Sniffing, "parse a MIME type").
fn essence(value: &str) -> Option<String> {
    let (kind, rest) = value.trim_matches([' ', '\t', '\r', '\n']).split_once('/')?;
    let subtype = rest.split(';').next().unwrap_or(rest).trim_end_matches([' ', '\t', '\r', '\n']);
    (names::is_token(kind.as_bytes()) && names::is_token(subtype.as_bytes()))
        .then(|| format!("{kind}/{subtype}").to_ascii_lowercase())
}

/// Fetch, "simple range header value".
fn is_simple_range(rules: Rules, value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let text = if rules == Rules::Chromium { lower.as_str() } else { value };
    let Some((from, to)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if from.is_empty() || !digits(from) || !digits(to) {
        return false;
    }
    // The standard knows no largest number.
    let number = |text: &str| (text.trim_start_matches('0').len(), text.trim_start_matches('0').to_owned());
    let fits = |text: &str| rules == Rules::Standard || text.is_empty() || text.parse::<i64>().is_ok();
    fits(from) && fits(to) && (to.is_empty() || number(from) <= number(to))
}

/// Headers that Chromium adds itself where a server asks for them.
pub(super) fn is_hint(name: &str) -> bool {
    let known = ["device-memory", "downlink", "dpr", "ect", "rtt", "viewport-width", "width"];
    known.contains(&name)
}

/// Those, and one more, that it therefore lets scripts set.
fn is_safe_hint(name: &str, value: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name {
        "dpr" | "device-memory" | "downlink" => match value.split_once('.') {
            Some((whole, fraction)) => digits(whole) && digits(fraction),
            None => digits(value),
        },
        "width" | "viewport-width" | "rtt" => digits(value),
        "ect" => matches!(value, "slow-2g" | "2g" | "3g" | "4g"),
        "save-data" => value.eq_ignore_ascii_case("on"),
        "intervention" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str, expected: Option<&str>) {
        let found = cause(Rules::Standard, name, value).map(|cause| cause.to_string());
        assert_eq!(found.as_deref(), expected, "{name}: {value}");
    }

    #[test]
    fn the_standards_bytes_are_counted() {
        check("accept", "application/json, */*;q=0.1", None);
        check("accept", "a(b", Some("accept has the byte 0x28 `(` at position 1"));
        check("accept", "a\tb", None);
        check("accept", "a\u{1}b", Some("accept has the byte 0x01 at position 1"));
        check("accept-language", "de-CH, de;q=0.9, *;q=0.5", None);
        check("accept-language", "de_CH", Some("accept-language has the byte 0x5f `_` at position 2"));
        check("content-language", "en", None);
        check("accept", &"a".repeat(128), None);
        check("accept", &"a".repeat(129), Some("accept has 129 bytes, more than 128"));
    }

    #[test]
    fn types_of_forms_need_no_permission() {
        check("content-type", "text/plain", None);
        check("content-type", "Text/Plain; charset=utf-8", None);
        check("content-type", "multipart/form-data; boundary=x", None);
        check("content-type", "application/x-www-form-urlencoded ;a", None);
        let json = "content-type application/json is not one of a form";
        check("content-type", "application/json", Some(json));
        check("content-type", "application/json; charset=utf-8", Some(json));
        check(
            "content-type",
            "text/plain, application/json",
            Some("content-type text/plain, application/json is not one of a form"),
        );
        check(
            "content-type",
            "text/plain; a=\"b\"",
            Some("content-type has the byte 0x22 `\"` at position 14"),
        );
        check("content-type", "", Some("content-type nothing is not one of a form"));
    }

    #[test]
    fn one_range_from_a_place_on_needs_no_permission() {
        check("range", "bytes=0-", None);
        check("range", "bytes=0-499", None);
        check("range", "bytes=5-4", Some("range bytes=5-4 is not one simple range"));
        check("range", "bytes=-5", Some("range bytes=-5 is not one simple range"));
        check("range", "bytes=0-1,3-4", Some("range bytes=0-1,3-4 is not one simple range"));
        check("range", "bytes = 0-", Some("range bytes = 0- is not one simple range"));
    }

    #[test]
    fn many_small_values_add_up() {
        let headers: Vec<_> = (0..9).map(|_| ("accept".to_owned(), "a".repeat(120))).collect();
        let mut departures = Vec::new();
        let found = find_unsafe(Rules::Standard, &headers, &mut departures);
        assert_eq!(found.names, ["accept"]);
        assert_eq!(found.causes, [Cause::LongTogether(1080)]);
        assert_eq!(departures, [Departure::RepeatedHeader]);
    }
}
