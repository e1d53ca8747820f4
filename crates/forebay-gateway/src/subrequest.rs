//! A small question to a service on behalf of a request: through its balancer and its kept connections, with a second
//! try elsewhere when the first endpoint is not reached.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use forebay_auth::{ANSWER_BYTES_MAX, Silence};
use forebay_balance::{Request as PickRequest, Tried};
use forebay_clock::Moment;
use forebay_http::client::{ConnectError, Connection, FetchError, exchange};
use forebay_http::reader::ReadError;
use forebay_http::timer::Timer;
use forebay_http::{RequestHead, ResponseHead};

use crate::core::Core;
use crate::fetch_keys::whole;
use crate::generation::{CoreGeneration, Upstream};
use crate::learning::SUSPECT_TIME;

/// Endpoints that are asked. Another try would make everybody behind the question wait for longer.
const ATTEMPTS_MAX: usize = 2;

/// Why nobody answered: what kind of silence, and in words for those who run it.
pub(crate) struct Unanswered {
    pub(crate) silence: Silence,
    pub(crate) detail: String,
}

/// The head of the answer and who gave it, or why nobody did until then.
pub(crate) async fn ask(
    core: &Core,
    generation: &Rc<CoreGeneration>,
    service: usize,
    mut head: RequestHead,
    timer: &Timer,
    until: Moment,
) -> Result<(ResponseHead, SocketAddr), Unanswered> {
    let upstreams = generation.upstreams(service, core.now(), &mut core.rng.borrow_mut());
    let mut tried = Tried::default();
    let mut missed = None;
    for _ in 0..ATTEMPTS_MAX {
        let now = core.now();
        let pick = upstreams.balancer.pick(&PickRequest::new(now, &tried), &mut core.rng.borrow_mut());
        let Some(pick) = pick else { break };
        tried.insert(pick.index);
        let upstream = &upstreams.balancer.endpoints()[pick.index];
        let address = upstream.endpoint.endpoint.address;
        if let Some(authority) = &upstream.endpoint.endpoint.authority {
            head.fields_mut().set("host", authority.as_bytes());
        }
        upstream.metrics.attempts.inc(core.metrics);
        let _busy = upstream.endpoint.live.enter();
        let answer = timer.within(until, attempt(core, generation, upstream, &head, timer, until)).await;
        let error = match answer {
            Some(Ok(answer)) => {
                upstream.endpoint.live.trust();
                return Ok((answer, address));
            }
            Some(Err(error)) => error,
            None => FetchError::TimedOut,
        };
        upstream.metrics.failures.inc(core.metrics);
        let silence = silence(&error);
        missed = Some(Unanswered { silence, detail: format!("{address}: {}", whole(&error)) });
        if core.now() >= until {
            break;
        }
        let now = core.now();
        generation.shared.services[service].live.suspect(&upstream.endpoint, now, now + SUSPECT_TIME);
    }
    Err(missed.unwrap_or_else(|| Unanswered {
        silence: Silence::NoEndpoint,
        detail: "the service has no endpoint".to_owned(),
    }))
}

/// What kind of silence an exchange that failed is.
fn silence(error: &FetchError) -> Silence {
    match error {
        FetchError::TimedOut => Silence::TimedOut,
        FetchError::Connect(ConnectError::TimedOut | ConnectError::Tcp(_) | ConnectError::Tls(_)) => {
            Silence::NotReached
        }
        FetchError::Send(_) | FetchError::Receive(ReadError::Broken(_) | ReadError::Incomplete) => {
            Silence::BrokeOff
        }
        FetchError::Receive(ReadError::TooLarge | ReadError::Malformed(_)) | FetchError::TooLarge { .. } => {
            Silence::Unclear
        }
    }
}

/// Asks one endpoint. A kept connection that turns out to be closed is replaced by a fresh one.
async fn attempt(
    core: &Core,
    generation: &CoreGeneration,
    upstream: &Upstream,
    head: &RequestHead,
    timer: &Timer,
    until: Moment,
) -> Result<ResponseHead, FetchError> {
    let id = u64::from(upstream.id().0);
    if let Some(mut kept) = core.pool.take(id, core.now(), false)
        && let Ok((answer, _)) = exchange(&mut kept, head, Bytes::new(), ANSWER_BYTES_MAX).await
    {
        keep(core, id, kept);
        return Ok(answer);
    }
    let limits = &generation.shared.plan.limits;
    let until = until.min(core.now() + limits.connect_timeout);
    let address = upstream.endpoint.endpoint.address;
    let opened = Connection::open(address, upstream.tls.as_ref(), limits.head, timer, until).await;
    let mut connection = Box::new(opened?);
    let (answer, _) = exchange(&mut connection, head, Bytes::new(), ANSWER_BYTES_MAX).await?;
    keep(core, id, connection);
    Ok(answer)
}

fn keep(core: &Core, id: u64, connection: Box<Connection>) {
    if connection.is_reusable() {
        core.pool.put(id, connection, core.now());
    }
}
