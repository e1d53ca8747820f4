//! Sends one request to a service: picks an endpoint, attempts, and attempts again where that is safe and may help.

use std::rc::Rc;
use std::time::Duration;

use forebay_balance::{Pick, Request as PickRequest, Standing, Tried};
use forebay_clock::Moment;
use forebay_http::problem::{Fault, Problem};
use forebay_http::server::Request;
use forebay_retry::{Attempt, Ending, Reason, Verdict};

use crate::attempt::{self, Outcome};
use crate::core::Core;
use crate::generation::{CoreGeneration, Upstreams};
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
    visit: &mut Visit,
) {
    let plan = &generation.shared.plan;
    let errand = Errand {
        core,
        generation,
        limits: &plan.limits,
        route,
        service: &plan.services[place],
        place,
        deadline: request.received + route.timeout,
        hop,
    };
    request.body.limit(route.body_bytes_max);
    let upstreams = generation.upstreams(place, &mut core.rng.borrow_mut());
    errand.run(&upstreams, request, visit).await;
    visit.bytes_out = request.responder.body().body_bytes();
}

impl Errand<'_> {
    async fn run(&self, upstreams: &Upstreams, request: &mut Request<'_>, visit: &mut Visit) {
        let shared = &self.generation.shared.services[self.place];
        let budget = &self.generation.services[self.place].budget;
        budget.deposit(request.received);
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
            let outcome = attempt::attempt(self, upstream, request, &mut replay, visit).await;
            let (ending, problem) = match outcome {
                Outcome::Answered(connection, head, rest) => {
                    upstream.endpoint.live.trust();
                    let ending = Ending::Answered { status: head.status() };
                    if !self.service.retry.conditions.cover(ending)
                        || visit.attempts >= self.service.retry.attempts_max
                    {
                        return relay::response(self, upstream, connection, (head, rest), request, visit)
                            .await;
                    }
                    match self.decide(ending, upstreams, &mut tried, pick, request, &replay, visit) {
                        Ok((next, wait)) => {
                            drop((busy, connection));
                            pick = next;
                            request.timer.sleep_until(wait).await;
                            continue;
                        }
                        Err(_) => {
                            return relay::response(self, upstream, connection, (head, rest), request, visit)
                                .await;
                        }
                    }
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
            upstream.metrics.failures.inc(self.core.metrics);
            if !matches!(ending, Ending::TimedOut | Ending::Answered { .. }) {
                upstream.endpoint.live.suspect_until(self.core.now() + SUSPECT_TIME);
            }
            match self.decide(ending, upstreams, &mut tried, pick, request, &replay, visit) {
                Ok((next, wait)) => {
                    pick = next;
                    request.timer.sleep_until(wait).await;
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

    fn pick(&self, upstreams: &Upstreams, tried: &Tried, now: Moment) -> Option<Pick> {
        let request = PickRequest { now, tried, key: None };
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
        visit: &Visit,
    ) -> Result<(Pick, Moment), Reason> {
        let now = self.core.now();
        tried.insert(last.index);
        let next = self.pick(upstreams, tried, now).unwrap_or(last);
        let facts = Attempt {
            number: visit.attempts,
            ending,
            idempotent: request.head.method().is_idempotent(),
            body_replayable: replay.is_whole(),
            answered: request.responder.has_started(),
            another_endpoint: next.standing == Standing::Untried,
            deadline: self.deadline,
        };
        let metrics = &self.generation.shared.services[self.place].metrics;
        let budget = &self.generation.services[self.place].budget;
        match self.service.retry.decide(&facts, budget, now, &mut self.core.rng.borrow_mut()) {
            Verdict::Again { after } => {
                metrics.retries.inc(self.core.metrics);
                Ok((next, now + after))
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

/// Says with the failure why it was left at that.
fn explain(mut problem: Problem, reason: Reason, attempts: u32) -> Problem {
    if reason != Reason::NotRetried {
        let times = if attempts == 1 { "attempt" } else { "attempts" };
        problem.detail = format!("{} ({attempts} {times}; {reason})", problem.detail);
    }
    problem
}
