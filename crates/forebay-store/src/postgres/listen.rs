//! Hears notifications (manual, LISTEN). Decides when to connect again, and says when something may have been missed;
//! never guesses what.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::classify::while_connecting;
use super::pool::{Connector, Link};
use crate::StoreError;

/// First and longest wait between two attempts to connect; each with up to half of itself taken off by chance, so
/// that nodes do not come back all at once.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(3);

/// What a listener has to say.
#[derive(Debug)]
pub enum Heard {
    /// Listening has begun, for the first time or again: read everything anew, for what was sent before is lost.
    Missed,
    /// Somebody notified.
    Notice {
        /// On which channel.
        channel: String,
        /// With which words.
        payload: String,
    },
    /// The connection is gone or cannot be made. Said once; the listener keeps trying until `Missed`.
    Lost(StoreError),
}

/// A connection that listens, and makes itself anew. Ends when dropped.
pub struct Listener {
    connector: Connector,
    statement: String,
    state: State,
    wait: Duration,
    told: bool,
    rng: fastrand::Rng,
}

type Opening = Pin<Box<dyn Future<Output = Result<Box<Open>, StoreError>> + Send>>;

enum State {
    Waiting(Pin<Box<Sleep>>),
    Opening(Opening),
    Open(Box<Open>),
}

struct Open {
    link: Link,
    // The connection closes with it.
    _client: Client,
}

impl Listener {
    pub(super) fn new(connector: Connector, channels: &[&str]) -> Listener {
        let names = channels.iter().map(|name| format!("listen \"{}\";", name.replace('"', "\"\"")));
        let statement: String = names.collect();
        let state = State::Opening(Box::pin(open(connector.clone(), statement.clone())));
        Listener { connector, statement, state, wait: WAIT_MIN, told: false, rng: fastrand::Rng::new() }
    }

    /// The next thing to know. May be dropped and called again without losing anything.
    pub async fn next(&mut self) -> Heard {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        loop {
            match &mut self.state {
                State::Waiting(sleep) => match sleep.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => {
                        let opening = open(self.connector.clone(), self.statement.clone());
                        self.state = State::Opening(Box::pin(opening));
                    }
                },
                State::Opening(opening) => match opening.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(open)) => {
                        self.state = State::Open(open);
                        (self.wait, self.told) = (WAIT_MIN, false);
                        return Poll::Ready(Heard::Missed);
                    }
                    Poll::Ready(Err(error)) => {
                        if let Some(lost) = self.lose(error) {
                            return Poll::Ready(lost);
                        }
                    }
                },
                State::Open(open) => match open.link.poll_message(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(AsyncMessage::Notification(notice)))) => {
                        let (channel, payload) = (notice.channel().into(), notice.payload().into());
                        return Poll::Ready(Heard::Notice { channel, payload });
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => {
                        if let Some(lost) = self.lose(error.into()) {
                            return Poll::Ready(lost);
                        }
                    }
                    Poll::Ready(None) => {
                        let gone = StoreError::Unreachable { sent: false, source: None };
                        if let Some(lost) = self.lose(gone) {
                            return Poll::Ready(lost);
                        }
                    }
                },
            }
        }
    }

    /// Begins to wait for the next attempt; tells of the loss unless that was told already.
    fn lose(&mut self, error: StoreError) -> Option<Heard> {
        let wait = self.wait.mul_f64(1.0 - self.rng.f64() / 2.0);
        self.wait = (self.wait * 2).min(WAIT_MAX);
        self.state = State::Waiting(Box::pin(sleep(wait)));
        (!std::mem::replace(&mut self.told, true)).then_some(Heard::Lost(error))
    }
}

async fn open(connector: Connector, statement: String) -> Result<Box<Open>, StoreError> {
    let (client, mut link) = connector.open().await?;
    let subscribed = async {
        let mut subscribe = pin!(client.batch_execute(&statement));
        poll_fn(|cx| {
            // What arrives before `Missed` is covered by it.
            while let Poll::Ready(message) = link.poll_message(cx) {
                match message {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    // The statement's own future says so next.
                    None => break,
                }
            }
            subscribe.as_mut().poll(cx)
        })
        .await
    };
    match timeout(connector.connect_timeout(), subscribed).await {
        Ok(done) => done.map_err(while_connecting)?,
        Err(elapsed) => return Err(StoreError::Unreachable { sent: false, source: Some(elapsed.into()) }),
    }
    Ok(Box::new(Open { link, _client: client }))
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("statement", &self.statement).finish_non_exhaustive()
    }
}
