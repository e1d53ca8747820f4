//! Every path of Consul's API that is answered here, in one list, and those that are known and are not.

use forebay_http::Method;
use serde_json::Value;

use super::agent;
use super::catalog;
use super::change::{self, Change};
use super::health;
use super::options::Options;
use super::refused::Refused;
use crate::asked::Asked;
use crate::query;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::topic::Topic;

/// What a view is made from.
pub(crate) struct View<'r> {
    pub(crate) registry: &'r Registry,
    pub(crate) datacenter: &'r str,
    /// Where this listener is, as `host:port`.
    pub(crate) here: &'r str,
}

/// One request to one route.
pub(crate) struct Call<'a> {
    pub(crate) asked: &'a Asked,
    /// What follows the route's path, decoded.
    pub(crate) name: String,
    pub(crate) options: Options,
}

/// How a route answers.
pub(crate) enum Act {
    /// From what this node knows, at once.
    Tell(fn(&View<'_>, &Call<'_>) -> Result<Reply, Refused>),
    /// From the catalog, and when the client has seen that already, once the topic changes.
    Query { topic: fn(&str) -> Topic, view: fn(&View<'_>, &Call<'_>) -> Result<Value, Refused> },
    /// By a change to what is registered with this node.
    Change(fn(&Call<'_>) -> Result<Change, Refused>),
}

/// One path.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Whole, or up to a name when it ends with a slash.
    pub(crate) path: &'static str,
    pub(crate) act: Act,
}

#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    tell("/v1/agent/self", agent::own),
    tell("/v1/agent/members", agent::members),
    tell("/v1/agent/services", agent::services),
    tell("/v1/agent/service/", agent::service),
    tell("/v1/agent/checks", agent::checks),
    tell("/v1/agent/health/service/id/", agent::health_by_id),
    tell("/v1/agent/health/service/name/", agent::health_by_name),
    put("/v1/agent/service/register", change::register),
    put("/v1/agent/service/deregister/", change::deregister),
    put("/v1/agent/service/maintenance/", change::maintain_instance),
    put("/v1/agent/maintenance", change::maintain_node),
    put("/v1/agent/check/register", change::register_check),
    put("/v1/agent/check/deregister/", change::deregister_check),
    put("/v1/agent/check/pass/", change::pass),
    put("/v1/agent/check/warn/", change::warn),
    put("/v1/agent/check/fail/", change::fail),
    put("/v1/agent/check/update/", change::update),
    tell("/v1/catalog/datacenters", catalog::datacenters),
    query("/v1/catalog/nodes", |_| Topic::Nodes, catalog::nodes),
    query("/v1/catalog/services", |_| Topic::Services, catalog::services),
    query("/v1/catalog/service/", service_topic, catalog::service),
    query("/v1/catalog/node/", node_topic, catalog::node),
    query("/v1/catalog/node-services/", node_topic, catalog::node_services),
    query("/v1/health/node/", node_topic, health::node),
    query("/v1/health/checks/", service_topic, health::checks),
    query("/v1/health/service/", service_topic, health::service),
    query("/v1/health/state/", |_| Topic::Checks, health::state),
    tell("/v1/status/leader", catalog::leader),
    tell("/v1/status/peers", catalog::peers),
];

/// What Consul has and Forebay does not, by the beginning of the path, and what to do instead.
const ABSENT: &[(&str, &str)] = &[
    ("/v1/kv", "there is no key-value store"),
    ("/v1/session", "there are no sessions"),
    ("/v1/txn", "there are no transactions"),
    ("/v1/event", "there are no events"),
    ("/v1/query", "there are no prepared queries; ask /v1/health/service/NAME?passing"),
    ("/v1/acl", "there are no access lists: only this machine may ask"),
    ("/v1/coordinate", "there are no network coordinates"),
    ("/v1/config", "there are no configuration entries; forebay.toml has the settings"),
    ("/v1/connect", "Forebay is no service mesh"),
    ("/v1/agent/connect", "Forebay is no service mesh"),
    ("/v1/health/connect", "Forebay is no service mesh; ask /v1/health/service/NAME"),
    ("/v1/health/ingress", "Forebay is no service mesh; ask /v1/health/service/NAME"),
    ("/v1/catalog/connect", "Forebay is no service mesh; ask /v1/catalog/service/NAME"),
    ("/v1/catalog/gateway-services", "Forebay is no service mesh"),
    ("/v1/catalog/register", "the catalog has what agents tell it; PUT /v1/agent/service/register instead"),
    (
        "/v1/catalog/deregister",
        "the catalog has what agents tell it; PUT /v1/agent/service/deregister/ID instead",
    ),
    ("/v1/agent/reload", "send SIGHUP, or save forebay.toml"),
    ("/v1/agent/join", "nodes find each other through the store that they share, [store] in forebay.toml"),
    ("/v1/agent/leave", "stop the process with SIGTERM"),
    ("/v1/agent/force-leave", "a node that is gone goes by itself"),
    ("/v1/agent/metrics", "GET /metrics of the admin listener instead"),
    ("/v1/agent/monitor", "the process logs to standard error"),
    ("/v1/agent/host", "it is not told"),
    ("/v1/agent/version", "GET /v1/agent/self has it"),
    ("/v1/agent/token", "there are no access lists: only this machine may ask"),
    ("/v1/operator", "there is no Raft cluster to operate"),
    ("/v1/snapshot", "the registry keeps its own in the state directory"),
    ("/v1/internal", "it is Consul's own"),
    ("/v1/discovery-chain", "Forebay is no service mesh"),
    ("/v1/peering", "there are no peers"),
    ("/v1/exported-services", "there are no peers"),
    ("/v1/imported-services", "there are no peers"),
];

const fn tell(path: &'static str, tell: fn(&View<'_>, &Call<'_>) -> Result<Reply, Refused>) -> Route {
    Route { method: Method::Get, path, act: Act::Tell(tell) }
}

const fn query(
    path: &'static str,
    topic: fn(&str) -> Topic,
    view: fn(&View<'_>, &Call<'_>) -> Result<Value, Refused>,
) -> Route {
    Route { method: Method::Get, path, act: Act::Query { topic, view } }
}

const fn put(path: &'static str, change: fn(&Call<'_>) -> Result<Change, Refused>) -> Route {
    Route { method: Method::Put, path, act: Act::Change(change) }
}

fn service_topic(name: &str) -> Topic {
    Topic::Service(name.into())
}

fn node_topic(name: &str) -> Topic {
    Topic::Node(name.into())
}

/// The route for a request, and the name behind its path.
///
/// # Errors
/// 404 when there is no such path, 405 when it has another method, 501 when Consul has it and Forebay does not, 400 when
/// the name is missing or cannot be decoded.
pub(crate) fn find(method: Method, path: &str) -> Result<(&'static Route, String), Refused> {
    let matching = ROUTES.iter().filter(|route| route.rest_of(path).is_some());
    let Some(route) = matching.max_by_key(|route| route.path.len()) else { return Err(unknown(path)) };
    let method = if method == Method::Head { Method::Get } else { method };
    // `/v1/agent/service/` takes any id, and `/v1/agent/service/register` is none.
    if route.method != method {
        let allow = if route.method == Method::Put { "PUT" } else { "GET, HEAD" };
        let text = format!("{} takes {allow} only", route.path);
        return Err(Refused { allow: Some(allow), ..Refused::new(405, text) });
    }
    let name = query::decode(route.rest_of(path).unwrap_or_default())
        .map_err(|why| Refused::bad(format!("the path cannot be read: {why}; write `%25` for a `%`")))?;
    if name.is_empty() && route.path.ends_with('/') {
        return Err(Refused::bad(format!("{} wants a name or an id behind it", route.path)));
    }
    Ok((route, name))
}

impl Route {
    fn rest_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.path)?;
        (self.path.ends_with('/') || rest.is_empty()).then_some(rest)
    }
}

fn unknown(path: &str) -> Refused {
    let is_below = |beginning: &str| {
        path.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match ABSENT.iter().find(|(beginning, _)| is_below(beginning)) {
        Some((beginning, instead)) => Refused::new(501, format!("{beginning} is not supported: {instead}")),
        None => Refused::new(
            404,
            "no such path; here are the parts of Consul's HTTP API that services are found with, and /registry/",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, path: &str, expected: Result<(&str, &str), u16>) {
        let found = find(method, path);
        let found = found.as_ref().map(|(route, name)| (route.path, name.as_str()));
        assert_eq!(found.map_err(|refused| refused.status), expected, "{path}");
    }

    #[test]
    fn the_longest_path_takes_the_request() {
        check(Method::Get, "/v1/agent/service/web-1", Ok(("/v1/agent/service/", "web-1")));
        check(Method::Put, "/v1/agent/service/register", Ok(("/v1/agent/service/register", "")));
        check(Method::Get, "/v1/agent/service/register", Err(405));
        check(Method::Head, "/v1/health/service/web", Ok(("/v1/health/service/", "web")));
        check(Method::Get, "/v1/catalog/node-services/a", Ok(("/v1/catalog/node-services/", "a")));
        check(Method::Get, "/v1/agent/selfish", Err(404));
        check(Method::Get, "/v1/agent/self/", Err(404));
        check(Method::Post, "/v1/agent/check/pass/a", Err(405));
        check(Method::Get, "/", Err(404));
    }

    #[test]
    fn an_id_may_have_slashes_of_either_kind() {
        for path in ["/v1/agent/check/pass/service:a/b%20c", "/v1/agent/check/pass/service:a%2Fb%20c"] {
            check(Method::Put, path, Ok(("/v1/agent/check/pass/", "service:a/b c")));
        }
        check(Method::Put, "/v1/agent/check/pass/", Err(400));
        check(Method::Put, "/v1/agent/check/pass/%zz", Err(400));
    }

    #[test]
    fn what_consul_has_and_we_do_not_is_told_apart_from_nothing() {
        for path in ["/v1/kv/a", "/v1/session/create", "/v1/catalog/register", "/v1/agent/leave"] {
            check(Method::Put, path, Err(501));
        }
        check(Method::Get, "/v1/kvs", Err(404));
    }

    #[test]
    fn no_route_is_listed_twice() {
        for (place, route) in ROUTES.iter().enumerate() {
            assert_eq!(
                ROUTES.iter().position(|other| other.path == route.path),
                Some(place),
                "{}",
                route.path
            );
        }
    }
}
