//! Every route of the admin listener, in one list. A new one is a new line here.

use forebay_http::Method;
use forebay_http::problem::{Fault, Problem};

use crate::asked::Asked;
use crate::reply::Reply;
use crate::state::AdminState;
use crate::{config, cors, generation, metrics, probes, services};

/// Decides the answer from memory; waits for nothing.
type Answer = fn(&AdminState, Asked<'_>) -> Result<Reply, Problem>;

/// One thing that can be asked for.
pub(crate) struct Route {
    /// `GET` also answers `HEAD`.
    pub(crate) method: Method,
    /// The whole path.
    pub(crate) path: &'static str,
    pub(crate) answer: Answer,
    /// For the index: one line.
    pub(crate) description: &'static str,
}

#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    get("/", index, "this list"),
    get("/livez", probes::livez, "200 as long as the process answers"),
    get("/readyz", probes::readyz, "200 while requests should come here, else 503; ?verbose says why"),
    get("/metrics", metrics::metrics, "Prometheus text, or OpenMetrics where Accept prefers it"),
    get("/config", config::config, "settings in force, who set them, secrets hidden; ?format=json"),
    get("/services", services::services, "services, their endpoints and how they are; ?format=json"),
    get("/cors", cors::cors, "pages of other origins that CORS policies denied; ?format=json"),
    get("/generation", generation::generation, "the configuration's number and the last reload; ?format=json"),
];

const fn get(path: &'static str, answer: Answer, description: &'static str) -> Route {
    Route { method: Method::Get, path, answer, description }
}

/// The route for a request.
///
/// # Errors
/// 404 when no route has the path, 405 with `Allow` when none of those that have it has the method.
pub(crate) fn find(method: Method, path: &str) -> Result<&'static Route, Problem> {
    let wanted = if method == Method::Head { Method::Get } else { method };
    let mut at_path = ROUTES.iter().filter(|route| route.path == path).peekable();
    if at_path.peek().is_none() {
        let detail = "the admin listener has no such path; GET / lists those it has";
        return Err(Problem::new(404, "no-admin-route", Fault::Client, detail));
    }
    at_path.find(|route| route.method == wanted).ok_or_else(|| {
        let detail =
            "this path of the admin listener does not have this method; the Allow field lists those it has";
        let mut problem = Problem::new(405, "method-not-allowed", Fault::Client, detail);
        problem.allow = Some(allowed(path));
        problem
    })
}

fn allowed(path: &str) -> String {
    let routes = ROUTES.iter().filter(|route| route.path == path);
    let methods: Vec<&str> = routes.flat_map(|route| spelled(route.method)).copied().collect();
    methods.join(", ")
}

/// How a route's methods are written in `Allow`.
fn spelled(method: Method) -> &'static [&'static str] {
    match method {
        Method::Get => &["GET", "HEAD"],
        Method::Post => &["POST"],
        Method::Put => &["PUT"],
        Method::Delete => &["DELETE"],
        Method::Patch => &["PATCH"],
        Method::Head | Method::Options | Method::Trace | Method::Connect | Method::Other => &[],
    }
}

fn index(_state: &AdminState, _asked: Asked<'_>) -> Result<Reply, Problem> {
    let row = |route: &Route| {
        let method = spelled(route.method).first().copied().unwrap_or_default();
        vec![format!("{method} {}", route.path), route.description.to_owned()]
    };
    let rows: Vec<Vec<String>> = ROUTES.iter().map(row).collect();
    let mut text = "Forebay's admin listener\n".to_owned();
    crate::table::write_table(&mut text, &rows);
    Ok(Reply::text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, path: &str, expected: Result<&str, (u16, Option<&str>)>) {
        let found = find(method, path).map(|route| route.path);
        let found = found.as_ref().map_err(|problem| (problem.status, problem.allow.as_deref()));
        assert_eq!(found.copied(), expected);
    }

    #[test]
    fn a_path_is_found_whole_and_with_its_method() {
        check(Method::Get, "/", Ok("/"));
        check(Method::Head, "/readyz", Ok("/readyz"));
        check(Method::Get, "/readyz/", Err((404, None)));
        check(Method::Get, "/READYZ", Err((404, None)));
        check(Method::Options, "*", Err((404, None)));
        check(Method::Post, "/nowhere", Err((404, None)));
        check(Method::Post, "/readyz", Err((405, Some("GET, HEAD"))));
        check(Method::Other, "/", Err((405, Some("GET, HEAD"))));
    }

    #[test]
    fn no_route_is_listed_twice() {
        for (place, route) in ROUTES.iter().enumerate() {
            let same = |other: &Route| other.path == route.path && other.method == route.method;
            assert_eq!(ROUTES.iter().position(same), Some(place), "{}", route.path);
        }
    }
}
