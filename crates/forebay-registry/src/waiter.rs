//! How long a request waits: until something happens, its time is over, the process stops, or its client is gone. Owns no
//! timer and no buffer; the connection has the one and gave the other back.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use forebay_http::body::Incoming;
use forebay_http::timer::Timer;
use forebay_shutdown::{Phase, Shutdown};

/// While the process drains, nobody waits longer: who is answered at once comes back at once.
const DRAINING_WAIT: Duration = Duration::from_secs(1);

/// What may end a wait besides what is waited for.
pub(crate) struct Waiter<'a> {
    pub(crate) timer: &'a Timer,
    pub(crate) body: &'a Incoming<'a>,
    pub(crate) shutdown: &'a Shutdown,
    pub(crate) rng: &'a RefCell<fastrand::Rng>,
}

impl Waiter<'_> {
    /// Waits for `event`, for as long as `patience` draws. False when the client is gone, and nobody needs an answer.
    pub(crate) async fn wait<T>(
        &self,
        patience: impl FnOnce(&mut fastrand::Rng) -> Duration,
        event: impl Future<Output = T>,
    ) -> bool {
        let drains = || self.shutdown.phase() >= Phase::Draining;
        let (came_late, patience) = (drains(), patience(&mut self.rng.borrow_mut()));
        let until = self.timer.now() + if came_late { patience.min(DRAINING_WAIT) } else { patience };
        let mut event = pin!(event);
        poll_fn(|cx| {
            if self.body.poll_closed(cx).is_ready() {
                return Poll::Ready(false);
            }
            // The listener wakes everybody who waits on a timer when the process goes on to its next phase.
            let is_over = (drains() && !came_late)
                || event.as_mut().poll(cx).is_ready()
                || self.timer.poll_until(cx, until).is_ready();
            if is_over { Poll::Ready(true) } else { Poll::Pending }
        })
        .await
    }
}
