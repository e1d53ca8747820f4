//! The same decisions for services of the tower kind (`tower-service`), in any runtime. Each layer does one thing; how
//! they are stacked is the user's to say.
//!
//! From the outside in: retry, hedge, breaker, concurrency. So each attempt asks the breaker and takes a place of its own.
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//! use std::time::Duration;
//! use forebay_clock::Clock;
//! use forebay_retry::layer::{BreakerLayer, ConcurrencyLayer, HedgeLayer, LayerError, RetryLayer, judge_http};
//! use forebay_retry::{
//!     Breaker, BreakerSettings, Budget, BudgetSettings, Concurrency, Hedge, HedgeAfter, LimitSettings, Priority,
//!     Retrying, is_idempotent,
//! };
//! use http::{Request, Response};
//! use tower::{Service, ServiceBuilder, service_fn};
//!
//! type Ended<E> = Result<Response<()>, E>;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # runtime.block_on(async {
//! let clock = Clock::system();
//! let budget = Arc::new(Budget::new(BudgetSettings::default()));
//! let breaker = Arc::new(Breaker::new(BreakerSettings::default()));
//! let limit = Arc::new(Concurrency::new(LimitSettings::default(), clock.now()));
//! let hedge = Hedge { after: HedgeAfter::Percentile(950), at_least: Duration::from_millis(5) };
//!
//! let mut service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(
//!         Retrying { budget: Some(budget.clone()), ..Retrying::default() },
//!         clock.clone(),
//!         tokio::time::sleep,
//!         judge_http,
//!     ))
//!     .layer(HedgeLayer::new(hedge, budget, clock.clone(), tokio::time::sleep, |request: &Request<()>| {
//!         is_idempotent(request.method().as_str())
//!     }))
//!     .layer(BreakerLayer::new(breaker, clock.clone(), |ended: &Ended<LayerError<Infallible>>| {
//!         ended.as_ref().map_or(true, |response| response.status().is_server_error())
//!     }))
//!     .layer(ConcurrencyLayer::new(
//!         limit,
//!         clock,
//!         |_: &Request<()>| Priority::Normal,
//!         |ended: &Ended<Infallible>| ended.as_ref().is_ok_and(|response| response.status() == 503),
//!     ))
//!     .service(service_fn(|_| async { Ok(Response::new(())) }));
//!
//! assert_eq!(service.call(Request::get("/").body(()).unwrap()).await.unwrap().status(), 200);
//! # });
//! ```

mod breaker;
mod concurrency;
mod hedge;
mod retry;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tower_service::Service;

pub use breaker::{BreakerLayer, BreakerService};
pub use concurrency::{ConcurrencyLayer, ConcurrencyService};
pub use hedge::{HedgeLayer, HedgeService};
pub use retry::{RetryLayer, RetryService};

use crate::{Conditions, Ending, is_idempotent, retry_after};

/// What a layered call is.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a layered call brought no response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayerError<E> {
    /// The breaker is open, and the service was not asked.
    #[error("most recent calls failed; the service is left alone for {} ms", .retry_after.as_millis())]
    Open {
        /// When to come again.
        retry_after: Duration,
    },
    /// The service has as much to do as it can, and was not asked.
    #[error("more than the {limit} calls that the service can work on at once")]
    Shed {
        /// How many may be in flight at present.
        limit: u32,
    },
    /// The service itself failed.
    #[error("the service failed")]
    Inner(#[source] E),
}

/// Whether a call that ended so is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The caller gets what there is.
    Keep,
    /// Try again.
    Again,
    /// Try again, but not sooner.
    After(Duration),
}

/// Judges HTTP calls as the gateway does by default: idempotent methods after 502, 503 and 504 and after any error, with
/// `Retry-After` honoured. For [`RetryLayer`]. What is not idempotent is kept: an error here does not say whether
/// anything was sent.
pub fn judge_http<B, R, E>(request: &http::Request<B>, result: &Result<http::Response<R>, E>) -> Worth {
    if !is_idempotent(request.method().as_str()) {
        return Worth::Keep;
    }
    let Ok(response) = result else { return Worth::Again };
    let ending = Ending::Answered { status: response.status().as_u16(), retry_after: None };
    if !Conditions::default().cover(ending) {
        return Worth::Keep;
    }
    let field = response.headers().get(http::header::RETRY_AFTER);
    match field.and_then(|value| retry_after(value.as_bytes(), SystemTime::now())) {
        Some(wait) => Worth::After(wait),
        None => Worth::Again,
    }
}

/// Takes the service that has said it is ready, and leaves a clone that has not.
fn take_ready<S: Clone>(service: &mut S) -> S {
    let clone = service.clone();
    std::mem::replace(service, clone)
}

/// Calls it as soon as it is ready.
async fn call<S: Service<Req>, Req>(service: &mut S, request: Req) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}
