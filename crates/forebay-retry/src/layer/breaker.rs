//! Leaves a service alone while most of its calls fail.

use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_clock::Clock;
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxFuture, LayerError};
use crate::{Breaker, Pass, Refused};

/// Puts a breaker before a service. All services that one layer makes share it.
#[derive(Clone, Debug)]
pub struct BreakerLayer<J> {
    breaker: Arc<Breaker>,
    clock: Clock,
    failed: J,
}

impl<J> BreakerLayer<J> {
    /// `failed` says of a call's end whether the service is to blame.
    pub fn new(breaker: Arc<Breaker>, clock: Clock, failed: J) -> BreakerLayer<J> {
        BreakerLayer { breaker, clock, failed }
    }
}

impl<I, J: Clone> Layer<I> for BreakerLayer<J> {
    type Service = BreakerService<I, J>;

    fn layer(&self, inner: I) -> Self::Service {
        BreakerService { inner, layer: self.clone() }
    }
}

/// What [`BreakerLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct BreakerService<I, J> {
    inner: I,
    layer: BreakerLayer<J>,
}

/// Gives the pass back even if the call is dropped before it ends.
struct Held {
    breaker: Arc<Breaker>,
    pass: Option<Pass>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.breaker.forget(pass);
        }
    }
}

impl<I, J, Req> Service<Req> for BreakerService<I, J>
where
    I: Service<Req>,
    I::Future: Send + 'static,
    I::Response: Send,
    I::Error: Send,
    J: Fn(&Result<I::Response, I::Error>) -> bool + Clone + Send + 'static,
{
    type Response = I::Response;
    type Error = LayerError<I::Error>;
    type Future = BoxFuture<Result<I::Response, LayerError<I::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(LayerError::Inner)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let BreakerLayer { breaker, clock, failed } = self.layer.clone();
        let pass = match breaker.admit(clock.now()) {
            Ok(pass) => pass,
            Err(Refused { retry_after }) => {
                return Box::pin(async move { Err(LayerError::Open { retry_after }) });
            }
        };
        let calling = self.inner.call(request);
        let mut held = Held { breaker, pass: Some(pass) };
        Box::pin(async move {
            let result = calling.await;
            if let Some(pass) = held.pass.take() {
                held.breaker.record(pass, failed(&result), clock.now());
            }
            result.map_err(LayerError::Inner)
        })
    }
}
