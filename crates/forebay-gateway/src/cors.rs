//! The outermost stage: which policy a request falls under, what it says, and how it dresses the answer. Never decides by
//! itself: that is `forebay-cors`.

use std::sync::{Arc, Mutex};

use forebay_cors::{Ask, CorsMetrics, Decision, DeniedCalls, Outcome, Policy, Verdict};
use forebay_http::{Fields, RequestHead, ResponseHead, Scheme};
use forebay_telemetry::metrics;

use crate::plan::Plan;
use crate::router::Match;

/// What a policy says of one request.
#[derive(Debug)]
pub struct CrossOrigin<'p> {
    /// The policy, by its place in the plan.
    pub place: usize,
    policy: &'p Policy,
    // A decision holds the origin's text: too much to carry along in every request.
    decision: Box<Decision>,
}

/// What a browser wants.
pub(crate) enum Asked<'p> {
    /// Permission: this is the answer, and nothing behind this stage learns of it.
    Preflight {
        /// The route that permission is asked for.
        route: Option<usize>,
        /// For metrics and log.
        cors: CrossOrigin<'p>,
        /// Without a body.
        answer: Box<ResponseHead>,
    },
    /// Anything else.
    Other(Option<CrossOrigin<'p>>),
}

/// Asks the policy of the route that the request is for, or asks permission for. `find` looks routes up by method.
pub(crate) fn ask<'p>(
    plan: &'p Plan,
    head: &RequestHead,
    found: &Match,
    find: impl Fn(&str) -> Match,
) -> Asked<'p> {
    if plan.cors.is_empty() {
        return Asked::Other(None);
    }
    let wanted;
    let subject = match wanted_method(head) {
        Some(method) => {
            wanted = find(method);
            &wanted
        }
        None => found,
    };
    let Some(place) = policy_of(plan, subject, find) else { return Asked::Other(None) };
    let policy = &plan.cors[place].policy;
    match policy.decide(&asked(head), head.fields()) {
        Verdict::Answer(preflight) => {
            let mut answer = ResponseHead::new(preflight.status());
            preflight.edits().apply_to_head(&mut answer);
            let cors = CrossOrigin { place, policy, decision: Box::new(preflight.decision()) };
            let route = match subject {
                Match::Route(route) => Some(*route),
                Match::WrongMethod { .. } | Match::None => None,
            };
            Asked::Preflight { route, cors, answer: Box::new(answer) }
        }
        Verdict::Pass(decision) => {
            Asked::Other(Some(CrossOrigin { place, policy, decision: Box::new(decision) }))
        }
    }
}

/// The method that a preflight asks permission for. It is that method's route whose policy counts: `OPTIONS` may lead
/// elsewhere.
fn wanted_method(head: &RequestHead) -> Option<&str> {
    let fields = head.fields();
    if head.method_text() != "OPTIONS" || fields.value("origin").is_none() {
        return None;
    }
    fields.value("access-control-request-method").and_then(|method| std::str::from_utf8(method).ok())
}

/// Where no route takes the method, those that take others on this path have a say, so that a page may read the refusal.
fn policy_of(plan: &Plan, found: &Match, find: impl Fn(&str) -> Match) -> Option<usize> {
    match found {
        Match::Route(route) => plan.routes[*route].cors,
        Match::WrongMethod { allow } => {
            let other = |method| match find(method) {
                Match::Route(route) => plan.routes[route].cors,
                Match::WrongMethod { .. } | Match::None => None,
            };
            allow.split(", ").find_map(other).or(plan.cors_default)
        }
        Match::None => plan.cors_default,
    }
}

/// The request line's part.
fn asked(head: &RequestHead) -> Ask<'_> {
    let scheme = match head.scheme() {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    Ask { method: head.method_text(), scheme, authority: head.authority() }
}

impl CrossOrigin<'_> {
    /// What was decided.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Makes an answer say what the policy says, whoever it is from; returns how many fields of the service's own it took
    /// off.
    pub fn dress(&self, head: &mut ResponseHead) -> usize {
        self.policy.edits(&self.decision).apply_to_head(head)
    }

    /// The outcome, for logs; `None` where no page of another origin asked.
    pub fn outcome(&self) -> Option<&'static str> {
        let outcome = self.decision.outcome();
        (outcome != Outcome::NotCors).then(|| outcome.text())
    }
}

/// What all cores count of a policy.
pub(crate) struct SharedCors {
    pub(crate) metrics: CorsMetrics,
    denied: Arc<Mutex<DeniedCalls>>,
}

impl SharedCors {
    pub(crate) fn new(metrics: CorsMetrics, denied: Arc<Mutex<DeniedCalls>>) -> SharedCors {
        SharedCors { metrics, denied }
    }

    /// Counts a decision, and remembers who was denied.
    pub(crate) fn record(&self, core: metrics::Core, cors: &CrossOrigin<'_>, head: &RequestHead) {
        self.metrics.record(core, &cors.decision);
        if !matches!(cors.decision.outcome(), Outcome::Denied(_)) {
            return;
        }
        // A core that finds another at it goes on: what is frequent will come again.
        if let Ok(mut denied) = self.denied.try_lock() {
            denied.record(&asked(head), head.fields());
        }
    }
}
