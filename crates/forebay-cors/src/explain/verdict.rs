//! What a browser makes of a call, as values: what it looked at, why it blocks, what a script gets to see.

use super::checks::Block;
use super::departure::Departure;
use super::safelist::Cause;

/// Response headers that a script may always read (Fetch, "CORS-safelisted response-header name").
pub(super) const READABLE: [&str; 7] = [
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
];

/// What one browser makes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is blocked, if it is, and what about: a header's name, a value.
    pub blocked: Option<(Block, String)>,
    /// Why permission is asked for; empty when it is not.
    pub causes: Vec<Cause>,
    /// What was looked at, in order, up to the first failure.
    pub steps: Vec<Step>,
    /// What the script gets to see.
    pub reads: Reads,
    /// Headers that the browser does not let a script set, and drops.
    pub dropped: Vec<String>,
    pub(super) departures: Vec<Departure>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about.
    pub aspect: Aspect,
    /// Whether it is a preflight's.
    pub is_preflight: bool,
    /// Whether it passed.
    pub passed: bool,
    /// What was seen.
    pub text: String,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Whether the call can be made at all.
    Call,
    /// Who may read.
    Origin,
    /// Whether cookies and the like may go along.
    Credentials,
    /// A preflight's status.
    Status,
    /// The method.
    Method,
    /// The request's headers.
    Headers,
    /// How long the permission is remembered.
    MaxAge,
    /// Where the response leads.
    Redirect,
}

impl Aspect {
    /// As a fixed text.
    pub const fn text(self) -> &'static str {
        match self {
            Aspect::Call => "call",
            Aspect::Origin => "origin",
            Aspect::Credentials => "credentials",
            Aspect::Status => "status",
            Aspect::Method => "method",
            Aspect::Headers => "headers",
            Aspect::MaxAge => "max-age",
            Aspect::Redirect => "redirect",
        }
    }
}

/// What a script may read of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing: the promise is rejected.
    Nothing,
    /// Nothing: the response is opaque, and that is what `no-cors` asked for.
    Opaque,
    /// All: no other origin is involved.
    Everything,
    /// Status, body and some headers.
    Headers {
        /// Readable ones, in lower case; those of the usual seven, and what is exposed.
        readable: Vec<String>,
        /// Headers of the response that stay hidden.
        hidden: Vec<String>,
        /// Whether every header is exposed.
        all: bool,
    },
}
