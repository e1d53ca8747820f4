//! The stages of a request, top to bottom, as decisions: what would happen to it, without doing any of it.
//!
//! The pipeline carries the decision out; `forebay explain request` prints it. Stages of later systems stand here in
//! their places and let everything pass.

use std::net::SocketAddr;
use std::sync::Arc;

use forebay_http::framing::Framing;
use forebay_http::guard::guard;
use forebay_http::problem::{Fault, Problem};
use forebay_http::{Method, RequestHead};

use crate::path;
use crate::plan::{Answer, Plan};
use crate::router::Match;

/// What becomes of one request.
#[derive(Debug)]
pub struct Decision {
    /// The route, where one matched.
    pub route: Option<usize>,
    /// What to do.
    pub verdict: Verdict,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Verdict {
    /// Forebay says no, and why.
    Refuse(Box<Problem>),
    /// Forebay answers itself, as [`Answer`] says.
    Own,
    /// The service at this place answers.
    Forward(usize),
}

/// Which listener a request came in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The front: routes decide.
    Front,
    /// The port of this service, for processes of this machine.
    Service(Arc<str>),
}

/// Decides on a request that arrived at `local`.
pub fn decide(plan: &Plan, role: &Role, local: SocketAddr, head: &RequestHead, framing: Framing) -> Decision {
    let found = match role {
        Role::Front => find_route(plan, head),
        Role::Service(name) => guard(head, local, "service port").and_then(|()| service_route(plan, name)),
    };
    let found = match found {
        Ok(route) => route,
        Err(problem) => return Decision { route: None, verdict: Verdict::Refuse(Box::new(problem)) },
    };
    let route = &plan.routes[found];
    // CORS comes here: outermost, it will also decorate refusals below.
    if let Err(problem) = admit(route.body_bytes_max, framing) {
        return Decision { route: Some(found), verdict: Verdict::Refuse(Box::new(problem)) };
    }
    // Authentication, API version, idempotency key and cache come here, in this order.
    let verdict = match route.answer {
        Answer::Service(service) => Verdict::Forward(service),
        Answer::Redirect { .. } | Answer::Static { .. } => Verdict::Own,
    };
    Decision { route: Some(found), verdict }
}

fn service_route(plan: &Plan, service: &str) -> Result<usize, Problem> {
    plan.local_route(service).ok_or_else(|| {
        let detail = format!("service {service} has no local port any more");
        Problem::new(503, "no-service", Fault::Upstream, detail)
    })
}

fn find_route(plan: &Plan, head: &RequestHead) -> Result<usize, Problem> {
    if head.method() == Method::Connect {
        let detail = "CONNECT asks for a forward proxy, and this is not one";
        return Err(Problem {
            allow: Some(String::new()),
            ..Problem::new(405, "method-not-allowed", Fault::Client, detail)
        });
    }
    let path = path::normalize(head.path())
        .map_err(|error| Problem::new(400, "malformed-path", Fault::Client, format!("{error}")))?;
    match plan.router().find(head.method(), head.method_text(), head.host(), &path) {
        Match::Route(route) => Ok(route),
        Match::WrongMethod { allow } => {
            let detail = format!("this path does not take {}", head.method_text());
            Err(Problem {
                allow: Some(allow),
                ..Problem::new(405, "method-not-allowed", Fault::Client, detail)
            })
        }
        Match::None => {
            Err(Problem::new(404, "no-route", Fault::Client, "no route matches this host and path"))
        }
    }
}

fn admit(body_bytes_max: u64, framing: Framing) -> Result<(), Problem> {
    match framing.length() {
        Some(length) if length > body_bytes_max => Err(body_too_large(body_bytes_max)),
        _ => Ok(()),
    }
}

/// The refusal of a body that is, or turned out to be, too large.
pub(crate) fn body_too_large(body_bytes_max: u64) -> Problem {
    let detail = format!("the request body is larger than the {body_bytes_max} bytes that this route takes");
    Problem::new(413, "body-too-large", Fault::Client, detail)
}
