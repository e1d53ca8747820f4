//! Waiting, without saying by which runtime.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// A way to wait: `tokio::time::sleep`, or any other function from a duration to a future.
pub trait Sleep {
    /// Ready when the time has passed.
    type Sleeping: Future<Output = ()>;

    /// Starts to wait.
    fn sleep(&self, time: Duration) -> Self::Sleeping;
}

impl<F: Fn(Duration) -> Fut, Fut: Future<Output = ()>> Sleep for F {
    type Sleeping = Fut;

    fn sleep(&self, time: Duration) -> Fut {
        self(time)
    }
}

/// What `work` comes to, or nothing if `sleeping` is over first.
pub(crate) async fn within<T>(
    work: impl Future<Output = T>,
    sleeping: impl Future<Output = ()>,
) -> Option<T> {
    let (mut work, mut sleeping) = (pin!(work), pin!(sleeping));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => sleeping.as_mut().poll(cx).map(|()| None),
    })
    .await
}
