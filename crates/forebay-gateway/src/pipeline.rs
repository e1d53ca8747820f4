//! Carries out what the stages decide for one request, top to bottom, and leaves its traces in log and metrics.

use std::time::Duration;

use forebay_http::problem::Problem;
use forebay_http::server::{Request, Responder};
use forebay_http::timer::Timer;
use forebay_http::{RequestHead, ResponseHead, forwarded, trace};
use forebay_shutdown::Kind;
use forebay_telemetry::metrics::{MethodLabel, StatusClass};

use crate::authenticate::authenticate;
use crate::core::Core;
use crate::forward;
use crate::generation::CoreGeneration;
use crate::hop::Hop;
use crate::path;
use crate::plan::{Answer, Route};
use crate::rate_limit;
use crate::stage::{self, Role, Verdict};
use crate::visit::{Names, Visit, record};

/// How long a client may take to receive an answer of Forebay's own.
const OWN_ANSWER_TIME: Duration = Duration::from_secs(10);

/// Serves one request.
pub(crate) async fn serve(core: &Core, role: &Role, request: &mut Request<'_>) {
    let generation = core.generation();
    let plan = &generation.shared.plan;
    let hop = Hop::leave(&mut request.head, request.framing);
    plan.identity_fields.strip(&mut request.head, &mut request.body);
    let trace = trace::continue_or_start(&mut request.head, &mut core.rng.borrow_mut());
    let client = forwarded::forward(&mut request.head, request.peer, &plan.trusted_proxies);
    let mut visit = Visit::new(request.received, trace, client, core.tally.enter(Kind::Request));
    let decision = stage::decide(plan, role, request.peer.local, &request.head, request.framing);
    visit.route = decision.route;
    visit.cors = decision.cors;
    if let Some(cors) = &visit.cors {
        generation.shared.cors[cors.place].record(core.metrics, cors, &request.head);
    }
    let mut verdict = decision.verdict;
    let mut admitted = rate_limit::at_the_door(core, &generation, decision.limit, &request.head, &visit);
    if let Some(policy) = decision.auth.filter(|_| admitted.is_ok()) {
        // Boxed, as all that is rare: every request carries the room for what is not.
        let known = Box::pin(authenticate(core, &generation, policy, request, &mut visit)).await;
        admitted = known.and(admitted);
    }
    let counted = admitted.and_then(|due| due.map_or(Ok(()), |due| due.settle(core, &request.head, &visit)));
    if let Err(problem) = counted {
        verdict = Verdict::Refuse(problem);
    }
    match verdict {
        Verdict::Preflight(answer) => {
            send_own(&mut request.responder, request.timer, *answer, b"", &mut visit).await;
        }
        Verdict::Refuse(problem) => refuse(&mut request.responder, request.timer, &problem, &mut visit).await,
        Verdict::Own => {
            if let Some(route) = decision.route {
                Box::pin(answer_self(&plan.routes[route], request, &mut visit)).await;
            }
        }
        Verdict::Forward(service) => {
            let route = &plan.routes[decision.route.unwrap_or_default()];
            visit.service = Some(service);
            forward::forward(core, &generation, route, service, hop, request, &mut visit).await;
        }
    }
    leave_traces(core, &generation, request, visit);
}

/// Answers with a problem of Forebay's own; nothing when a response has begun already, which the connection then
/// breaks off.
pub(crate) async fn refuse(
    responder: &mut Responder<'_>,
    timer: &Timer,
    problem: &Problem,
    visit: &mut Visit<'_>,
) {
    visit.fail(problem);
    if responder.has_started() {
        return;
    }
    if problem.status == 413 {
        // To read what is too large only to keep the connection would be the greater cost.
        responder.close_after();
    }
    let (head, body) = problem.response();
    answer(responder, timer, head, &body, visit).await;
}

/// Answers with a response held whole.
pub(crate) async fn answer(
    responder: &mut Responder<'_>,
    timer: &Timer,
    mut head: ResponseHead,
    body: &[u8],
    visit: &mut Visit<'_>,
) {
    visit.dress(&mut head);
    // Boxed, as all that is rare: every request carries the room for what is not.
    Box::pin(send_own(responder, timer, head, body, visit)).await;
}

async fn send_own(
    responder: &mut Responder<'_>,
    timer: &Timer,
    head: ResponseHead,
    body: &[u8],
    visit: &mut Visit<'_>,
) {
    visit.status = Some(head.status());
    let until = timer.now() + OWN_ANSWER_TIME;
    // A client that does not take it is gone, and its connection ends unfinished.
    let _ = timer.within(until, responder.send(head, body)).await;
    visit.bytes_out = responder.body().body_bytes();
}

async fn answer_self(route: &Route, request: &mut Request<'_>, visit: &mut Visit<'_>) {
    let (head, body) = match &route.answer {
        Answer::Redirect { status, to } => {
            let mut head = ResponseHead::new(*status);
            head.fields_mut().append("location", location(route, to, &request.head).as_bytes());
            (head, "")
        }
        Answer::Static { status, content_type, body } => {
            let mut head = ResponseHead::new(*status);
            head.fields_mut().append("content-type", content_type.as_bytes());
            (head, body.as_str())
        }
        Answer::Service(_) => return,
    };
    answer(&mut request.responder, request.timer, head, body.as_bytes(), visit).await;
}

/// The redirect's target, with what the pattern's `*` matched in place of its own, and the query kept.
fn location(route: &Route, to: &str, head: &RequestHead) -> String {
    let Some(base) = to.strip_suffix('*') else { return to.to_owned() };
    let matched = route.pattern.path.segments.len();
    // Without its leading slashes: `//evil.example` behind a bare `/` would name another host.
    let rest = path::after_segments(head.path(), matched).trim_start_matches(['/', '\\']);
    match head.query() {
        Some(query) => format!("{base}{rest}?{query}"),
        None => format!("{base}{rest}"),
    }
}

fn leave_traces(core: &Core, generation: &CoreGeneration, request: &mut Request<'_>, visit: Visit<'_>) {
    let shared = &generation.shared;
    let now = core.now();
    let metrics = &shared.routes[visit.route.unwrap_or(shared.plan.routes.len())];
    let class = (MethodLabel::of(request.head.method_text().as_bytes()), StatusClass::of(visit.status));
    metrics.duration.at(class).record(core.metrics, (now - visit.received).as_nanos() as u64);
    if let Some(access) = core.access.borrow_mut().as_mut() {
        let endpoint = visit.endpoint.map(|endpoint| endpoint.to_string()).unwrap_or_default();
        let names = Names {
            route: visit.route.map_or("", |route| &shared.plan.routes[route].name),
            service: visit.service.map_or("", |service| &shared.plan.services[service].name),
            endpoint: &endpoint,
        };
        access.write(&record(&visit, &request.head, names, now));
    }
    if let Some(counted) = visit.counted {
        counted.finish(now - visit.received);
    }
}
