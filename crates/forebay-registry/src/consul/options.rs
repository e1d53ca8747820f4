//! What the query of a request asks besides its path: how long to wait, what to leave out. What we cannot do is refused,
//! never ignored: an answer that was not filtered looks like one that was.

use std::time::Duration;

use super::refused::Refused;
use crate::go_duration;
use crate::node::Node;
use crate::query::Query;

/// Without `wait`, as Consul has it.
const WAIT_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// As Consul has it; a longer `wait` is this one.
const WAIT_MAX: Duration = Duration::from_secs(10 * 60);
/// A wait is up to this part longer, so that those who began together do not come back together.
const JITTER_PART: u32 = 16;

/// The only value that Consul's larger editions and we both have.
const PLACE_DEFAULT: &str = "default";

/// The options that routes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// What the client has seen; 0 when it does not want to wait.
    pub(crate) index: u64,
    pub(crate) wait: Duration,
    pub(crate) consistency: Consistency,
    /// It takes an answer from a cache.
    pub(crate) cached: bool,
    /// Only instances all of whose checks pass.
    pub(crate) passing: bool,
    /// Only instances that have all of them.
    pub(crate) tags: Vec<String>,
    /// Only on nodes that have all of them.
    pub(crate) node_meta: Vec<(String, String)>,
    /// This node first.
    pub(crate) near: Option<String>,
    /// For a person's eyes.
    pub(crate) pretty: bool,
}

/// What the client asks of an answer's age. All three get the same here: the catalog is in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    Default,
    Stale,
    Consistent,
}

impl Consistency {
    /// As Consul spells it in `X-Consul-Effective-Consistency`.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Consistency::Default => "leader",
            Consistency::Stale => "stale",
            Consistency::Consistent => "consistent",
        }
    }
}

impl Options {
    /// Reads the query. `datacenter` is ours.
    pub(crate) fn read(query: &Query, datacenter: &str) -> Result<Options, Refused> {
        refuse_unknown_places(query, datacenter)?;
        let consistency = match (query.has("stale"), query.has("consistent")) {
            (true, true) => {
                return Err(Refused::bad("?stale and ?consistent contradict each other; give one of them"));
            }
            (true, false) => Consistency::Stale,
            (false, true) => Consistency::Consistent,
            (false, false) => Consistency::Default,
        };
        Ok(Options {
            index: index(query)?,
            wait: wait(query)?,
            consistency,
            cached: query.has("cached"),
            passing: flag(query, "passing")?,
            tags: query.all("tag").map(str::to_owned).collect(),
            node_meta: query.all("node-meta").map(key_value).collect(),
            near: query.first("near").filter(|near| !near.is_empty()).map(str::to_owned),
            pretty: query.has("pretty"),
        })
    }

    /// How long to wait for a change.
    pub(crate) fn patience(&self, rng: &mut fastrand::Rng) -> Duration {
        self.wait + (self.wait / JITTER_PART).mul_f64(rng.f64())
    }

    /// Whether instances of this node are wanted.
    pub(crate) fn wants_node(&self, node: &Node) -> bool {
        self.node_meta
            .iter()
            .all(|(key, value)| node.meta.get(key.as_str()).is_some_and(|has| **has == **value))
    }

    /// Whether this node comes first.
    pub(crate) fn is_near(&self, node: &str, own: &str) -> bool {
        match self.near.as_deref() {
            Some("_agent") => node == own,
            Some(near) => node.eq_ignore_ascii_case(near),
            None => false,
        }
    }
}

/// Whether all these tags are there; case does not matter.
pub(crate) fn has_tags(tags: &[Box<str>], wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted)))
}

fn refuse_unknown_places(query: &Query, datacenter: &str) -> Result<(), Refused> {
    if query.first("filter").is_some_and(|filter| !filter.is_empty()) {
        let help = "?filter is not supported; use ?passing, ?tag and ?node-meta, or filter the answer";
        return Err(Refused::bad(help));
    }
    if query.has("hash") {
        return Err(Refused::bad("?hash is not supported; wait with ?index on /v1/health or /v1/catalog"));
    }
    match query.first("dc") {
        Some(other) if !other.is_empty() && !other.eq_ignore_ascii_case(datacenter) => {
            // Clients look for these words.
            return Err(Refused::new(500, "No path to datacenter"));
        }
        _ => {}
    }
    for place in ["ns", "partition"] {
        refuse_place(place, query.first(place).unwrap_or_default())?;
    }
    for place in ["peer", "sg", "sameness-group"] {
        if query.first(place).is_some_and(|named| !named.is_empty()) {
            return Err(Refused::bad(format!("?{place} is not supported: there are no peers")));
        }
    }
    if query.first("segment").is_some_and(|segment| !matches!(segment, "" | "_all")) {
        return Err(Refused::bad("?segment is not supported: there are no network segments"));
    }
    Ok(())
}

/// Consul's larger editions have several of each; here there is one, and all of them are that one.
fn refuse_place(place: &str, named: &str) -> Result<(), Refused> {
    if named.is_empty() || named == "*" || named.eq_ignore_ascii_case(PLACE_DEFAULT) {
        return Ok(());
    }
    Err(Refused::bad(format!("there is no {place} {named:?}; the only one is {PLACE_DEFAULT:?}")))
}

/// Whether the fields of the request's head name a place that is none.
pub(crate) fn refuse_places_of_head(places: &[String; 2]) -> Result<(), Refused> {
    let names = ["namespace", "partition"];
    names.iter().zip(places).try_for_each(|(place, named)| refuse_place(place, named))
}

fn index(query: &Query) -> Result<u64, Refused> {
    match query.first("index") {
        None | Some("") => Ok(0),
        Some(text) => text.parse().map_err(|_| {
            Refused::bad(format!("?index={text} is no index; send back what X-Consul-Index said"))
        }),
    }
}

fn wait(query: &Query) -> Result<Duration, Refused> {
    match query.first("wait") {
        None | Some("") => Ok(WAIT_DEFAULT),
        Some(text) => match go_duration::parse(text) {
            Ok(Duration::ZERO) => Ok(WAIT_DEFAULT),
            Ok(wait) => Ok(wait.min(WAIT_MAX)),
            Err(why) => Err(Refused::bad(format!("?wait={text} is no duration: {why}"))),
        },
    }
}

/// A boolean as Go reads it, and true without a value.
pub(crate) fn flag(query: &Query, name: &str) -> Result<bool, Refused> {
    match query.first(name) {
        None => Ok(false),
        Some("" | "1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(true),
        Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(false),
        Some(text) => Err(Refused::bad(format!("?{name}={text} is neither true nor false"))),
    }
}

fn key_value(text: &str) -> (String, String) {
    let (key, value) = text.split_once(':').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Options, (u16, String)> {
        let query = Query::parse(query).unwrap();
        Options::read(&query, "dc1").map_err(|refused| (refused.status, refused.text))
    }

    #[test]
    fn a_wait_is_bounded_and_never_without_end() {
        let wait = |query: &str| read(query).unwrap().wait.as_secs();
        assert_eq!(wait(""), 300);
        assert_eq!(wait("index=5&wait=10s"), 10);
        assert_eq!(wait("wait=0s"), 300);
        assert_eq!(wait("wait=24h"), 600);
    }

    #[test]
    fn patience_is_the_wait_and_at_most_a_sixteenth_more() {
        let options = read("index=1&wait=160s").unwrap();
        let mut rng = fastrand::Rng::with_seed(3);
        let patience: Vec<_> = (0..1000).map(|_| options.patience(&mut rng).as_millis()).collect();
        assert!(patience.iter().all(|ms| (160_000..=170_000).contains(ms)));
        assert!(patience.iter().max() > Some(&169_000) && patience.iter().min() < Some(&161_000));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        #[track_caller]
        fn check(query: &str, status: u16, text: &str) {
            let (found, said) = read(query).expect_err(query);
            assert!(found == status && said.contains(text), "{query}: {found} {said}");
        }
        check("filter=Service.Port==1", 400, "?filter is not supported");
        check("stale&consistent", 400, "contradict");
        check("dc=elsewhere", 500, "No path to datacenter");
        check("ns=team", 400, "no ns \"team\"");
        check("partition=team", 400, "no partition \"team\"");
        check("peer=other", 400, "there are no peers");
        check("sg=near", 400, "there are no peers");
        check("segment=alpha", 400, "no network segments");
        check("hash=ab", 400, "?hash is not supported");
        check("index=-1", 400, "is no index");
        check("index=a", 400, "is no index");
        check("wait=5", 400, "has no unit");
        check("passing=maybe", 400, "neither true nor false");
    }

    #[test]
    fn what_is_the_default_anyway_is_taken() {
        for query in [
            "dc=DC1&ns=default&partition=Default",
            "dc=&ns=*&filter=&segment=_all",
            "cached&stale",
            "token=abc",
            // There are no central defaults that could be merged.
            "merge-central-config",
            // As Consul takes what it does not know.
            "whatever=7",
        ] {
            assert!(read(query).is_ok(), "{query}");
        }
    }

    #[test]
    fn the_head_may_name_the_places_that_there_are_and_no_others() {
        let read = |namespace: &str, partition: &str| {
            let refused = refuse_places_of_head(&[namespace.to_owned(), partition.to_owned()]).err();
            refused.map(|refused| (refused.status, refused.text))
        };
        assert_eq!(read("", ""), None);
        assert_eq!(read("default", "*"), None);
        let text = |place: &str| format!("there is no {place} \"team\"; the only one is \"default\"");
        assert_eq!(read("team", ""), Some((400, text("namespace"))));
        assert_eq!(read("default", "team"), Some((400, text("partition"))));
    }
}
