//! Calls a second time what takes long, and takes the answer that comes first.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_clock::{Clock, Moment};
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxFuture, call, take_ready};
use crate::sleep::within;
use crate::{Budget, Hedge, Latencies, Sleep, Waiting};

/// Hedges the calls of a service, of which requests are clones. Where the second goes is the service's to say: below
/// should be something that balances.
#[derive(Clone, Debug)]
pub struct HedgeLayer<S, M> {
    hedge: Hedge,
    latencies: Arc<Latencies>,
    budget: Arc<Budget>,
    clock: Clock,
    sleep: S,
    may: M,
    counts: bool,
}

impl<S, M> HedgeLayer<S, M> {
    /// Hedges the requests of which `may` says that to do them twice does no harm, and pays for it out of `budget`.
    pub fn new(hedge: Hedge, budget: Arc<Budget>, clock: Clock, sleep: S, may: M) -> HedgeLayer<S, M> {
        let latencies = Arc::new(Latencies::new(hedge.percentile_permille().unwrap_or_default()));
        HedgeLayer { hedge, latencies, budget, clock, sleep, may, counts: false }
    }

    /// Counts calls for the budget as well. Without a retry layer above that shares the budget nobody else does, and with one
    /// each call would earn twice.
    #[must_use]
    pub fn counting(self) -> HedgeLayer<S, M> {
        HedgeLayer { counts: true, ..self }
    }

    /// When to call a second time.
    fn due<Req>(&self, request: &Req, since: Moment) -> Option<Moment>
    where
        M: Fn(&Req) -> bool,
    {
        let waiting = Waiting {
            since,
            attempts: 1,
            idempotent: (self.may)(request),
            body_replayable: true,
            another_endpoint: true,
            deadline: Moment::NEVER,
            is_retry_of_caller: false,
        };
        self.hedge.due(&waiting, self.latencies.measured())
    }
}

impl<I, S: Clone, M: Clone> Layer<I> for HedgeLayer<S, M> {
    type Service = HedgeService<I, S, M>;

    fn layer(&self, inner: I) -> Self::Service {
        HedgeService { inner, layer: self.clone() }
    }
}

/// What [`HedgeLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct HedgeService<I, S, M> {
    inner: I,
    layer: HedgeLayer<S, M>,
}

impl<I, S, M, Req> Service<Req> for HedgeService<I, S, M>
where
    I: Service<Req> + Clone + Send + 'static,
    I::Response: Send,
    I::Error: Send,
    I::Future: Send,
    Req: Clone + Send + Sync + 'static,
    S: Sleep + Clone + Send + Sync + 'static,
    S::Sleeping: Send,
    M: Fn(&Req) -> bool + Clone + Send + Sync + 'static,
{
    type Response = I::Response;
    type Error = I::Error;
    type Future = BoxFuture<Result<I::Response, I::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let mut inner = take_ready(&mut self.inner);
        let layer = self.layer.clone();
        let since = layer.clock.now();
        let due = layer.due(&request, since);
        let first = inner.call(request.clone());
        Box::pin(async move {
            if layer.counts {
                layer.budget.deposit(1, since);
            }
            let mut first = pin!(first);
            let early = match due {
                Some(due) => within(first.as_mut(), layer.sleep.sleep(layer.clock.now().until(due))).await,
                None => Some(first.as_mut().await),
            };
            let result = match early {
                Some(result) => result,
                None if layer.budget.try_withdraw(layer.clock.now()) => {
                    sooner(first, call(&mut inner, request)).await
                }
                None => first.await,
            };
            let now = layer.clock.now();
            layer.latencies.record(now.since(since), now);
            result
        })
    }
}

/// The success that comes first; if both fail, the failure that came last.
async fn sooner<T, E>(
    first: impl Future<Output = Result<T, E>>,
    second: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_failed, mut second_failed) = (false, false);
    poll_fn(|cx| {
        if !first_failed && let Poll::Ready(result) = first.as_mut().poll(cx) {
            if result.is_ok() || second_failed {
                return Poll::Ready(result);
            }
            first_failed = true;
        }
        if !second_failed && let Poll::Ready(result) = second.as_mut().poll(cx) {
            if result.is_ok() || first_failed {
                return Poll::Ready(result);
            }
            second_failed = true;
        }
        Poll::Pending
    })
    .await
}
