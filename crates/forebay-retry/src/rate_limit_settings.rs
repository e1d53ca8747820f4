//! What `rate_limit` on a route says: how many requests, and of whom. Counts nothing.

use std::fmt;

use forebay_config::{Node, Problem, Rate, Reader, Settings, Shape, Spanned, Value, is_token};

use crate::callers::CALLERS_MAX;
use crate::gcra::Gcra;

/// How many requests a route takes. A rate alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "rate")]
pub struct RateLimitSettings {
    /// On average; what comes beyond is answered with 429.
    #[setting(example = "100/s", max = "1000000/s")]
    pub rate: Rate,
    /// At once, from who has not come for a while; as many as the number in `rate` if left out.
    #[setting(min = 1, max = 1_000_000, example = 20)]
    pub burst: Option<u32>,
    /// What is counted by itself: each client's `address` (of IPv6 its /64), each authenticated `subject`, each value of
    /// `header:NAME`, or the whole `route`.
    #[setting(default = "address")]
    pub by: Spanned<CountedBy>,
}

/// What is counted by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// Each client's address, without its port; of IPv6 the network that one customer has.
    Address,
    /// Each authenticated caller.
    Subject,
    /// Each value of this field (lowercase).
    Header(Box<str>),
    /// All requests together.
    Route,
}

/// A route's limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// On average.
    pub rate: Rate,
    /// At once.
    pub burst: u32,
    /// Of whom.
    pub by: CountedBy,
}

impl RateLimitSettings {
    /// The limit they come to.
    pub fn limit(&self) -> RateLimit {
        RateLimit { rate: self.rate, burst: self.burst.unwrap_or(self.rate.count), by: self.by.value.clone() }
    }
}

impl RateLimit {
    /// How it is counted.
    pub fn gcra(&self) -> Gcra {
        Gcra::new(self.rate, self.burst)
    }

    /// How many are told apart.
    pub fn callers_max(&self) -> usize {
        if self.by == CountedBy::Route { 1 } else { CALLERS_MAX }
    }
}

/// As a person says it: `100/s, 20 at once, by address`.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} at once, by {}", self.rate, self.burst, self.by)
    }
}

impl fmt::Display for CountedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CountedBy::Address => f.write_str("address"),
            CountedBy::Subject => f.write_str("subject"),
            CountedBy::Header(name) => write!(f, "header:{name}"),
            CountedBy::Route => f.write_str("route"),
        }
    }
}

impl Value for CountedBy {
    const SHAPE: Shape = Shape::text("`address`, `subject`, `header:NAME` or `route`", "\"address\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<CountedBy> {
        reader.text(node, &Self::SHAPE, |text| match text {
            "address" => Ok(CountedBy::Address),
            "subject" => Ok(CountedBy::Subject),
            "route" => Ok(CountedBy::Route),
            other => {
                let name = other.strip_prefix("header:").filter(|name| is_token(name));
                name.map(|name| CountedBy::Header(name.to_ascii_lowercase().into())).ok_or_else(|| {
                    Problem::new("says nothing that can be counted by")
                        .help("write \"address\", \"subject\", \"header:X-Tenant\" or \"route\"")
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use forebay_config::{Inputs, check_declarations, load};

    use super::*;

    /// A route's table without the rest.
    #[derive(Debug, Settings)]
    struct Route {
        /// Its limit.
        rate_limit: Option<RateLimitSettings>,
    }

    fn read(text: &str) -> Result<Option<RateLimit>, String> {
        let file = |_: &std::path::Path| Ok(text.as_bytes().to_vec());
        let inputs = Inputs { file: Some("forebay.toml".into()), files: &file, ..Inputs::default() };
        let loaded = load::<Route>(inputs).map_err(|found| found.to_string())?;
        Ok(loaded.value.rate_limit.map(|settings| settings.limit()))
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let limit = read(text).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(limit.map(|limit| limit.to_string()).as_deref(), Some(expected));
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let found = read(text).expect_err(text);
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn a_rate_alone_is_by_address_and_may_all_come_at_once() {
        assert_eq!(check_declarations::<Route>(), Vec::<String>::new());
        assert_eq!(read(""), Ok(None));
        check("rate_limit = '100/s'", "100/s, 100 at once, by address");
        check("rate_limit = { rate = '30/m' }", "30/m, 30 at once, by address");
        check(
            "[rate_limit]\nrate = '10/d'\nburst = 1\nby = 'header:X-Tenant'",
            "10/d, 1 at once, by header:x-tenant",
        );
        check("rate_limit = { rate = '1000000/s', by = 'route' }", "1000000/s, 1000000 at once, by route");
    }

    #[test]
    fn what_makes_no_limit_is_refused() {
        check_refused("rate_limit = 100", "error: `rate_limit` is");
        check_refused("rate_limit = { burst = 5 }", "error: `rate`");
        check_refused("rate_limit = '2000000/s'", "error: ");
        check_refused("rate_limit = { rate = '1/s', burst = 0 }", "error: ");
        for by in ["ip", "header:", "header:x y", ""] {
            check_refused(
                &format!("rate_limit = {{ rate = '1/s', by = '{by}' }}"),
                "error: `by` is `address`, `subject`",
            );
        }
    }
}
