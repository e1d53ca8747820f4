//! Finds the route of a request: host first, then the most specific path, then the method.
//!
//! Patterns that leave two answers for one request are refused when the router is built, so a lookup needs no
//! order and no priorities.

use forebay_http::Method;
use thiserror::Error;

use crate::pattern::{HostPattern, Pattern, Relation, Segment};

/// Two routes of which neither is the more specific.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{second}` and `{first}` match the same requests, and neither is the more specific")]
pub struct Ambiguous {
    /// The earlier pattern.
    pub first: String,
    /// The later one.
    pub second: String,
    /// Places of both in the list of routes.
    pub routes: (usize, usize),
}

/// What a request matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// This route, by its place in the list.
    Route(usize),
    /// The path is known, the method is not; these are, in the form of the `Allow` field.
    WrongMethod {
        /// For the `Allow` field.
        allow: String,
    },
    /// Nothing.
    None,
}

/// All routes, ready for lookups.
#[derive(Debug, Default)]
pub struct Router {
    /// From the most specific to any.
    hosts: Vec<(HostPattern, Tree)>,
}

#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
}

/// A prefix of segments. The root is the first.
#[derive(Debug, Default)]
struct Node {
    /// Sorted by text.
    literals: Vec<(Box<str>, usize)>,
    parameter: Option<usize>,
    /// Routes that end here.
    here: Vec<Leaf>,
    /// Routes with a trailing `*` here.
    rest: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    method: Option<(Method, Box<str>)>,
    route: usize,
}

impl Router {
    /// Puts the patterns together; their places in the list name them from here on.
    pub fn new(patterns: &[Pattern]) -> Result<Router, Vec<Ambiguous>> {
        let conflicts = conflicts(patterns);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let mut router = Router::default();
        for (route, pattern) in patterns.iter().enumerate() {
            router.tree(&pattern.host).insert(pattern, route);
        }
        router.hosts.sort_by(|(first, _), (second, _)| first.by_specificity(second));
        Ok(router)
    }

    fn tree(&mut self, host: &HostPattern) -> &mut Tree {
        let at = self.hosts.iter().position(|(known, _)| known == host).unwrap_or_else(|| {
            self.hosts.push((host.clone(), Tree { nodes: vec![Node::default()] }));
            self.hosts.len() - 1
        });
        &mut self.hosts[at].1
    }

    /// The route for a request. `path` is normalized; `host` has no port.
    pub fn find(&self, method: Method, method_text: &str, host: &str, path: &str) -> Match {
        let lowercase;
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lowercase = host.to_ascii_lowercase();
            &lowercase
        } else {
            host
        };
        let mut search = Search { method, method_text, allow: Vec::new() };
        for (pattern, tree) in &self.hosts {
            if pattern.matches(host)
                && let Some(route) = search.descend(tree, 0, path.strip_prefix('/'))
            {
                return Match::Route(route);
            }
        }
        if search.allow.is_empty() {
            Match::None
        } else {
            Match::WrongMethod { allow: search.allow.join(", ") }
        }
    }
}

impl Tree {
    fn insert(&mut self, pattern: &Pattern, route: usize) {
        let mut at = 0;
        for segment in &pattern.path.segments {
            at = match segment {
                Segment::Literal(text) => match self.nodes[at].find(text) {
                    Ok(place) => self.nodes[at].literals[place].1,
                    Err(place) => {
                        let child = self.add();
                        self.nodes[at].literals.insert(place, (text.as_str().into(), child));
                        child
                    }
                },
                Segment::Parameter(_) => match self.nodes[at].parameter {
                    Some(child) => child,
                    None => {
                        let child = self.add();
                        self.nodes[at].parameter = Some(child);
                        child
                    }
                },
            };
        }
        let method = pattern.method.as_deref().map(|text| (Method::of(text.as_bytes()), text.into()));
        let leaf = Leaf { method, route };
        let node = &mut self.nodes[at];
        if pattern.path.rest { node.rest.push(leaf) } else { node.here.push(leaf) }
    }

    fn add(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }
}

impl Node {
    fn find(&self, text: &str) -> Result<usize, usize> {
        self.literals.binary_search_by(|(literal, _)| (**literal).cmp(text))
    }
}

struct Search<'r> {
    method: Method,
    method_text: &'r str,
    /// Methods of paths that matched.
    allow: Vec<&'r str>,
}

impl<'r> Search<'r> {
    /// `left` is what follows the node's slash; `None` at the end of the path. As deep as the longest pattern.
    fn descend(&mut self, tree: &'r Tree, at: usize, left: Option<&str>) -> Option<usize> {
        let node = &tree.nodes[at];
        let Some(left) = left else {
            return self.accept(&node.here).or_else(|| self.accept(&node.rest));
        };
        let (segment, left) = match left.split_once('/') {
            Some((segment, left)) => (segment, Some(left)),
            None => (left, None),
        };
        if let Ok(place) = node.find(segment)
            && let Some(route) = self.descend(tree, node.literals[place].1, left)
        {
            return Some(route);
        }
        if let Some(child) = node.parameter
            && !segment.is_empty()
            && let Some(route) = self.descend(tree, child, left)
        {
            return Some(route);
        }
        self.accept(&node.rest)
    }

    fn accept(&mut self, leaves: &'r [Leaf]) -> Option<usize> {
        let mut any = None;
        let mut get = None;
        for leaf in leaves {
            match &leaf.method {
                None => any = Some(leaf.route),
                Some((method, text)) if *method == self.method && **text == *self.method_text => {
                    return Some(leaf.route);
                }
                // Whoever answers GET answers HEAD (RFC 9110 §9.3.2), unless HEAD has a route of its own.
                Some((Method::Get, _)) if self.method == Method::Head => get = Some(leaf.route),
                Some(_) => {}
            }
        }
        let any = get.or(any);
        if any.is_none() {
            for leaf in leaves {
                if let Some((method, text)) = &leaf.method {
                    self.allow(text);
                    if *method == Method::Get {
                        self.allow("HEAD");
                    }
                }
            }
        }
        any
    }
}

impl<'r> Search<'r> {
    fn allow(&mut self, method: &'r str) {
        if !self.allow.contains(&method) {
            self.allow.push(method);
        }
    }
}

/// All pairs that leave two answers for one request.
fn conflicts(patterns: &[Pattern]) -> Vec<Ambiguous> {
    let mut found = Vec::new();
    for (at, second) in patterns.iter().enumerate() {
        for (earlier, first) in patterns[..at].iter().enumerate() {
            if first.host != second.host {
                continue;
            }
            let ambiguous = match first.path.relation(&second.path) {
                Relation::Equal => first.method == second.method,
                Relation::Crossing => {
                    first.method == second.method || first.method.is_none() || second.method.is_none()
                }
                Relation::Disjoint | Relation::Narrower | Relation::Wider => false,
            };
            if ambiguous {
                let (first, second) = (first.to_string(), second.to_string());
                found.push(Ambiguous { first, second, routes: (earlier, at) });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(patterns: &[&str]) -> Router {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        Router::new(&patterns).unwrap()
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let patterns = [
            "/*",
            "/api/orders/*",
            "POST /api/orders/{id}/receipt",
            "/api/orders/{id}",
            "/api/orders/new",
            "GET /api/orders/new",
            "shop.example/api/orders/new",
            "*.shop.example/*",
        ];
        let router = router(&patterns);
        let check = |request: &str, expected: &str| {
            let (method, place) = request.split_once(' ').unwrap();
            let (host, path) = place.split_at(place.find('/').unwrap());
            let found = router.find(Method::of(method.as_bytes()), method, host, path);
            let Match::Route(route) = found else { panic!("{request}: {found:?}") };
            assert_eq!(patterns[route], expected, "{request}");
        };
        check("GET x/", "/*");
        check("GET x/api", "/*");
        check("GET x/api/orders", "/api/orders/*");
        check("GET x/api/orders/", "/api/orders/*");
        check("GET x/api/orders/7", "/api/orders/{id}");
        check("GET x/api/orders/7/", "/api/orders/*");
        check("GET x/api/orders/7/receipt", "/api/orders/*");
        check("POST x/api/orders/7/receipt", "POST /api/orders/{id}/receipt");
        check("GET x/api/orders/new", "GET /api/orders/new");
        check("HEAD x/api/orders/new", "GET /api/orders/new");
        check("PUT x/api/orders/new", "/api/orders/new");
        check("PUT Shop.Example/api/orders/new", "shop.example/api/orders/new");
        check("PUT shop.example/api/orders/old", "/api/orders/{id}");
        check("GET a.shop.example/api/orders/new", "*.shop.example/*");
    }

    #[test]
    fn a_known_path_with_another_method_names_the_methods() {
        let router = router(&["GET /a", "DELETE /a", "POST /{x}", "/b"]);
        let find = |method: &str, path| router.find(Method::of(method.as_bytes()), method, "x", path);
        assert_eq!(find("PUT", "/a"), Match::WrongMethod { allow: "GET, HEAD, DELETE, POST".into() });
        assert_eq!(find("HEAD", "/a"), Match::Route(0));
        assert_eq!(find("POST", "/a"), Match::Route(2));
        assert_eq!(find("GET", "/a/b"), Match::None);
        assert_eq!(find("PURGE", "/b"), Match::Route(3));
    }

    #[test]
    fn patterns_with_two_answers_are_refused() {
        let check = |first: &str, second: &str, ambiguous: bool| {
            let patterns: Vec<Pattern> = [first, second].iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(Router::new(&patterns).is_err(), ambiguous, "{first} {second}");
        };
        check("/a/{x}", "/a/{y}", true);
        check("GET /a", "GET /a", true);
        check("GET /a", "POST /a", false);
        check("GET /a", "/a", false);
        check("/{x}/b", "/a/{y}", true);
        check("GET /{x}/b", "/a/{y}", true);
        check("GET /{x}/b", "POST /a/{y}", false);
        check("a.example/{x}", "/{x}", false);
    }
}
