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
    /// Letter case of a range's unit.
    RangeCase,
    /// The same header set twice.
    RepeatedHeader,
    /// How long a preflight is remembered.
    MaxAge,
}

impl Departure {
    /// All of them.
    pub const ALL: [Departure; 5] = [
        Departure::AuthorizationWildcard,
        Departure::ClientHint,
        Departure::RangeCase,
        Departure::RepeatedHeader,
        Departure::MaxAge,
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
            Departure::RangeCase => {
                "Chromium takes `bytes` of a range in any letter case; the standard in lower case only"
            }
            Departure::RepeatedHeader => {
                "Chromium joins headers of one name before it measures them; the standard measures each"
            }
            Departure::MaxAge => {
                "Chromium remembers a preflight for two hours at most; the standard leaves the limit open"
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
