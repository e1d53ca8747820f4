//! A small question to a service on behalf of a request: through its balancer and its kept connections, with a second
//! try elsewhere when the first endpoint is not reached.

use std::rc::Rc;

use bytes::Bytes;
use forebay_auth::ANSWER_BYTES_MAX;
use forebay_balance::{Request as PickRequest, Tried};
use forebay_clock::Moment;
use forebay_http::client::{Connection, exchange};
use forebay_http::timer::Timer;
use forebay_http::{RequestHead, ResponseHead};

use crate::core::Core;
use crate::generation::{CoreGeneration, Upstream};
use crate::learning::SUSPECT_TIME;

/// Endpoints that are asked. Another try would make everybody behind the question wait for longer.
const ATTEMPTS_MAX: usize = 2;

/// The head of the answer; `None` when nobody answers until then.
pub(crate) async fn ask(
    core: &Core,
    generation: &Rc<CoreGeneration>,
    service: usize,
    mut head: RequestHead,
    timer: &Timer,
    until: Moment,
) -> Option<ResponseHead> {
    let upstreams = generation.upstreams(service, core.now(), &mut core.rng.borrow_mut());
    let mut tried = Tried::default();
    for _ in 0..ATTEMPTS_MAX {
        let now = core.now();
        let pick = upstreams.balancer.pick(&PickRequest::new(now, &tried), &mut core.rng.borrow_mut())?;
        tried.insert(pick.index);
        let upstream = &upstreams.balancer.endpoints()[pick.index];
        if let Some(authority) = &upstream.endpoint.endpoint.authority {
            head.fields_mut().set("host", authority.as_bytes());
        }
        upstream.metrics.attempts.inc(core.metrics);
        let _busy = upstream.endpoint.live.enter();
        match timer.within(until, attempt(core, generation, upstream, &head, timer, until)).await {
            Some(Some(answer)) => {
                upstream.endpoint.live.trust();
                return Some(answer);
            }
            Some(None) => {
                upstream.metrics.failures.inc(core.metrics);
                let now = core.now();
                generation.shared.services[service].live.suspect(&upstream.endpoint, now, now + SUSPECT_TIME);
            }
            None => {
                upstream.metrics.failures.inc(core.metrics);
                return None;
            }
        }
    }
    None
}

/// Asks one endpoint. A kept connection that turns out to be closed is replaced by a fresh one.
async fn attempt(
    core: &Core,
    generation: &CoreGeneration,
    upstream: &Upstream,
    head: &RequestHead,
    timer: &Timer,
    until: Moment,
) -> Option<ResponseHead> {
    let id = u64::from(upstream.id().0);
    if let Some(mut kept) = core.pool.take(id, core.now(), false)
        && let Ok((answer, _)) = exchange(&mut kept, head, Bytes::new(), ANSWER_BYTES_MAX).await
    {
        keep(core, id, kept);
        return Some(answer);
    }
    let limits = &generation.shared.plan.limits;
    let until = until.min(core.now() + limits.connect_timeout);
    let address = upstream.endpoint.endpoint.address;
    let opened = Connection::open(address, upstream.tls.as_ref(), limits.head, timer, until).await;
    let mut connection = Box::new(opened.ok()?);
    let (answer, _) = exchange(&mut connection, head, Bytes::new(), ANSWER_BYTES_MAX).await.ok()?;
    keep(core, id, connection);
    Some(answer)
}

fn keep(core: &Core, id: u64, connection: Box<Connection>) {
    if connection.is_reusable() {
        core.pool.put(id, connection, core.now());
    }
}
