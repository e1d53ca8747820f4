//! The checks that a browser makes on an answer, and the names of their failures. Those in `CorsError` of Chromium
//! (`services/network/public/mojom/cors.mojom`) keep their names.

use std::fmt;

use super::call::{Answer, Credentials};
use super::departure::{Departure, Rules};
use super::url::Url;
use crate::names::{self, SAFELISTED_METHODS};

/// Why a browser blocks a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// Another origin, in mode `same-origin`.
    DisallowedByMode,
    /// A URL that is neither `http` nor `https`.
    CorsDisabledScheme,
    /// `Access-Control-Allow-Origin: *` for a call with credentials.
    WildcardOriginNotAllowed,
    /// No `Access-Control-Allow-Origin`.
    MissingAllowOriginHeader,
    /// Several values, or one with a space or comma.
    MultipleAllowOriginValues,
    /// A value that is no origin.
    InvalidAllowOriginValue,
    /// Another origin.
    AllowOriginMismatch,
    /// `Access-Control-Allow-Credentials` is not `true`.
    InvalidAllowCredentials,
    /// A preflight's status is not 2xx.
    PreflightInvalidStatus,
    /// A preflight is redirected.
    PreflightDisallowedRedirect,
    /// As above, of a preflight.
    PreflightWildcardOriginNotAllowed,
    /// As above, of a preflight.
    PreflightMissingAllowOriginHeader,
    /// As above, of a preflight.
    PreflightMultipleAllowOriginValues,
    /// As above, of a preflight.
    PreflightInvalidAllowOriginValue,
    /// As above, of a preflight.
    PreflightAllowOriginMismatch,
    /// As above, of a preflight.
    PreflightInvalidAllowCredentials,
    /// `Access-Control-Allow-Methods` is no list of methods.
    InvalidAllowMethodsPreflightResponse,
    /// `Access-Control-Allow-Headers` is no list of names.
    InvalidAllowHeadersPreflightResponse,
    /// The method is not listed.
    MethodDisallowedByPreflightResponse,
    /// A header is not listed.
    HeaderDisallowedByPreflightResponse,
    /// A redirect leads to a URL with a user in it.
    RedirectContainsCredentials,
    /// The script may not use this method at all; a `TypeError`, not one of Chromium's names.
    ForbiddenMethod,
    /// Mode `no-cors` knows GET, HEAD and POST alone; a `TypeError`, not one of Chromium's names.
    NoCorsMethod,
    /// More than twenty redirects; `ERR_TOO_MANY_REDIRECTS`.
    TooManyRedirects,
    /// The answer redirects to what is no URL, or to one that nobody follows; `ERR_INVALID_REDIRECT`,
    /// `ERR_UNSAFE_REDIRECT` or `ERR_UNKNOWN_URL_SCHEME`.
    InvalidRedirect,
}

impl Block {
    /// The name as a fixed text.
    pub const fn name(self) -> &'static str {
        match self {
            Block::DisallowedByMode => "DisallowedByMode",
            Block::CorsDisabledScheme => "CorsDisabledScheme",
            Block::WildcardOriginNotAllowed => "WildcardOriginNotAllowed",
            Block::MissingAllowOriginHeader => "MissingAllowOriginHeader",
            Block::MultipleAllowOriginValues => "MultipleAllowOriginValues",
            Block::InvalidAllowOriginValue => "InvalidAllowOriginValue",
            Block::AllowOriginMismatch => "AllowOriginMismatch",
            Block::InvalidAllowCredentials => "InvalidAllowCredentials",
            Block::PreflightInvalidStatus => "PreflightInvalidStatus",
            Block::PreflightDisallowedRedirect => "PreflightDisallowedRedirect",
            Block::PreflightWildcardOriginNotAllowed => "PreflightWildcardOriginNotAllowed",
            Block::PreflightMissingAllowOriginHeader => "PreflightMissingAllowOriginHeader",
            Block::PreflightMultipleAllowOriginValues => "PreflightMultipleAllowOriginValues",
            Block::PreflightInvalidAllowOriginValue => "PreflightInvalidAllowOriginValue",
            Block::PreflightAllowOriginMismatch => "PreflightAllowOriginMismatch",
            Block::PreflightInvalidAllowCredentials => "PreflightInvalidAllowCredentials",
            Block::InvalidAllowMethodsPreflightResponse => "InvalidAllowMethodsPreflightResponse",
            Block::InvalidAllowHeadersPreflightResponse => "InvalidAllowHeadersPreflightResponse",
            Block::MethodDisallowedByPreflightResponse => "MethodDisallowedByPreflightResponse",
            Block::HeaderDisallowedByPreflightResponse => "HeaderDisallowedByPreflightResponse",
            Block::RedirectContainsCredentials => "RedirectContainsCredentials",
            Block::ForbiddenMethod => "ForbiddenMethod",
            Block::NoCorsMethod => "NoCorsMethod",
            Block::TooManyRedirects => "TooManyRedirects",
            Block::InvalidRedirect => "InvalidRedirect",
        }
    }

    /// The same failure of a preflight.
    pub(super) const fn of_preflight(self) -> Block {
        match self {
            Block::WildcardOriginNotAllowed => Block::PreflightWildcardOriginNotAllowed,
            Block::MissingAllowOriginHeader => Block::PreflightMissingAllowOriginHeader,
            Block::MultipleAllowOriginValues => Block::PreflightMultipleAllowOriginValues,
            Block::InvalidAllowOriginValue => Block::PreflightInvalidAllowOriginValue,
            Block::AllowOriginMismatch => Block::PreflightAllowOriginMismatch,
            Block::InvalidAllowCredentials => Block::PreflightInvalidAllowCredentials,
            other => other,
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A failed check: its name, what it is about (a header's name, a value), and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) block: Block,
    pub(super) detail: String,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(block: Block, detail: impl Into<String>, text: impl Into<String>) -> Failure {
        Failure { block, detail: detail.into(), text: text.into() }
    }
}

/// The first half of the CORS check (Fetch, "CORS check"): who may read.
pub(super) fn check_origin(origin: &str, credentials: Credentials, answer: &Answer) -> Result<(), Failure> {
    let include = credentials == Credentials::Include;
    let Some(value) = answer.get("access-control-allow-origin") else {
        let text = "the answer has no Access-Control-Allow-Origin";
        return Err(Failure::new(Block::MissingAllowOriginHeader, "", text));
    };
    if value == "*" && !include || value == origin {
        return Ok(());
    }
    let text = format!("Access-Control-Allow-Origin is \"{value}\"");
    let (block, why) = if value == "*" {
        (Block::WildcardOriginNotAllowed, ", which never goes with credentials")
    } else if value.contains([' ', ',']) {
        (Block::MultipleAllowOriginValues, ", and only one value is allowed")
    } else if value != "null" && Url::parse(&value).is_none() {
        (Block::InvalidAllowOriginValue, ", which is no origin")
    } else {
        (Block::AllowOriginMismatch, ", another origin")
    };
    Err(Failure::new(block, value, text + why))
}

/// The second half: whether credentials may go along.
pub(super) fn check_credentials(answer: &Answer) -> Result<(), Failure> {
    match answer.get("access-control-allow-credentials").as_deref() {
        Some("true") => Ok(()),
        Some(other) => {
            let text = format!("Access-Control-Allow-Credentials is \"{other}\", not \"true\"");
            Err(Failure::new(Block::InvalidAllowCredentials, other, text))
        }
        None => {
            let text = "the answer has no Access-Control-Allow-Credentials";
            Err(Failure::new(Block::InvalidAllowCredentials, "", text))
        }
    }
}

pub(super) fn check_status(answer: &Answer) -> Result<(), Failure> {
    match answer.status {
        200..=299 => Ok(()),
        status => {
            let text = format!("the preflight was answered with {status}, and only 2xx is a permission");
            Err(Failure::new(Block::PreflightInvalidStatus, status.to_string(), text))
        }
    }
}

/// Fetch, "extract header list values", for lists of tokens.
pub(super) fn tokens(answer: &Answer, name: &str) -> Result<Vec<String>, String> {
    let Some(value) = answer.get(name) else { return Ok(Vec::new()) };
    let elements = value.split(',').map(|element| element.trim_matches([' ', '\t']));
    let tokens: Vec<String> = elements.filter(|element| !element.is_empty()).map(Into::into).collect();
    match tokens.iter().find(|token| !names::is_token(token.as_bytes())) {
        Some(odd) => Err(odd.clone()),
        None => Ok(tokens),
    }
}

pub(super) fn check_method(method: &str, credentials: Credentials, answer: &Answer) -> Result<(), Failure> {
    let name = "Access-Control-Allow-Methods";
    let allowed = tokens(answer, name).map_err(|odd| {
        let text = format!("{name} has \"{odd}\", which is no method");
        Failure::new(Block::InvalidAllowMethodsPreflightResponse, odd, text)
    })?;
    let any = credentials != Credentials::Include && allowed.iter().any(|allowed| allowed == "*");
    if any || SAFELISTED_METHODS.contains(&method) || allowed.iter().any(|allowed| allowed == method) {
        return Ok(());
    }
    let near = allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(method));
    let text = match near {
        Some(near) => format!("{name} has {near}, and methods are case-sensitive: the script sends {method}"),
        None if allowed.is_empty() => {
            format!("the answer names no method in {name}, and {method} needs to be")
        }
        None => format!("{method} is not in {name}: \"{}\"", allowed.join(", ")),
    };
    Err(Failure::new(Block::MethodDisallowedByPreflightResponse, method, text))
}

/// Both lists have to be readable before either is looked at.
pub(super) fn check_lists(answer: &Answer) -> Result<(), Failure> {
    let name = "Access-Control-Allow-Methods";
    tokens(answer, name).map_err(|odd| {
        let text = format!("{name} has \"{odd}\", which is no method");
        Failure::new(Block::InvalidAllowMethodsPreflightResponse, odd, text)
    })?;
    let name = "Access-Control-Allow-Headers";
    tokens(answer, name).map(drop).map_err(|odd| {
        let text = format!("{name} has \"{odd}\", which is no header name");
        Failure::new(Block::InvalidAllowHeadersPreflightResponse, odd, text)
    })
}

pub(super) fn check_headers(
    rules: Rules,
    asked: &[String],
    credentials: Credentials,
    answer: &Answer,
    departures: &mut Vec<Departure>,
) -> Result<(), Failure> {
    let name = "Access-Control-Allow-Headers";
    let allowed = tokens(answer, name).unwrap_or_default();
    let any = credentials != Credentials::Include && allowed.iter().any(|allowed| allowed == "*");
    let is_listed = |asked: &str| allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(asked));
    let mut missing: Vec<&str> = asked.iter().map(String::as_str).filter(|asked| !is_listed(asked)).collect();
    if any {
        // Fetch, "CORS non-wildcard request-header name".
        missing.retain(|asked| *asked == "authorization");
        if !missing.is_empty() {
            Departure::note(Departure::AuthorizationWildcard, departures);
        }
        missing.retain(|_| rules == Rules::Standard);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let (are, need) = if missing.len() == 1 { ("is", "needs") } else { ("are", "need") };
    let missing = missing.join(", ");
    let shown = answer.get(name).unwrap_or_default();
    let text = match any {
        true => format!("`*` in {name} does not cover {missing}"),
        false if shown.is_empty() => format!("the answer has no {name}, and {missing} {need} to be in it"),
        false => format!("{missing} {are} not in {name}: \"{shown}\""),
    };
    Err(Failure::new(Block::HeaderDisallowedByPreflightResponse, missing, text))
}

/// How long a browser remembers a preflight: seconds (Fetch, "CORS-preflight fetch"; five when not said).
pub(super) fn max_age_s(rules: Rules, answer: &Answer, departures: &mut Vec<Departure>) -> u64 {
    /// `preflight_result.cc`.
    const CHROMIUM_MAX_S: i64 = 7200;
    let said = answer.get("access-control-max-age").and_then(|value| value.parse::<i64>().ok());
    let seconds = said.unwrap_or(5).max(0);
    if seconds > CHROMIUM_MAX_S {
        Departure::note(Departure::MaxAge, departures);
    }
    let seconds = if rules == Rules::Chromium { seconds.min(CHROMIUM_MAX_S) } else { seconds };
    seconds.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Answer { status: 204, headers }
    }

    #[track_caller]
    fn check_allowed(values: &[&str], credentials: Credentials, expected: Option<Block>) {
        let headers: Vec<_> = values.iter().map(|value| ("Access-Control-Allow-Origin", *value)).collect();
        let found = check_origin("https://shop.example", credentials, &answer(&headers));
        assert_eq!(found.err().map(|failure| failure.block), expected, "{values:?}");
    }

    #[test]
    fn allow_origin_is_one_exact_value() {
        let plain = Credentials::SameOrigin;
        check_allowed(&["https://shop.example"], plain, None);
        check_allowed(&["https://shop.example"], Credentials::Include, None);
        check_allowed(&["*"], plain, None);
        check_allowed(&["*"], Credentials::Include, Some(Block::WildcardOriginNotAllowed));
        check_allowed(&[], plain, Some(Block::MissingAllowOriginHeader));
        check_allowed(&["*", "*"], plain, Some(Block::MultipleAllowOriginValues));
        check_allowed(
            &["https://shop.example, https://b.example"],
            plain,
            Some(Block::MultipleAllowOriginValues),
        );
        check_allowed(&["null"], plain, Some(Block::AllowOriginMismatch));
        check_allowed(&["https://Shop.example"], plain, Some(Block::AllowOriginMismatch));
        check_allowed(&["https://shop.example/"], plain, Some(Block::AllowOriginMismatch));
        check_allowed(&["shop.example"], plain, Some(Block::InvalidAllowOriginValue));
        check_allowed(&["https://"], plain, Some(Block::InvalidAllowOriginValue));
        check_allowed(&[""], plain, Some(Block::InvalidAllowOriginValue));
    }

    #[test]
    fn wildcards_are_literal_with_credentials() {
        let lists = answer(&[("access-control-allow-methods", "*"), ("access-control-allow-headers", "*")]);
        let mut departures = Vec::new();
        let mut headers = |rules, name: &str, credentials| {
            check_headers(rules, &[name.to_owned()], credentials, &lists, &mut departures).is_ok()
        };
        assert!(headers(Rules::Standard, "x-cart", Credentials::Omit));
        assert!(!headers(Rules::Standard, "x-cart", Credentials::Include));
        assert!(!headers(Rules::Standard, "authorization", Credentials::Omit));
        assert!(headers(Rules::Chromium, "authorization", Credentials::Omit));
        assert_eq!(departures, [Departure::AuthorizationWildcard]);
        assert!(check_method("PUT", Credentials::Omit, &lists).is_ok());
        assert!(check_method("PUT", Credentials::Include, &lists).is_err());
        assert!(check_method("POST", Credentials::Include, &answer(&[])).is_ok());
    }

    #[test]
    fn chromium_forgets_after_two_hours() {
        let age = |rules, value: &str| {
            max_age_s(rules, &answer(&[("Access-Control-Max-Age", value)]), &mut Vec::new())
        };
        assert_eq!(age(Rules::Chromium, "86400"), 7200);
        assert_eq!(age(Rules::Standard, "86400"), 86400);
        assert_eq!(age(Rules::Chromium, "1h"), 5);
        assert_eq!(age(Rules::Chromium, "-1"), 0);
    }
}
