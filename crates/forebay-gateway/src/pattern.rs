//! `[METHOD ][HOST]/path/{name}/*`: what a route matches, and which of two patterns is the more specific.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Segments of a pattern; a request path may have more.
const SEGMENTS_MAX: usize = 32;

/// What a route matches, as written in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// One method, or any.
    pub method: Option<String>,
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
}

impl Pattern {
    /// Matches every request.
    pub const fn everything() -> Pattern {
        let path = PathPattern { segments: Vec::new(), rest: true };
        Pattern { method: None, host: HostPattern::Any, path }
    }
}

/// Which hosts a route is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// `shop.example`
    Exact(String),
    /// `*.shop.example`: any number of labels before the suffix, at least one. Holds `.shop.example`.
    Suffix(String),
    /// Not given.
    Any,
}

/// Which paths a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// Segments in order, without the trailing `*`.
    pub segments: Vec<Segment>,
    /// Whether anything, or nothing, may follow.
    pub rest: bool,
}

/// One segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// `{name}`: any one segment that is not empty.
    Parameter(String),
}

/// Why a pattern cannot be used. Each says what to write instead.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    /// No path.
    #[error("has no path; write it as `/path`, `GET /path` or `host.example/path`")]
    NoPath,
    /// Something other than an upper-case token stands before the first space.
    #[error("starts with `{0}`, which is no method; methods are upper case, as in `GET /path`")]
    Method(String),
    /// Not a host name.
    #[error(
        "names `{0}`, which is no host; write `shop.example` or `*.shop.example`, without scheme and port"
    )]
    Host(String),
    /// A `*` that is not the last segment.
    #[error("has a `*` that is not the last segment; use `{{name}}` for one segment in the middle")]
    StarInside,
    /// `{` or `}` that do not enclose a whole segment.
    #[error("has `{0}`; a parameter is a whole segment, as in `/orders/{{id}}`")]
    Parameter(String),
    /// The same parameter twice.
    #[error("has the parameter `{0}` twice")]
    Repeated(String),
    /// A query or fragment.
    #[error("has a `{0}`; routes match on the path alone")]
    Beyond(char),
    /// `.` or `..`.
    #[error("has the segment `{0}`; requests with such segments are refused, so this would never match")]
    Dots(String),
    /// Bytes that a path cannot hold as they are.
    #[error("has `{0}`, which a path can only hold percent-encoded")]
    Character(char),
    /// More segments than are compared.
    #[error("has more than {SEGMENTS_MAX} segments")]
    TooLong,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        let (method, place) = match text.split_once(' ') {
            Some((method, place)) => (Some(method_token(method)?), place.trim_start_matches(' ')),
            None => (None, text),
        };
        let slash = place.find('/').ok_or(PatternError::NoPath)?;
        let (host, path) = place.split_at(slash);
        Ok(Pattern { method, host: host.parse()?, path: path.parse()? })
    }
}

fn method_token(text: &str) -> Result<String, PatternError> {
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if is_token { Ok(text.to_owned()) } else { Err(PatternError::Method(text.to_owned())) }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<HostPattern, PatternError> {
        if text.is_empty() {
            return Ok(HostPattern::Any);
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let is_v6 = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
        if !is_v6 && !name.split('.').all(is_label) {
            return Err(PatternError::Host(text.to_owned()));
        }
        let name = name.to_ascii_lowercase();
        if text.starts_with("*.") {
            Ok(HostPattern::Suffix(format!(".{name}")))
        } else {
            Ok(HostPattern::Exact(name))
        }
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<PathPattern, PatternError> {
        if let Some(beyond) = text.chars().find(|&c| c == '?' || c == '#') {
            return Err(PatternError::Beyond(beyond));
        }
        if let Some(odd) = text.chars().find(|&c| !c.is_ascii_graphic()) {
            return Err(PatternError::Character(odd));
        }
        let text = text.strip_prefix('/').ok_or(PatternError::NoPath)?;
        let (text, rest) = match text.strip_suffix('*') {
            Some("") => return Ok(PathPattern { segments: Vec::new(), rest: true }),
            Some(before) => (before.strip_suffix('/').ok_or(PatternError::StarInside)?, true),
            None => (text, false),
        };
        let segments: Vec<Segment> = text.split('/').map(segment).collect::<Result<_, _>>()?;
        if segments.len() > SEGMENTS_MAX {
            return Err(PatternError::TooLong);
        }
        for (at, segment) in segments.iter().enumerate() {
            if let Segment::Parameter(name) = segment
                && segments[..at].contains(segment)
            {
                return Err(PatternError::Repeated(name.clone()));
            }
        }
        Ok(PathPattern { segments, rest })
    }
}

fn segment(text: &str) -> Result<Segment, PatternError> {
    if text.contains('*') {
        return Err(PatternError::StarInside);
    }
    if text == "." || text == ".." {
        return Err(PatternError::Dots(text.to_owned()));
    }
    if !text.contains(['{', '}']) {
        return Ok(Segment::Literal(text.to_owned()));
    }
    let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match name.filter(is_name) {
        Some(name) => Ok(Segment::Parameter(name.to_owned())),
        None => Err(PatternError::Parameter(text.to_owned())),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        write!(f, "{}{}", self.host, self.path)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => f.write_str(name),
            HostPattern::Suffix(suffix) => write!(f, "*{suffix}"),
            HostPattern::Any => Ok(()),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        if self.rest { f.write_str("/*") } else { Ok(()) }
    }
}

/// How the paths of two patterns relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// No path matches both.
    Disjoint,
    /// The same paths match both.
    Equal,
    /// All paths of the first match the second too.
    Narrower,
    /// All paths of the second match the first too.
    Wider,
    /// Some paths match both, and each has paths of its own: neither is the more specific.
    Crossing,
}

impl PathPattern {
    /// How this pattern's paths relate to another's.
    pub fn relation(&self, other: &PathPattern) -> Relation {
        let shared = self.segments.len().min(other.segments.len());
        let mut narrower = false;
        let mut wider = false;
        for (mine, theirs) in self.segments.iter().zip(&other.segments) {
            match (mine, theirs) {
                (Segment::Literal(mine), Segment::Literal(theirs)) if mine != theirs => {
                    return Relation::Disjoint;
                }
                // A parameter is never empty.
                (Segment::Literal(text), Segment::Parameter(_))
                | (Segment::Parameter(_), Segment::Literal(text))
                    if text.is_empty() =>
                {
                    return Relation::Disjoint;
                }
                (Segment::Literal(_), Segment::Parameter(_)) => narrower = true,
                (Segment::Parameter(_), Segment::Literal(_)) => wider = true,
                _ => {}
            }
        }
        match (self.segments.len() - shared, other.segments.len() - shared) {
            (0, 0) => {
                narrower |= !self.rest && other.rest;
                wider |= self.rest && !other.rest;
            }
            (_, 0) if other.rest => narrower = true,
            (0, _) if self.rest => wider = true,
            _ => return Relation::Disjoint,
        }
        match (narrower, wider) {
            (true, true) => Relation::Crossing,
            (true, false) => Relation::Narrower,
            (false, true) => Relation::Wider,
            (false, false) => Relation::Equal,
        }
    }
}

impl HostPattern {
    /// The order in which hosts are looked up: an exact name, then suffixes, the longest first, then any.
    pub fn by_specificity(&self, other: &HostPattern) -> Ordering {
        let rank = |host: &HostPattern| match host {
            HostPattern::Exact(_) => (0, 0),
            HostPattern::Suffix(suffix) => (1, usize::MAX - suffix.len()),
            HostPattern::Any => (2, 0),
        };
        rank(self).cmp(&rank(other)).then_with(|| self.cmp(other))
    }

    /// Whether a host, in lower case and without a port, is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            HostPattern::Exact(name) => host == name,
            HostPattern::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            HostPattern::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn patterns_print_as_they_are_written() {
        for text in
            ["/*", "/", "/a/", "GET /a/{id}/b", "POST shop.example/a/*", "*.shop.example/{x}", "[::1]/a"]
        {
            assert_eq!(pattern(text).to_string(), text);
        }
    }

    #[test]
    fn wrong_patterns_say_what_to_write() {
        let error = |text: &str| text.parse::<Pattern>().unwrap_err();
        assert_eq!(error("shop.example"), PatternError::NoPath);
        assert_eq!(error(""), PatternError::NoPath);
        assert_eq!(error("get /a"), PatternError::Method("get".into()));
        assert_eq!(error("https://a/b"), PatternError::Host("https:".into()));
        assert_eq!(error("a:80/b"), PatternError::Host("a:80".into()));
        assert_eq!(error("/a/*/b"), PatternError::StarInside);
        assert_eq!(error("/a*"), PatternError::StarInside);
        assert_eq!(error("/a/x{id}"), PatternError::Parameter("x{id}".into()));
        assert_eq!(error("/{}"), PatternError::Parameter("{}".into()));
        assert_eq!(error("/{a}/{a}"), PatternError::Repeated("a".into()));
        assert_eq!(error("/a?b"), PatternError::Beyond('?'));
        assert_eq!(error("/a/../b"), PatternError::Dots("..".into()));
        assert_eq!(error("/é"), PatternError::Character('é'));
    }

    #[test]
    fn relations_are_found_and_mirrored() {
        let check = |first: &str, second: &str, expected: Relation| {
            let (first, second) = (pattern(first).path, pattern(second).path);
            assert_eq!(first.relation(&second), expected, "{first} {second}");
            let mirrored = match expected {
                Relation::Narrower => Relation::Wider,
                Relation::Wider => Relation::Narrower,
                same => same,
            };
            assert_eq!(second.relation(&first), mirrored, "{second} {first}");
        };
        check("/a", "/b", Relation::Disjoint);
        check("/a", "/a/", Relation::Disjoint);
        check("/{x}", "/", Relation::Disjoint);
        check("/a/{x}", "/a/{y}", Relation::Equal);
        check("/a", "/{x}", Relation::Narrower);
        check("/a", "/a/*", Relation::Narrower);
        check("/a/b", "/a/*", Relation::Narrower);
        check("/a/*", "/*", Relation::Narrower);
        check("/a/{x}/*", "/a/*", Relation::Narrower);
        check("/{x}/b", "/a/{y}", Relation::Crossing);
        check("/{x}/b/*", "/a/*", Relation::Crossing);
        check("/a/{x}/c", "/a/b/*", Relation::Crossing);
        check("/a/b", "/a/b/c", Relation::Disjoint);
    }

    #[test]
    fn hosts_match_from_the_most_specific() {
        let mut hosts: Vec<HostPattern> = ["", "*.example", "shop.example", "*.shop.example"]
            .iter()
            .map(|host| host.parse().unwrap())
            .collect();
        hosts.sort_by(HostPattern::by_specificity);
        let first = |host: &str| hosts.iter().find(|pattern| pattern.matches(host)).unwrap().to_string();
        assert_eq!(first("shop.example"), "shop.example");
        assert_eq!(first("a.b.shop.example"), "*.shop.example");
        assert_eq!(first("other.example"), "*.example");
        assert_eq!(first("example"), "");
    }
}
