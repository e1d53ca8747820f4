//! Lets in as many calls as a service can work on, the important ones first.

use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_clock::Clock;
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxFuture, LayerError};
use crate::{Concurrency, Priority, Shed, Told};

/// Puts a limit that adapts before a service. All services that one layer makes share it.
#[derive(Clone, Debug)]
pub struct ConcurrencyLayer<P, J> {
    concurrency: Arc<Concurrency>,
    clock: Clock,
    priority: P,
    refused: J,
}

impl<P, J> ConcurrencyLayer<P, J> {
    /// `priority` says how important a request is, `refused` whether a call ended because it was too much for the
    /// service.
    pub fn new(
        concurrency: Arc<Concurrency>,
        clock: Clock,
        priority: P,
        refused: J,
    ) -> ConcurrencyLayer<P, J> {
        ConcurrencyLayer { concurrency, clock, priority, refused }
    }
}

impl<I, P: Clone, J: Clone> Layer<I> for ConcurrencyLayer<P, J> {
    type Service = ConcurrencyService<I, P, J>;

    fn layer(&self, inner: I) -> Self::Service {
        ConcurrencyService { inner, layer: self.clone() }
    }
}

/// What [`ConcurrencyLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct ConcurrencyService<I, P, J> {
    inner: I,
    layer: ConcurrencyLayer<P, J>,
}

impl<I, P, J, Req> Service<Req> for ConcurrencyService<I, P, J>
where
    I: Service<Req> + Clone + Send + 'static,
    I::Future: Send,
    I::Response: Send,
    I::Error: Send,
    Req: Send + 'static,
    P: Fn(&Req) -> Priority + Clone + Send + 'static,
    J: Fn(&Result<I::Response, I::Error>) -> bool + Clone + Send + 'static,
{
    type Response = I::Response;
    type Error = LayerError<I::Error>;
    type Future = BoxFuture<Result<I::Response, LayerError<I::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(LayerError::Inner)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let ConcurrencyLayer { concurrency, clock, priority, refused } = self.layer.clone();
        let priority = priority(&request);
        let mut inner = super::take_ready(&mut self.inner);
        Box::pin(async move {
            let permit = concurrency
                .admit(priority, clock.now())
                .map_err(|Shed { limit }| LayerError::Shed { limit })?;
            let result = inner.call(request).await;
            permit.tell(if refused(&result) { Told::Refused } else { Told::Answered }, clock.now());
            result.map_err(LayerError::Inner)
        })
    }
}
