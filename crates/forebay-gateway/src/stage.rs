//! The stages of a request, top to bottom, as decisions: what would happen to it, without doing any of it.
//!
//! The pipeline carries the decision out; `forebay explain request` prints it. Stages of later systems stand here in
//! their places and let everything pass.

use std::net::SocketAddr;
use std::sync::Arc;

use forebay_http::framing::Framing;
use forebay_http::guard::guard;
use forebay_http::problem::{Fault, Problem};
use forebay_http::{Method, RequestHead, ResponseHead};

use crate::cors::{self, Asked, CrossOrigin};
use crate::path;
use crate::plan::{Answer, Plan};
use crate::router::Match;

/// What becomes of one request.
#[derive(Debug)]
pub struct Decision<'p> {
    /// The route, where one matched.
    pub route: Option<usize>,
    /// What pages of other origins may make of it, where a policy holds.
    pub cors: Option<CrossOrigin<'p>>,
    /// The policy that has to know the caller first, by its place in the plan.
    pub auth: Option<usize>,
    /// The route whose rate limit counts the request, if it has one.
    pub limit: Option<usize>,
    /// What to do.
    pub verdict: Verdict,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Verdict {
    /// Forebay says no, and why.
    Refuse(Box<Problem>),
    /// A browser asks for permission, and this is the answer.
    Preflight(Box<ResponseHead>),
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

/// Decides on a request that arrived at `local`, as the client meant it: with the scheme it used.
pub fn decide<'p>(
    plan: &'p Plan,
    role: &Role,
    local: SocketAddr,
    head: &RequestHead,
    framing: Framing,
) -> Decision<'p> {
    let (found, asked) = match role {
        Role::Front => front(plan, head),
        Role::Service(name) => {
            let found = guard(head, local, "service port").and_then(|()| service_route(plan, name));
            (found, Asked::Other(None))
        }
    };
    let cors = match asked {
        Asked::Preflight { route, cors, answer } => {
            return Decision {
                route,
                cors: Some(cors),
                auth: None,
                limit: None,
                verdict: Verdict::Preflight(answer),
            };
        }
        Asked::Other(cors) => cors,
    };
    let refuse = |route, cors, problem| {
        let verdict = Verdict::Refuse(Box::new(problem));
        Decision { route, cors, auth: None, limit: None, verdict }
    };
    let found = match found {
        Ok(route) => route,
        Err(problem) => return refuse(None, cors, problem),
    };
    let route = &plan.routes[found];
    if let Err(problem) = admit(route.body_bytes_max, framing) {
        return refuse(Some(found), cors, problem);
    }
    // API version, idempotency key and cache come here, in this order, behind authentication.
    let verdict = match route.answer {
        Answer::Service(service) => Verdict::Forward(service),
        Answer::Redirect { .. } | Answer::Static { .. } => Verdict::Own,
    };
    let limit = route.rate_limit.is_some().then_some(found);
    Decision { route: Some(found), cors, auth: route.auth, limit, verdict }
}

/// The CORS policy that holds for a request to the front, by its place.
pub fn cors_policy(plan: &Plan, head: &RequestHead) -> Option<usize> {
    match front(plan, head).1 {
        Asked::Preflight { cors, .. } | Asked::Other(Some(cors)) => Some(cors.place),
        Asked::Other(None) => None,
    }
}

fn service_route(plan: &Plan, service: &str) -> Result<usize, Problem> {
    plan.local_route(service).ok_or_else(|| {
        let detail = format!("service {service} has no local port any more");
        Problem::new(503, "no-service", Fault::Upstream, detail)
    })
}

/// The route of a request to the front, or why there is none; and what pages of other origins may make of either.
fn front<'p>(plan: &'p Plan, head: &RequestHead) -> (Result<usize, Problem>, Asked<'p>) {
    let path = path::normalize(head.path());
    let find = |method: &str| match &path {
        Ok(path) => plan.router().find(Method::of(method.as_bytes()), method, head.host(), path),
        Err(_) => Match::None,
    };
    let found = find(head.method_text());
    let asked = cors::ask(plan, head, &found, find);
    let route = match (&path, found) {
        (Err(error), _) => Err(Problem::new(400, "malformed-path", Fault::Client, error.to_string())),
        _ if head.method() == Method::Connect => {
            Err(wrong_method("CONNECT asks for a forward proxy, and this is not one", String::new()))
        }
        (_, Match::Route(route)) => Ok(route),
        (_, Match::WrongMethod { allow }) => {
            Err(wrong_method(format!("this path does not take {}", head.method_text()), allow))
        }
        (_, Match::None) => {
            Err(Problem::new(404, "no-route", Fault::Client, "no route matches this host and path"))
        }
    };
    (route, asked)
}

fn wrong_method(detail: impl Into<String>, allow: String) -> Problem {
    Problem { allow: Some(allow), ..Problem::new(405, "method-not-allowed", Fault::Client, detail) }
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
