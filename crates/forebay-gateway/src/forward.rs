//! Sends one request to a service: picks an endpoint, attempts, and attempts again where that is safe and may help.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use forebay_balance::{Pick, Request as PickRequest, Standing, Tried};
use forebay_clock::Moment;
use forebay_discovery::InFlight;
use forebay_http::client::Connection;
use forebay_http::problem::{Fault, Problem};
use forebay_http::server::Request;
use forebay_http::{Name, ResponseHead};
use forebay_retry::{Attempt, Ending, LocalBudget, Nesting, Priority, Reason, Verdict};

use crate::admission::{self, Trial};
use crate::affinity::Affinity;
use crate::attempt::{self, Note, Outcome, RestOfBody};
use crate::core::Core;
use crate::generation::{CoreGeneration, SharedService, Upstream, Upstreams};
use crate::hop::Hop;
use crate::keyed::{self, Keyed};
use crate::pipeline::refuse;
use crate::plan::{Limits, Route, Service};
use crate::replay::Replay;
use crate::visit::Visit;
use crate::{hedge, relay};

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
    pub(crate) priority: Priority,
    pub(crate) affinity: Affinity,
    pub(crate) hop: Hop,
    /// Leave to carry it out once, where it has an `Idempotency-Key`.
    pub(crate) keyed: Option<Keyed>,
}

/// An attempt that has ended.
pub(crate) struct Ended<'e> {
    pub(crate) upstream: &'e Upstream,
    pub(crate) pick: Pick,
    pub(crate) busy: InFlight<'e>,
    pub(crate) outcome: Outcome,
    pub(crate) note: Note,
}

/// What an errand remembers from attempt to attempt.
pub(crate) struct Search<'e> {
    pub(crate) trial: Trial<'e>,
    pub(crate) tried: Tried,
    pub(crate) replay: Replay,
    /// Before the last attempt.
    waited: Duration,
}

/// The answer that the client is to have.
pub(crate) struct Found<'e> {
    pub(crate) upstream: &'e Upstream,
    pub(crate) connection: Box<Connection>,
    pub(crate) head: ResponseHead,
    pub(crate) rest: RestOfBody,
    /// The endpoint is busy until the body is over.
    pub(crate) busy: InFlight<'e>,
}

/// Why there is no answer of the service's.
pub(crate) enum Halt {
    ClientGone,
    /// Ours instead; and how the last attempt ended, if there was one.
    Refused(Box<Problem>, Option<Ending>),
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
    let priority = fields.get(Name::ForebayPriority).and_then(Priority::read).unwrap_or(route.priority);
    fields.remove(Name::ForebayPriority);
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
        priority,
        affinity: Affinity::of(&plan.services[place], route, &request.head, visit.client.address),
        hop,
        keyed: None,
    };
    request.body.limit(route.body_bytes_max);
    match &route.idempotency {
        // Boxed, as all that is rare: every request carries the room for what is not.
        Some(policy) => Box::pin(keyed::run(errand, policy, request, visit)).await,
        None => errand.run(request, visit).await,
    }
    visit.bytes_out = request.responder.body().body_bytes();
}

impl Errand<'_> {
    /// Asks the service until there is an answer or a reason to give up, and gives the client either.
    pub(crate) async fn run(&self, request: &mut Request<'_>, visit: &mut Visit<'_>) {
        self.budget().deposit(request.received);
        if self.deadline <= request.received {
            return refuse(&mut request.responder, request.timer, &expired(), visit).await;
        }
        let permit = match admission::permit(self, request.received) {
            Ok(permit) => permit,
            Err(problem) => return refuse(&mut request.responder, request.timer, &problem, visit).await,
        };
        let trial = match Trial::of(self, request.received) {
            Ok(trial) => trial,
            Err(problem) => return refuse(&mut request.responder, request.timer, &problem, visit).await,
        };
        let upstreams =
            self.generation.upstreams(self.place, request.received, &mut self.core.rng.borrow_mut());
        let replay = Replay::new(self.service.retry.attempts_max, request.head.method(), request.framing);
        let mut search = Search { trial, tried: Tried::default(), replay, waited: Duration::ZERO };
        let found = self.seek(&upstreams, &mut search, request, visit).await;
        search.trial.end(self, &found, self.core.now());
        if let Some(permit) = &permit {
            admission::tell(permit, &found, self.core.now());
        }
        match found {
            Ok(found) => relay::response(self, found, request, visit).await,
            Err(Halt::ClientGone) => {
                visit.failure = Some((forebay_telemetry::access::Side::Client, "client-gone"));
            }
            Err(Halt::Refused(problem, _)) => {
                refuse(&mut request.responder, request.timer, &problem, visit).await;
            }
        }
    }

    async fn seek<'e>(
        &'e self,
        upstreams: &'e Upstreams,
        search: &mut Search<'_>,
        request: &mut Request<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<Found<'e>, Halt> {
        let next = self.pick(upstreams, &search.tried, request.received);
        let mut next = next.ok_or_else(|| Halt::ours(self.no_endpoint()))?;
        loop {
            let ended = self.attempt(upstreams, next, search, request, visit).await;
            let Ended { upstream, pick, busy, outcome, note } = ended;
            visit.endpoint = Some(upstream.endpoint.endpoint.address);
            (visit.bytes_in, visit.upstream_ns) = (note.bytes_in, note.upstream_ns);
            let again = match outcome {
                Outcome::Answered(connection, mut head, rest) => {
                    match self.again(answered(&head), upstreams, search, pick, request, visit) {
                        Ok(again) => again,
                        Err(_) => {
                            let token = upstreams.balancer.fleet().token(pick.index);
                            self.affinity.keep(self.service, token, request.head.scheme(), &mut head);
                            return Ok(Found { upstream, connection, head, rest, busy });
                        }
                    }
                }
                Outcome::Failed(ending, mut problem) => {
                    match self.again(ending, upstreams, search, pick, request, visit) {
                        Ok(again) => again,
                        Err(reason) => {
                            explain(&mut problem, reason, visit.attempts);
                            // What may have been done once is not to be asked for again.
                            problem.retryable &= request.head.method().is_idempotent() || !ending.was_sent();
                            return Err(Halt::Refused(Box::new(problem), Some(ending)));
                        }
                    }
                }
                Outcome::ClientGone => return Err(Halt::ClientGone),
                Outcome::Refused(problem) => {
                    // Where the next request would begin is not known.
                    request.responder.close_after();
                    return Err(Halt::ours(problem));
                }
            };
            drop(busy);
            (next, search.waited) = again;
            request.timer.sleep_until(self.core.now() + search.waited).await;
        }
    }

    /// Makes the attempt, and a second beside it where the service is hedged and the first takes long.
    async fn attempt<'e>(
        &'e self,
        upstreams: &'e Upstreams,
        next: Pick,
        search: &mut Search<'_>,
        request: &mut Request<'_>,
        visit: &mut Visit<'_>,
    ) -> Ended<'e> {
        visit.attempts += 1;
        match hedge::due(self, upstreams, request, visit.attempts) {
            Some(due) => Box::pin(hedge::race(self, upstreams, next, due, search, request, visit)).await,
            None => self.make(upstreams, next, request, &mut search.replay, visit.attempts).await,
        }
    }

    /// Makes one attempt and remembers how it went.
    pub(crate) async fn make<'e>(
        &'e self,
        upstreams: &'e Upstreams,
        pick: Pick,
        request: &mut Request<'_>,
        replay: &mut Replay,
        number: u32,
    ) -> Ended<'e> {
        let metrics = &self.shared().metrics;
        if pick.standing == Standing::Panicked {
            metrics.panics.inc(self.core.metrics);
        }
        let upstream = &upstreams.balancer.endpoints()[pick.index];
        upstream.metrics.attempts.inc(self.core.metrics);
        let busy = upstream.endpoint.live.enter();
        let began = self.core.now();
        let mut note = Note { number, bytes_in: replay.taken(), upstream_ns: None };
        let outcome = attempt::attempt(self, upstream, request, replay, &mut note).await;
        self.learn(upstream, &outcome, began, number);
        Ended { upstream, pick, busy, outcome, note }
    }

    pub(crate) fn pick(&self, upstreams: &Upstreams, tried: &Tried, now: Moment) -> Option<Pick> {
        let Affinity { key, session } = self.affinity;
        let request = PickRequest { key, session, ..PickRequest::new(now, tried) };
        upstreams.balancer.pick(&request, &mut self.core.rng.borrow_mut())
    }

    /// Whether the request is tried again: where, and not before when.
    fn again(
        &self,
        ending: Ending,
        upstreams: &Upstreams,
        search: &mut Search<'_>,
        last: Pick,
        request: &Request<'_>,
        visit: &Visit<'_>,
    ) -> Result<(Pick, Duration), Reason> {
        let now = self.core.now();
        let facts = Attempt {
            number: visit.attempts,
            ending,
            idempotent: request.head.method().is_idempotent(),
            body_replayable: search.replay.is_whole(),
            answered: request.responder.has_started(),
            another_endpoint: false,
            deadline: self.deadline,
            waited: search.waited,
            is_retry_of_caller: self.nesting.is_retry(),
        };
        if let Some(reason) = self.service.retry.objection(&facts) {
            return Err(reason);
        }
        if !search.trial.goes_on() {
            return Err(Reason::CircuitOpen);
        }
        // Only now: a turn that is not taken would skew the round.
        search.tried.insert(last.index);
        let pick = self.pick(upstreams, &search.tried, now).unwrap_or(last);
        let facts = Attempt { another_endpoint: pick.standing == Standing::Untried, ..facts };
        let metrics = &self.shared().metrics;
        match self.service.retry.decide(&facts, self.budget(), now, &mut self.core.rng.borrow_mut()) {
            Verdict::Again { after } => {
                metrics.retries.inc(self.core.metrics);
                Ok((pick, after))
            }
            Verdict::Stop(reason) => {
                if reason == Reason::BudgetExhausted {
                    metrics.denied.inc(self.core.metrics);
                }
                Err(reason)
            }
        }
    }

    /// What all cores share of the service.
    pub(crate) fn shared(&self) -> &SharedService {
        &self.generation.shared.services[self.place]
    }

    pub(crate) fn budget(&self) -> &LocalBudget {
        &self.generation.services[self.place].budget
    }

    /// To be called before a byte of the request is written to an endpoint.
    pub(crate) fn sending(&self) {
        if let Some(keyed) = &self.keyed {
            keyed.sending();
        }
    }

    /// Makes the service's answer say what pages of other origins may do with it, whatever the service says.
    pub(crate) fn dress(&self, head: &mut ResponseHead, visit: &Visit<'_>) {
        let removed = visit.dress(head);
        if let Some(cors) = visit.cors.as_ref().filter(|_| removed > 0) {
            self.generation.shared.cors[cors.place].metrics.record_stripped(self.core.metrics, removed);
        }
    }

    fn no_endpoint(&self) -> Problem {
        let absence = self.shared().live.absence();
        let because = if absence.is_empty() { String::new() } else { format!(": {absence}") };
        let detail = format!("service {} has no endpoint at present{because}", self.service.name);
        let problem = Problem::new(503, "no-endpoint", Fault::Upstream, detail);
        Problem { retry_after_s: Some(RETRY_AFTER_S), ..problem }
    }
}

impl Halt {
    fn ours(problem: Problem) -> Halt {
        Halt::Refused(Box::new(problem), None)
    }
}

/// The ending that a whole response head is.
pub(crate) fn answered(head: &ResponseHead) -> Ending {
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
fn explain(problem: &mut Problem, reason: Reason, attempts: u32) {
    if reason != Reason::NotRetried {
        let times = if attempts == 1 { "attempt" } else { "attempts" };
        problem.detail = format!("{} ({attempts} {times}; {reason})", problem.detail);
    }
}
