//! Explains a browser's recording (HTTP Archive 1.2, as "Save all as HAR" writes it). Bounded in bytes and entries;
//! shows no values of headers.

use serde_json::Value;
use thiserror::Error;

use super::Inquiry;
use super::call::{Answer, Call, Credentials, Sent, origin_of};
use super::report::Report;
use super::url::Url;
use crate::names;

/// Recordings with bodies grow; this much still fits in memory many times over.
pub const HAR_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Requests that are looked at.
const ENTRIES_MAX: usize = 10_000;
/// Headers that browsers add though scripts might; asked-for permission tells which they were.
const USUALLY_THE_BROWSERS: [&str; 9] = [
    "cache-control",
    "if-modified-since",
    "if-none-match",
    "pragma",
    "priority",
    "save-data",
    "upgrade-insecure-requests",
    "user-agent",
    "accept-language",
];

/// Why a recording cannot be explained.
#[derive(Debug, Error)]
pub enum HarError {
    /// Larger than [`HAR_BYTES_MAX`].
    #[error("recording is larger than {HAR_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON.
    #[error("recording is not JSON")]
    Json(#[from] serde_json::Error),
    /// No `log.entries`.
    #[error("recording has no log.entries")]
    NoEntries,
}

/// One call of the recording to another origin.
#[derive(Clone, Debug)]
pub enum Told {
    /// Explained.
    Report(Box<Report>),
    /// The recording lacks the answer to this: the browser remembered a preflight, or recording began too late.
    Unanswered(Call, Sent),
}

#[derive(Debug)]
struct Entry {
    method: String,
    url: String,
    request: Vec<(String, String)>,
    answer: Answer,
}

/// Explains every call of the recording to another origin, in order. Recordings leave cookies out, so `credentials` has
/// to be told where it is not [`Credentials::SameOrigin`], except for requests that show some.
///
/// # Errors
/// When it is no recording.
pub fn explain(text: &str, credentials: Credentials) -> Result<Vec<Told>, HarError> {
    if text.len() > HAR_BYTES_MAX {
        return Err(HarError::TooLarge);
    }
    let recording: Value = serde_json::from_str(text)?;
    let entries = recording["log"]["entries"].as_array().ok_or(HarError::NoEntries)?;
    let entries: Vec<Entry> = entries.iter().take(ENTRIES_MAX).filter_map(entry).collect();
    let mut told = Vec::new();
    for (at, made) in entries.iter().enumerate() {
        let Some(call) = call_of(made, &entries[..at], credentials) else { continue };
        // Preflights stand before or after what they are for, depending on the browser.
        let near = |sent: &Sent| {
            let same = |entry: &&Entry| entry.is_for(sent);
            let found = if sent.is_preflight { entries.iter().rfind(same) } else { Some(made).filter(same) };
            found.or_else(|| entries.iter().find(same)).map(|entry| entry.answer.clone())
        };
        told.push(match Inquiry::new(call.clone()).run(near) {
            Ok(report) => Told::Report(Box::new(report)),
            Err(sent) => Told::Unanswered(call, sent),
        });
    }
    Ok(told)
}

impl Entry {
    fn header(&self, name: &str) -> Option<&str> {
        self.request.iter().find(|(had, _)| had == name).map(|(_, value)| &**value)
    }

    fn is_preflight(&self) -> bool {
        self.method == "OPTIONS" && self.header("access-control-request-method").is_some()
    }

    fn is_for(&self, sent: &Sent) -> bool {
        let asked = |name: &str| sent.headers.iter().find(|(had, _)| had == name).map(|(_, value)| &**value);
        let same_ask = !sent.is_preflight
            || self.header("access-control-request-method") == asked("access-control-request-method");
        // A blocked answer is recorded with status 0.
        self.answer.status != 0
            && self.is_preflight() == sent.is_preflight
            && self.method == sent.method
            && self.url == sent.url
            && same_ask
    }
}

fn call_of(made: &Entry, before: &[Entry], credentials: Credentials) -> Option<Call> {
    let origin = made.header("origin")?;
    if made.is_preflight() || origin_of(&made.url)? == origin {
        return None;
    }
    // The target of a redirect belongs to the call that was redirected.
    let leads_here = |entry: &Entry| {
        let location = entry.answer.get("location");
        let from = Url::parse(&entry.url);
        let leads = |location: &String| from.as_ref().and_then(|from| from.join(location));
        (300..400).contains(&entry.answer.status)
            && location.as_ref().and_then(leads).is_some_and(|next| next.to_string() == made.url)
    };
    if before.iter().any(leads_here) {
        return None;
    }
    let mut call = Call::new(origin, &made.url).ok()?.method(&made.method).ok()?;
    let preflight = before.iter().rfind(|entry| entry.is_preflight() && entry.url == made.url);
    let asked =
        preflight.and_then(|entry| entry.header("access-control-request-headers")).unwrap_or_default();
    let was_asked = |name: &str| asked.split(',').any(|asked| asked.trim() == name);
    let scripts = |(name, _): &&(String, String)| {
        let usual = USUALLY_THE_BROWSERS.contains(&&**name) && !was_asked(name);
        !usual && !name.starts_with(':') && !names::is_forbidden_header(name)
    };
    call.headers = made.request.iter().filter(scripts).cloned().collect();
    let shows = made.header("cookie").is_some();
    call.credentials = if shows { Credentials::Include } else { credentials };
    Some(call)
}

fn entry(entry: &Value) -> Option<Entry> {
    let (request, response) = (&entry["request"], &entry["response"]);
    let headers = |headers: &Value, lower: bool| -> Vec<(String, String)> {
        let list = headers.as_array().map(Vec::as_slice).unwrap_or_default();
        let pair = |header: &Value| {
            let name = header["name"].as_str()?;
            let name = if lower { name.to_ascii_lowercase() } else { name.to_owned() };
            Some((name, header["value"].as_str()?.to_owned()))
        };
        list.iter().filter_map(pair).collect()
    };
    Some(Entry {
        method: request["method"].as_str()?.to_owned(),
        url: request["url"].as_str()?.split('#').next()?.to_owned(),
        request: headers(&request["headers"], true),
        answer: Answer {
            status: response["status"].as_u64().and_then(|status| u16::try_from(status).ok())?,
            headers: headers(&response["headers"], false),
        },
    })
}
