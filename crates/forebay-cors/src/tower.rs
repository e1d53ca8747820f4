//! A tower layer, for services in Rust that want the same policies without the gateway.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::decision::Decision;
use crate::policy::{Ask, Policy, Verdict};

/// Wraps a service with a policy: answers preflights, decorates every response. The outermost layer, so that errors of
/// those below are readable too.
///
/// ```
/// use std::convert::Infallible;
/// use std::path::Path;
/// use std::sync::Arc;
///
/// use forebay_config::{Inputs, Settings, load};
/// use forebay_cors::{CorsLayer, CorsSettings, Policy};
/// use http::{Request, Response};
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// /// The service's configuration.
/// #[derive(Settings)]
/// struct Root {
///     /// Who may call.
///     cors: CorsSettings,
/// }
///
/// # #[derive(Clone)]
/// # struct Hello;
/// # impl Service<Request<String>> for Hello {
/// #     type Response = Response<String>;
/// #     type Error = Infallible;
/// #     type Future = std::future::Ready<Result<Response<String>, Infallible>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, _: Request<String>) -> Self::Future {
/// #         std::future::ready(Ok(Response::new("hello".into())))
/// #     }
/// # }
/// # fn main() {
/// let file = "[cors]\norigins = ['https://shop.example', 'https://*.preview.shop.example']\nmethods = ['PUT']";
/// let read = |_: &Path| Ok(file.as_bytes().to_vec());
/// let inputs = Inputs { file: Some("service.toml".into()), files: &read, ..Inputs::default() };
/// let settings = load::<Root>(inputs).expect("a valid policy").value.cors;
/// let mut service = CorsLayer::new(Arc::new(Policy::new(&settings))).layer(Hello);
///
/// let preflight = Request::options("https://api.example/cart")
///     .header("origin", "https://x.preview.shop.example")
///     .header("access-control-request-method", "PUT")
///     .body(String::new())
///     .expect("a request");
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # let mut answer = std::pin::pin!(service.call(preflight));
/// # let std::task::Poll::Ready(Ok(response)) = answer.as_mut().poll(&mut context) else { panic!() };
/// // let response = service.call(preflight).await?;
/// assert_eq!(response.status(), 204);
/// assert_eq!(response.headers()["access-control-allow-origin"], "https://x.preview.shop.example");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CorsLayer {
    policy: Arc<Policy>,
}

impl CorsLayer {
    /// With this policy.
    pub fn new(policy: Arc<Policy>) -> CorsLayer {
        CorsLayer { policy }
    }
}

impl<S> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        Cors { policy: self.policy.clone(), inner }
    }
}

/// A service behind a policy.
#[derive(Clone, Debug)]
pub struct Cors<S> {
    policy: Arc<Policy>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Cors<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = CorsFuture<S::Future, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let authority = request.uri().authority().map(|authority| authority.as_str());
        let host = request.headers().get("host").and_then(|host| host.to_str().ok());
        let ask = Ask {
            method: request.method().as_str(),
            scheme: request.uri().scheme_str().unwrap_or("https"),
            authority: authority.or(host).unwrap_or_default(),
        };
        match self.policy.decide(&ask, request.headers()) {
            Verdict::Answer(preflight) => {
                let mut response = Response::new(R::default());
                *response.status_mut() =
                    StatusCode::from_u16(preflight.status()).unwrap_or(StatusCode::NO_CONTENT);
                preflight.edits().apply(response.headers_mut());
                CorsFuture { step: Step::Answer(Some(response)) }
            }
            Verdict::Pass(decision) => {
                let inner = Box::pin(self.inner.call(request));
                CorsFuture {
                    step: Step::Pass { inner, policy: self.policy.clone(), decision: Box::new(decision) },
                }
            }
        }
    }
}

/// The response to come.
pub struct CorsFuture<F, R> {
    step: Step<F, R>,
}

enum Step<F, R> {
    Answer(Option<Response<R>>),
    Pass { inner: Pin<Box<F>>, policy: Arc<Policy>, decision: Box<Decision> },
}

// Nothing in it is pinned but what its box pins.
impl<F, R> Unpin for CorsFuture<F, R> {}

impl<F, R, E> Future for CorsFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.step {
            // Polled again after its end, which futures need not bear: pending for ever is what is left.
            Step::Answer(answer) => answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
            Step::Pass { inner, policy, decision } => match inner.as_mut().poll(context) {
                Poll::Ready(Ok(mut response)) => {
                    policy.edits(decision).apply(response.headers_mut());
                    Poll::Ready(Ok(response))
                }
                other => other,
            },
        }
    }
}
