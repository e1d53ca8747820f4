//! Forebay's own HTTP API of the registry, under `/registry/`: one idempotent call registers and renews, which is what
//! scripts and `curl` want. Errors are problem documents (RFC 9457).

mod body;
mod view;

use forebay_http::Method;
use forebay_http::problem::{Fault, Problem};

use self::body::{Announcement, Wanted, lease_id};
use crate::asked::Asked;
use crate::check::Status;
use crate::fields::BadBody;
use crate::found::Found;
use crate::handle::Handle;
use crate::instance::Declared;
use crate::query::{self, Query};
use crate::refusal::{Refusal, RegistryError};
use crate::registry::Registry;
use crate::reply::Reply;

/// What all paths begin with.
const INSTANCES: &str = "/registry/instances";

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    All,
    One(String),
    State(String),
}

impl Target {
    /// The path that metrics count it under.
    const fn route(&self) -> &'static str {
        match self {
            Target::All => INSTANCES,
            Target::One(_) => "/registry/instances/",
            Target::State(_) => "/registry/instances/*/state",
        }
    }

    /// The parameters that a query may have.
    const fn parameters(&self) -> &'static [&'static str] {
        match self {
            Target::All => &["service", "format"],
            Target::One(_) | Target::State(_) => &[],
        }
    }

    const fn methods(&self) -> &'static str {
        match self {
            Target::All => "GET, HEAD",
            Target::One(_) => "GET, HEAD, PUT, DELETE",
            Target::State(_) => "PUT",
        }
    }
}

/// The path that metrics count a request under.
pub(crate) fn route_of(asked: &Asked) -> Option<&'static str> {
    target(&asked.path).ok().map(|target| target.route())
}

/// Answers one request.
pub(crate) async fn answer(handle: &Handle, asked: &Asked) -> Reply {
    match attend(handle, asked).await {
        Ok(reply) => reply.with("Cache-Control", "no-store"),
        Err(problem) => problem.into(),
    }
}

async fn attend(handle: &Handle, asked: &Asked) -> Result<Reply, Problem> {
    let target = target(&asked.path)?;
    refuse_unknown(&target, &asked.query)?;
    match (asked.method, &target) {
        (Method::Get | Method::Head, Target::All) => list(handle, asked),
        (Method::Get | Method::Head, Target::One(id)) => {
            let document = handle.read(|registry| registry.instance(id).map(|found| view::document(&found)));
            document.map(|document| Reply::json(200, &document, true)).ok_or_else(|| unknown(id))
        }
        (Method::Put, Target::One(id)) => announce(handle, id, asked).await,
        (Method::Put, Target::State(id)) => declare(handle, id, asked).await,
        (Method::Delete, Target::One(id)) => {
            handle.write(|registry, now| registry.deregister(now, id)).await.map_err(refused)?;
            Ok(Reply::empty(204))
        }
        _ => {
            let detail = format!("{} takes {} only", target.route(), target.methods());
            let mut problem = Problem::new(405, "method-not-allowed", Fault::Client, detail);
            problem.allow = Some(target.methods().to_owned());
            Err(problem)
        }
    }
}

fn target(path: &str) -> Result<Target, Problem> {
    let no_path = || {
        let detail = "the registry has no such path; it has /registry/instances, /registry/instances/ID and \
                      /registry/instances/ID/state, with `%2F` for a slash in an id, and parts of Consul's /v1/";
        Problem::new(404, "no-registry-route", Fault::Client, detail)
    };
    let rest = path.strip_prefix(INSTANCES).ok_or_else(no_path)?;
    let segments: Vec<&str> = rest.split('/').collect();
    let name = |segment: &str| {
        query::decode(segment).map_err(|why| {
            let detail = format!("the path cannot be read: {why}; write `%25` for a `%`");
            Problem::new(400, "bad-path", Fault::Client, detail)
        })
    };
    match segments[..] {
        [""] | ["", ""] => Ok(Target::All),
        ["", id] => Ok(Target::One(name(id)?)),
        ["", id, "state"] if !id.is_empty() => Ok(Target::State(name(id)?)),
        _ => Err(no_path()),
    }
}

/// A mistyped parameter would leave an answer that looks like what was asked for.
fn refuse_unknown(target: &Target, query: &Query) -> Result<(), Problem> {
    let known = target.parameters();
    if query.names().all(|name| known.contains(&name)) {
        return Ok(());
    }
    let takes = if known.is_empty() { "none".to_owned() } else { known.join(" and ") };
    let detail = format!("the query has a parameter that {} does not take; it takes {takes}", target.route());
    Err(Problem::new(400, "unknown-parameter", Fault::Client, detail))
}

fn list(handle: &Handle, asked: &Asked) -> Result<Reply, Problem> {
    let as_text = match asked.query.first("format") {
        None => asked.wants_text,
        Some("text") => true,
        Some("json") => false,
        Some(_) => {
            let detail = "the format asked for in the query does not exist; use format=json or format=text";
            return Err(Problem::new(400, "unknown-format", Fault::Client, detail));
        }
    };
    let service = asked.query.first("service").filter(|service| !service.is_empty());
    Ok(handle.read(|registry| {
        let all = instances(registry, service);
        if as_text {
            return Reply::text(200, view::table(&all));
        }
        let documents: Vec<_> = all.iter().map(view::document).collect();
        Reply::json(200, &serde_json::json!({ "instances": documents }), true)
    }))
}

/// All instances on all nodes, by service, node and id; or those of one service.
fn instances<'r>(registry: &'r Registry, service: Option<&str>) -> Vec<Found<'r>> {
    match service {
        Some(service) => registry.instances_of(service).collect(),
        None => registry.services().flat_map(|(name, _)| registry.instances_of(name)).collect(),
    }
}

async fn announce(handle: &Handle, id: &str, asked: &Asked) -> Result<Reply, Problem> {
    let Announcement { mut registration, declared, lease } =
        body::announcement(id, &asked.body).map_err(bad_body)?;
    let has_lease = lease.is_some();
    registration.checks.extend(lease);
    let announced = handle.write(|registry, now| {
        let had = registry.me().instances.get(id).map(|instance| instance.registration.declared);
        registration.declared = declared.or(had).unwrap_or(Declared::Ready);
        registry.register(now, registration)?;
        if has_lease {
            registry.report(now, &lease_id(id), Status::Passing, "")?;
        }
        Ok((had.is_none(), registry.instance(id).map(|found| view::document(&found))))
    });
    let (is_new, document) = announced.await.map_err(refused)?;
    let status = if is_new { 201 } else { 200 };
    Ok(document.map_or_else(|| Reply::empty(status), |document| Reply::json(status, &document, true)))
}

async fn declare(handle: &Handle, id: &str, asked: &Asked) -> Result<Reply, Problem> {
    let wanted = body::state(&asked.body).map_err(bad_body)?;
    let declared = handle.write(|registry, now| {
        match &wanted {
            Wanted::Maintenance { reason } => registry.maintain(now, Some(id), Some(reason))?,
            Wanted::Declared(declared) => {
                registry.declare(now, id, *declared)?;
                registry.maintain(now, Some(id), None)?;
            }
        }
        Ok(registry.instance(id).map(|found| view::document(&found)))
    });
    let document = declared.await.map_err(refused)?;
    Ok(document.map_or_else(|| Reply::empty(200), |document| Reply::json(200, &document, true)))
}

fn bad_body(error: BadBody) -> Problem {
    Problem::new(400, "bad-body", Fault::Client, error.to_string())
}

fn unknown(id: &str) -> Problem {
    refused(RegistryError::Refused(Refusal::UnknownInstance { id: id.into() }))
}

/// What a field is called here that Consul's API spells otherwise.
fn spelled(field: &'static str) -> &'static str {
    match field {
        "Name" => "service",
        "ID" => "id",
        "Address" => "address",
        "Tags" => "tags",
        "Meta" => "meta",
        "Weights" | "Weights.Passing" => "weight",
        "TTL" => "ttl",
        "DeregisterCriticalServiceAfter" => "remove_after",
        other => other,
    }
}

fn refused(error: RegistryError) -> Problem {
    let error = match error {
        RegistryError::Refused(Refusal::Invalid { field, why }) => {
            RegistryError::Refused(Refusal::Invalid { field: spelled(field), why })
        }
        error => error,
    };
    let (kind, fault) = match &error {
        RegistryError::Refused(Refusal::UnknownInstance { .. }) => ("unknown-instance", Fault::Client),
        RegistryError::Refused(Refusal::TooMany { .. }) => ("too-many", Fault::Client),
        RegistryError::Refused(_) => ("refused", Fault::Client),
        RegistryError::NotStored(_) => ("not-stored", Fault::Forebay),
    };
    Problem::new(error.status(), kind, fault, format!("{error}; {}", error.help()))
}

/// What holds of every body: it is read or refused, and a lease has a length.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzzing(body: &[u8]) {
    if let Ok(Announcement { registration, lease, .. }) = body::announcement("a", body) {
        assert!(!registration.service.is_empty());
        assert!(lease.is_none_or(|lease| !lease.kind.interval().is_zero()));
    }
    let _ = body::state(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Result<Target, u16>) {
        assert_eq!(target(path).map_err(|problem| problem.status), expected, "{path}");
    }

    #[test]
    fn an_id_is_one_segment() {
        check("/registry/instances", Ok(Target::All));
        check("/registry/instances/", Ok(Target::All));
        check("/registry/instances/web-1", Ok(Target::One("web-1".into())));
        check("/registry/instances/a%2Fstate", Ok(Target::One("a/state".into())));
        check("/registry/instances/a%20b/state", Ok(Target::State("a b".into())));
        check("/registry/instances//state", Err(404));
        check("/registry/instances/a/b", Err(404));
        check("/registry/instancesa", Err(404));
        check("/registry/instances/%f", Err(400));
        check("/registry", Err(404));
    }
}
