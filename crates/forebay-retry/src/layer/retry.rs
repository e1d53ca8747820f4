//! Calls again what failed. What is worth it, a function of the user's says.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fastrand::Rng;
use forebay_clock::Clock;
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxFuture, Worth, call, take_ready};
use crate::operation::Course;
use crate::{Retrying, Sleep};

/// Retries the calls of a service, of which requests are clones.
///
/// `attempt_timeout` of [`Retrying`] is not for a layer: it has no error to make of it. Put a timeout below.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use forebay_clock::Clock;
/// use forebay_retry::layer::{RetryLayer, judge_http};
/// use forebay_retry::{Budget, BudgetSettings, Retrying};
/// use http::{Request, Response};
/// use tower::{Service, ServiceBuilder, service_fn};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// let calls = std::sync::atomic::AtomicU32::new(0);
/// let calls: &'static _ = Box::leak(Box::new(calls));
/// let flaky = service_fn(move |_: Request<()>| async move {
///     let status = if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 { 503 } else { 200 };
///     Ok::<_, Infallible>(Response::builder().status(status).body(()).unwrap())
/// });
///
/// let budget = Some(Arc::new(Budget::new(BudgetSettings::default())));
/// let retrying = Retrying { budget, ..Retrying::default() };
/// let layer = RetryLayer::new(retrying, Clock::system(), tokio::time::sleep, judge_http);
/// let mut service = ServiceBuilder::new().layer(layer).service(flaky);
/// assert_eq!(service.call(Request::get("/").body(()).unwrap()).await.unwrap().status(), 200);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct RetryLayer<S, J> {
    retrying: Arc<Retrying>,
    clock: Clock,
    sleep: S,
    judge: J,
}

impl<S, J> RetryLayer<S, J> {
    /// Retries what `judge` finds worth it, given the request and what became of it.
    pub fn new(retrying: Retrying, clock: Clock, sleep: S, judge: J) -> RetryLayer<S, J> {
        RetryLayer { retrying: Arc::new(retrying), clock, sleep, judge }
    }
}

impl<I, S: Clone, J: Clone> Layer<I> for RetryLayer<S, J> {
    type Service = RetryService<I, S, J>;

    fn layer(&self, inner: I) -> Self::Service {
        RetryService { inner, layer: self.clone() }
    }
}

/// What [`RetryLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct RetryService<I, S, J> {
    inner: I,
    layer: RetryLayer<S, J>,
}

impl<I, S, J, Req> Service<Req> for RetryService<I, S, J>
where
    I: Service<Req> + Clone + Send + 'static,
    I::Response: Send,
    I::Error: Send,
    I::Future: Send,
    Req: Clone + Send + Sync + 'static,
    S: Sleep + Clone + Send + Sync + 'static,
    S::Sleeping: Send,
    J: Fn(&Req, &Result<I::Response, I::Error>) -> Worth + Clone + Send + Sync + 'static,
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
        let first = inner.call(request.clone());
        Box::pin(async move {
            let mut rng = Rng::new();
            let mut course = Course::begin(&layer.retrying, layer.clock.now());
            let mut result = first.await;
            loop {
                let after = match (layer.judge)(&request, &result) {
                    Worth::Keep => return result,
                    Worth::Again => Duration::ZERO,
                    Worth::After(wait) => wait,
                };
                let Ok(wait) = course.next(Some(after), layer.clock.now(), &mut rng) else { return result };
                // What is given up may hold a connection or a place among those in flight.
                drop(result);
                layer.sleep.sleep(wait).await;
                result = call(&mut inner, request.clone()).await;
            }
        })
    }
}
