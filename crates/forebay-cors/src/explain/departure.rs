//! Where Chromium departs from the Fetch standard. Both verdicts are given wherever one of these matters.

use std::fmt;

/// Whose rules are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The Fetch standard's (<https://fetch.spec.whatwg.org/>).
    Standard,
    /// Chromium's, which Chrome, Edge, Opera and Brave share.
    Chromium,
}

/// One place where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// `*` in `Access-Control-Allow-Headers`.
    AuthorizationWildcard,
    /// Client hints set by a script.
    ClientHint,
    /// Letter case of a range's unit, and its largest position.
    Range,
    /// The same header set twice.
    RepeatedHeader,
    /// How long a preflight is remembered.
    MaxAge,
    /// `Location` without a value.
    EmptyLocation,
    /// Client hints on the way to another origin.
    RedirectedHint,
    /// `User-Agent` set by a script.
    UserAgent,
    /// A redirect to a URL with a user, in mode `no-cors` or without leaving the page's origin.
    RedirectedUser,
}

impl Departure {
    /// All of them.
    pub const ALL: [Departure; 9] = [
        Departure::AuthorizationWildcard,
        Departure::ClientHint,
        Departure::Range,
        Departure::RepeatedHeader,
        Departure::MaxAge,
        Departure::EmptyLocation,
        Departure::RedirectedHint,
        Departure::UserAgent,
        Departure::RedirectedUser,
    ];

    /// What Chromium does, and what the standard says.
    pub const fn text(self) -> &'static str {
        match self {
            Departure::AuthorizationWildcard => {
                "Chromium lets `*` in Access-Control-Allow-Headers cover authorization; the standard does not"
            }
            Departure::ClientHint => {
                "Chromium asks no permission for client hints such as save-data and dpr; the standard does"
            }
            Departure::Range => {
                "Chromium takes `bytes` of a range in any letter case and positions below 2^63; the standard takes lower \
                 case and any position"
            }
            Departure::RepeatedHeader => {
                "Chromium joins headers of one name before it measures them; the standard measures each"
            }
            Departure::MaxAge => {
                "Chromium remembers a preflight for two hours at most; the standard leaves the limit open"
            }
            Departure::EmptyLocation => {
                "Chromium takes an empty Location for none; the standard follows it back to where it came from"
            }
            Departure::RedirectedHint => {
                "Chromium drops client hints when it is redirected to any origin but the page's; the standard keeps them"
            }
            Departure::RedirectedUser => {
                "fetch() in Chromium follows no redirect to a URL with a user in it; the standard does in mode no-cors and \
                 within the page's origin, as does XMLHttpRequest"
            }
            Departure::UserAgent => {
                "Chromium drops user-agent; the standard lets scripts set it, with permission"
            }
        }
    }

    pub(super) fn note(departure: Departure, departures: &mut Vec<Departure>) {
        if !departures.contains(&departure) {
            departures.push(departure);
        }
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
