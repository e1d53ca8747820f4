//! A second attempt beside one that takes long: whichever answers well first is the answer. Only for requests without a
//! body, which can be copied for nothing.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use forebay_balance::{Pick, Standing, Tried};
use forebay_clock::Moment;
use forebay_http::body::{Collected, Incoming};
use forebay_http::framing::Framing;
use forebay_http::server::{InternalFate, Request, Responder};
use forebay_retry::{Waiting, is_failure};

use crate::admission::Trial;
use crate::attempt::Outcome;
use crate::forward::{Ended, Errand, Search, answered};
use crate::generation::Upstreams;
use crate::replay::Replay;
use crate::visit::Visit;

/// When the attempt that is about to be made is to have a second beside it; `None` for never.
pub(crate) fn due(
    errand: &Errand<'_>,
    upstreams: &Upstreams,
    request: &Request<'_>,
    attempts: u32,
) -> Option<Moment> {
    let hedge = errand.service.hedge.as_ref()?;
    let waiting = Waiting {
        since: errand.core.now(),
        attempts,
        idempotent: request.head.method().is_idempotent(),
        body_replayable: request.framing == Framing::None && errand.hop.upgrade.is_none(),
        another_endpoint: upstreams.balancer.endpoints().len() > 1,
        deadline: errand.deadline,
        is_retry_of_caller: errand.nesting.is_retry(),
    };
    let latencies = errand.shared().state.latencies.as_ref();
    hedge.due(&waiting, latencies.and_then(|latencies| latencies.measured()))
}

/// Makes an attempt, and from `due` on a second one elsewhere.
pub(crate) async fn race<'e>(
    errand: &'e Errand<'_>,
    upstreams: &'e Upstreams,
    next: Pick,
    due: Moment,
    search: &mut Search<'_>,
    request: &mut Request<'_>,
    visit: &mut Visit<'_>,
) -> Ended<'e> {
    // Before the first attempt says its own things in it.
    let head = request.head.freeze();
    let (peer, received, place, began) = (request.peer, request.received, next.index, errand.core.now());
    // The connection's own is the first attempt's.
    let timer = errand.core.server.sweeper.timer();
    let mut first = pin!(errand.make(upstreams, next, request, &mut search.replay, visit.attempts));
    if let Some(ended) = timer.within(due, first.as_mut()).await {
        return ended;
    }
    search.tried.insert(place);
    let Some(other) = elsewhere(errand, upstreams, &search.tried, &search.trial) else { return first.await };
    search.tried.insert(other.index);
    visit.attempts += 1;
    errand.shared().metrics.hedges.inc(errand.core.metrics);
    let (mut collected, fate) = (Collected::default(), InternalFate::default());
    let responder = Responder::collect(&mut collected, head.method(), &errand.core.server.dates, &fate);
    let body = Incoming::empty();
    let mut copy = Request { head, framing: Framing::None, body, responder, peer, timer: &timer, received };
    let mut replay = Replay::new(1, copy.head.method(), Framing::None);
    let mut second = pin!(errand.make(upstreams, other, &mut copy, &mut replay, visit.attempts));
    let winner = faster(first.as_mut(), second.as_mut()).await;
    if winner.pick.index != place {
        errand.outrun(&upstreams.balancer.endpoints()[place], began);
    }
    winner
}

/// Another endpoint, if there is one, the breaker lets us and the budget pays.
fn elsewhere(errand: &Errand<'_>, upstreams: &Upstreams, tried: &Tried, trial: &Trial<'_>) -> Option<Pick> {
    let now = errand.core.now();
    let pick = errand.pick(upstreams, tried, now)?;
    if pick.standing != Standing::Untried || !trial.goes_on() {
        return None;
    }
    if !errand.budget().try_withdraw(now) {
        errand.shared().metrics.denied.inc(errand.core.metrics);
        return None;
    }
    Some(pick)
}

/// The first good answer; without one the better of both.
async fn faster<'e>(
    mut one: Pin<&mut impl Future<Output = Ended<'e>>>,
    mut other: Pin<&mut impl Future<Output = Ended<'e>>>,
) -> Ended<'e> {
    let mut ended: [Option<Ended<'e>>; 2] = [None, None];
    poll_fn(|cx| {
        if ended[0].is_none()
            && let Poll::Ready(done) = one.as_mut().poll(cx)
        {
            ended[0] = Some(done);
        }
        if ended[1].is_none()
            && let Poll::Ready(done) = other.as_mut().poll(cx)
        {
            ended[1] = Some(done);
        }
        if ended.iter().any(|ended| rank(ended) == Rank::Good) || ended.iter().all(Option::is_some) {
            let [one, other] = std::mem::take(&mut ended);
            let better = if rank(&other) > rank(&one) { other } else { one };
            return better.map_or(Poll::Pending, Poll::Ready);
        }
        Poll::Pending
    })
    .await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Nothing,
    Bad,
    Good,
}

fn rank(ended: &Option<Ended<'_>>) -> Rank {
    match ended.as_ref().map(|ended| &ended.outcome) {
        Some(Outcome::Answered(_, head, _)) if is_failure(answered(head)) => Rank::Bad,
        Some(Outcome::Answered(..)) => Rank::Good,
        // The client is gone: nobody waits for the other.
        Some(Outcome::ClientGone) => Rank::Good,
        Some(Outcome::Failed(..) | Outcome::Refused(_)) | None => Rank::Nothing,
    }
}
