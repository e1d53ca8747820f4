//! Sends one request to a service: picks an endpoint, attempts, and attempts again where that is safe and may help.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use forebay_balance::{Pick, Request as PickRequest, Standing, Tried};
use forebay_clock::Moment;
use forebay_discovery::Met;
use forebay_http::problem::{Fault, Problem};
use forebay_http::server::Request;
use forebay_http::{Name, ResponseHead};
use forebay_retry::{Attempt, Ending, Nesting, Reason, Verdict};

use crate::affinity::Affinity;
use crate::attempt::{self, Outcome};
use crate::core::Core;
use crate::generation::{CoreGeneration, SharedService, Upstream, Upstreams};
use crate::hop::Hop;
use crate::pipeline::refuse;
use crate::plan::{Limits, Route, Service};
use crate::relay;
use crate::replay::Replay;
use crate::visit::Visit;

/// How long an endpoint that could not be reached is left alone, where there is another.
const SUSPECT_TIME: Duration = Duration::from_secs(1);
/// What a client is told to wait for when a service has no endpoint.
const RETRY_AFTER_S: u32 = 1;

/// One request on its way to a service.
pub(crate) struct Errand<'a> {
    pub(crate) core: &'a Core,
    pub(crate) generation: &'a CoreGeneration,
    pub(crate) limits: &'a Limits,
    pub(crate) route: &'a Route,
    pub(crate) service: &'a Service,
    pub(crate) place: usize,
    pub(crate) deadline: Moment,
    /// Whether the deadline is the caller's, sooner than our own.
    pub(crate) is_in_a_hurry: bool,
    /// Which attempt of its caller's the request is.
    pub(crate) nesting: Nesting,
    pub(crate) affinity: Affinity,
    pub(crate) hop: Hop,
}

/// Has the service at `place` answer the request.
pub(crate) async fn forward(
    core: &Core,
    generation: &Rc<CoreGeneration>,
    route: &Route,
    place: usize,
    hop: Hop,
    request: &mut Request<'_>,
    visit: &mut Visit<'_>,
) {
    let plan = &generation.shared.plan;
    let fields = request.head.fields_mut();
    let own = request.received + route.timeout;
    let deadline = forebay_retry::shortened(own, request.received, fields.get(Name::ForebayTimeoutMs));
    let nesting = Nesting::read(fields.get(Name::ForebayAttempt));
    fields.remove(Name::ForebayAttempt);
    let errand = Errand {
        core,
        generation,
        limits: &plan.limits,
        route,
        service: &plan.services[place],
        place,
        deadline,
        is_in_a_hurry: deadline < own,
        nesting,
        affinity: Affinity::of(&plan.services[place], route, &request.head, visit.client.address),
        hop,
    };
    request.body.limit(route.body_bytes_max);
    let upstreams = generation.upstreams(place, &mut core.rng.borrow_mut());
    errand.run(&upstreams, request, visit).await;
    visit.bytes_out = request.responder.body().body_bytes();
}

impl Errand<'_> {
    async fn run(&self, upstreams: &Upstreams, request: &mut Request<'_>, visit: &mut Visit<'_>) {
        let shared = &self.generation.shared.services[self.place];
        let budget = &self.generation.services[self.place].budget;
        budget.deposit(request.received);
        if self.deadline <= request.received {
            return refuse(&mut request.responder, request.timer, &expired(), visit).await;
        }
        let mut waited = Duration::ZERO;
        let mut tried = Tried::default();
        let mut replay = Replay::new(self.service.retry.attempts_max, request.head.method(), request.framing);
        let Some(mut pick) = self.pick(upstreams, &tried, request.received) else {
            return refuse(&mut request.responder, request.timer, &self.no_endpoint(), visit).await;
        };
        loop {
            visit.attempts += 1;
            if pick.standing == Standing::Panicked {
                shared.metrics.panics.inc(self.core.metrics);
            }
            let upstream = &upstreams.balancer.endpoints()[pick.index];
            visit.endpoint = Some(upstream.endpoint.endpoint.address);
            upstream.metrics.attempts.inc(self.core.metrics);
            let busy = upstream.endpoint.live.enter();
            let began = self.core.now();
            let outcome = attempt::attempt(self, upstream, request, &mut replay, visit).await;
            let (ending, problem) = match outcome {
                Outcome::Answered(connection, mut head, rest) => {
                    upstream.endpoint.live.trust();
                    self.record(upstream, Met::Answer(head.status()), self.core.now() - began, shared);
                    let ending = answered(&head);
                    let token = upstreams.balancer.fleet().token(pick.index);
                    self.affinity.keep(self.service, token, request.head.scheme(), &mut head);
                    let again =
                        self.decide(ending, upstreams, &mut tried, pick, request, &replay, waited, visit);
                    let Ok((next, wait)) = again else {
                        return relay::response(self, upstream, connection, (head, rest), request, visit)
                            .await;
                    };
                    drop((busy, connection));
                    (pick, waited) = (next, wait);
                    request.timer.sleep_until(self.core.now() + wait).await;
                    continue;
                }
                Outcome::ClientGone => {
                    visit.failure = Some((forebay_telemetry::access::Side::Client, "client-gone"));
                    return;
                }
                Outcome::Refused(problem) => {
                    // Where the next request would begin is not known.
                    request.responder.close_after();
                    return refuse(&mut request.responder, request.timer, &problem, visit).await;
                }
                Outcome::Failed(ending, problem) => (ending, problem),
            };
            drop(busy);
            self.missed(upstream, ending, began, shared);
            match self.decide(ending, upstreams, &mut tried, pick, request, &replay, waited, visit) {
                Ok((next, wait)) => {
                    (pick, waited) = (next, wait);
                    request.timer.sleep_until(self.core.now() + wait).await;
                }
                Err(reason) => {
                    let mut problem = explain(problem, reason, visit.attempts);
                    // What may have been done once is not to be asked for again.
                    problem.retryable &= request.head.method().is_idempotent() || !ending.was_sent();
                    return refuse(&mut request.responder, request.timer, &problem, visit).await;
                }
            }
        }
    }

    /// Makes the service's answer say what pages of other origins may do with it, whatever the service says.
    pub(crate) fn dress(&self, head: &mut ResponseHead, visit: &Visit<'_>) {
        let removed = visit.dress(head);
        if let Some(cors) = visit.cors.as_ref().filter(|_| removed > 0) {
            self.generation.shared.cors[cors.place].metrics.record_stripped(self.core.metrics, removed);
        }
    }

    /// Remembers that an attempt brought no response.
    fn missed(&self, upstream: &Upstream, ending: Ending, began: Moment, shared: &SharedService) {
        upstream.metrics.failures.inc(self.core.metrics);
        let now = self.core.now();
        if ending != Ending::TimedOut {
            upstream.endpoint.live.suspect_until(now + SUSPECT_TIME);
        } else if self.is_in_a_hurry {
            // Or else a stranger could have endpoints ejected by giving them no time.
            return;
        }
        self.record(upstream, Met::Nothing, now - began, shared);
    }

    /// Remembers what an attempt met, for good or bad.
    fn record(&self, upstream: &Upstream, met: Met, took: Duration, shared: &SharedService) {
        if let Some(latency) = &upstream.latency {
            match met {
                Met::Answer(status) if status < 500 => latency.observe(self.core.now(), took),
                _ => latency.observe_failure(self.core.now(), took),
            }
        }
        let Some(settings) = &self.service.definition.outlier else { return };
        let live = &upstream.endpoint.live;
        let Some(ejection) = shared.live.record(live, settings, met, self.core.now()) else { return };
        shared.metrics.ejections.inc(self.core.metrics);
        tracing::warn!(
            service = &*self.service.name,
            endpoint = %upstream.endpoint.endpoint.address,
            cause = %ejection.cause,
            for_s = ejection.until.since(self.core.now()).as_secs(),
            "endpoint is left alone"
        );
    }

    fn pick(&self, upstreams: &Upstreams, tried: &Tried, now: Moment) -> Option<Pick> {
        let Affinity { key, session } = self.affinity;
        let request = PickRequest { key, session, ..PickRequest::new(now, tried) };
        upstreams.balancer.pick(&request, &mut self.core.rng.borrow_mut())
    }

    /// Whether the request is tried again: where, and not before when.
    #[expect(clippy::too_many_arguments, reason = "the facts of one attempt; they have no other home")]
    fn decide(
        &self,
        ending: Ending,
        upstreams: &Upstreams,
        tried: &mut Tried,
        last: Pick,
        request: &Request<'_>,
        replay: &Replay,
        waited: Duration,
        visit: &Visit<'_>,
    ) -> Result<(Pick, Duration), Reason> {
        let now = self.core.now();
        let facts = Attempt {
            number: visit.attempts,
            ending,
            idempotent: request.head.method().is_idempotent(),
            body_replayable: replay.is_whole(),
            answered: request.responder.has_started(),
            another_endpoint: false,
            deadline: self.deadline,
            waited,
            is_retry_of_caller: self.nesting.is_retry(),
        };
        if let Some(reason) = self.service.retry.objection(&facts) {
            return Err(reason);
        }
        // Only now: a turn that is not taken would skew the round.
        tried.insert(last.index);
        let next = self.pick(upstreams, tried, now).unwrap_or(last);
        let facts = Attempt { another_endpoint: next.standing == Standing::Untried, ..facts };
        let metrics = &self.generation.shared.services[self.place].metrics;
        let budget = &self.generation.services[self.place].budget;
        match self.service.retry.decide(&facts, budget, now, &mut self.core.rng.borrow_mut()) {
            Verdict::Again { after } => {
                metrics.retries.inc(self.core.metrics);
                Ok((next, after))
            }
            Verdict::Stop(reason) => {
                if reason == Reason::BudgetExhausted {
                    metrics.denied.inc(self.core.metrics);
                }
                Err(reason)
            }
        }
    }

    fn no_endpoint(&self) -> Problem {
        let detail = format!("service {} has no endpoint at present", self.service.name);
        let problem = Problem::new(503, "no-endpoint", Fault::Upstream, detail);
        Problem { retry_after_s: Some(RETRY_AFTER_S), ..problem }
    }
}

/// The ending that a whole response head is.
fn answered(head: &ResponseHead) -> Ending {
    let field = head.fields().get(Name::RetryAfter);
    let retry_after = field.and_then(|value| forebay_retry::retry_after(value, SystemTime::now()));
    Ending::Answered { status: head.status(), retry_after }
}

/// The caller had no time left when its request came.
fn expired() -> Problem {
    let detail = "the caller's time was over when the request arrived (forebay-timeout-ms: 0)";
    Problem::new(504, "deadline-expired", Fault::Client, detail)
}

/// Says with the failure why it was left at that.
fn explain(mut problem: Problem, reason: Reason, attempts: u32) -> Problem {
    if reason != Reason::NotRetried {
        let times = if attempts == 1 { "attempt" } else { "attempts" };
        problem.detail = format!("{} ({attempts} {times}; {reason})", problem.detail);
    }
    problem
}
