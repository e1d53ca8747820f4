//! A gentle load: a few clients that each ask for an order now and then, over connections they keep.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use forebay_clock::Moment;
use forebay_http::client::{Connection, FetchError, exchange};
use forebay_http::parse::HeadLimits;
use forebay_http::timer::{Sweeper, Timer};
use forebay_http::{Fields, RequestHead, ResponseHead, Scheme};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::orders::INSTANCE_FIELD;
use super::tally::Sample;
use super::{INSTANCES, instance_name};
use crate::message::whole;

/// Connections that the load keeps.
const CLIENTS: usize = 4;
/// Requests of all clients together.
const REQUESTS_PER_S: u32 = 50;
/// Longer than the gateway's own `timeout`, so that it is the gateway which says what is wrong.
const PATIENCE: Duration = Duration::from_secs(10);
/// An order's answer has some hundred bytes; a problem's too.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Orders that are asked for.
const ORDERS: std::ops::Range<u32> = 1..1000;

struct Client {
    gateway: SocketAddr,
    authority: String,
    connection: Option<Connection>,
    timer: Timer,
    rng: fastrand::Rng,
}

/// Sends requests until told to stop, and finishes those under way. `seen` is told what each came to.
pub(crate) async fn run(
    gateway: SocketAddr,
    sweeper: &Sweeper,
    stop: &watch::Receiver<bool>,
    seen: &dyn Fn(Sample),
) {
    let client = |number: usize| {
        let client = Client {
            gateway,
            authority: gateway.to_string(),
            connection: None,
            timer: sweeper.timer(),
            rng: fastrand::Rng::new(),
        };
        client.run(number as u32, stop.clone(), seen)
    };
    let [first, second, third, fourth] = std::array::from_fn::<_, CLIENTS, _>(client);
    tokio::join!(first, second, third, fourth);
}

impl Client {
    async fn run(mut self, number: u32, mut stop: watch::Receiver<bool>, seen: &dyn Fn(Sample)) {
        let between = Duration::from_secs(1) / REQUESTS_PER_S;
        // Clients take turns.
        let mut ticks = interval_at(Instant::now() + between * number, between * CLIENTS as u32);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => seen(self.request().await),
                // A sender that is gone has stopped too.
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn request(&mut self) -> Sample {
        let path = format!("/api/orders/{}", self.rng.u32(ORDERS));
        let started = self.timer.now();
        let fetched = self.fetch(&path, started + PATIENCE).await;
        let took = self.timer.now() - started;
        let result = match fetched {
            Ok((head, _)) if head.status() < 400 => Ok(instance(&head)),
            Ok((head, body)) => Err(format!("{} {}", head.status(), detail(&body))),
            Err(error) => Err(whole(&error)),
        };
        Sample { took, result: result.map_err(|why| format!("GET {path}: {why}")) }
    }

    async fn fetch(&mut self, path: &str, until: Moment) -> Result<(ResponseHead, Vec<u8>), FetchError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.gateway, None, HeadLimits::default(), &self.timer, until).await?,
        };
        let head = RequestHead::new("GET", Scheme::Http, &self.authority, path);
        let exchanged = exchange(&mut connection, &head, Bytes::new(), BODY_BYTES_MAX);
        let fetched = self.timer.within(until, exchanged).await.ok_or(FetchError::TimedOut)??;
        if connection.is_reusable() {
            self.connection = Some(connection);
        }
        Ok(fetched)
    }
}

/// Who answered; somebody else may, once the configuration was edited.
fn instance(head: &ResponseHead) -> Option<usize> {
    let name = head.fields().value(INSTANCE_FIELD)?;
    (0..INSTANCES).find(|&index| instance_name(index).as_bytes() == name)
}

/// What a problem document says.
fn detail(body: &[u8]) -> String {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    problem["detail"].as_str().unwrap_or_default().to_owned()
}
