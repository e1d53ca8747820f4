//! A few connections, shared. Decides how long to wait for one, when one is past use, and when not to try; retries
//! nothing.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, Config, Connection, Socket};

use super::classify::while_connecting;
use super::listen::Listener;
use super::tls::{Encrypted, Tls};
use super::url::PostgresUrl;
use crate::{StoreError, StoreSettings};

/// An idle connection older than this may have been forgotten by a firewall in between.
const IDLE_MAX: Duration = Duration::from_secs(240);
/// After a failed connect, work that would need another fails at once: a cut network must not hold every caller.
const DOWN_TIME: Duration = Duration::from_millis(250);
/// How much longer than PostgreSQL we wait for a statement: its own timeout gives the better answer.
const STATEMENT_SLACK: Duration = Duration::from_millis(250);
/// How long connections may take to say goodbye.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// A silent peer is noticed after the idle time and three unanswered probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_PROBES: u32 = 3;

pub(super) type Link = Connection<Socket, Encrypted<Socket>>;

/// What bounds a pool.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// For connecting, login included.
    pub connect: Duration,
    /// For waiting until a connection is free.
    pub acquire: Duration,
    /// For one statement, and for each piece of work as a whole.
    pub statement: Duration,
}

impl From<&StoreSettings> for Limits {
    fn from(settings: &StoreSettings) -> Limits {
        Limits {
            connections: settings.connections as usize,
            connect: settings.connect_timeout,
            acquire: settings.acquire_timeout,
            statement: settings.statement_timeout,
        }
    }
}

/// Connections to one PostgreSQL, made when needed. Clones share them. Belongs to a tokio runtime.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    permits: Semaphore,
    kept: Mutex<Shelf>,
    // Each connection has a task that moves its bytes; they are waited for in `close`.
    drivers: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Shelf {
    idle: Vec<Kept>,
    down_until: Option<Instant>,
    closed: bool,
}

struct Kept {
    client: Client,
    driver: AbortHandle,
    since: Instant,
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: Tls,
    limits: Limits,
    place: String,
}

impl Connector {
    /// A connection that somebody still has to drive.
    pub(super) async fn open(&self) -> Result<(Client, Link), StoreError> {
        match timeout(self.limits.connect, self.config.connect(self.tls.clone())).await {
            Ok(opened) => opened.map_err(while_connecting),
            Err(elapsed) => Err(StoreError::Unreachable { sent: false, source: Some(elapsed.into()) }),
        }
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.limits.connect
    }
}

impl Pool {
    /// A pool without connections yet. Reads the roots that the URL names; no other I/O.
    pub fn new(url: &PostgresUrl, limits: Limits) -> Result<Pool, StoreError> {
        let mut config = url.config.clone();
        if config.get_application_name().is_none() {
            config.application_name("forebay");
        }
        config.connect_timeout(limits.connect);
        config.keepalives_idle(KEEPALIVE_IDLE);
        config.keepalives_interval(KEEPALIVE_INTERVAL).keepalives_retries(KEEPALIVE_PROBES);
        let connector = Connector { config, tls: Tls::new(url)?, limits, place: url.place() };
        Ok(Pool(Arc::new(Inner {
            connector,
            permits: Semaphore::new(limits.connections),
            kept: Mutex::default(),
            drivers: Mutex::default(),
        })))
    }

    /// Does one piece of work on a connection: a statement, or a `client.transaction()` of a few. What it sets for the
    /// session stays for the next, so it sets things locally. All of it has the statement's time. When it takes longer, or the future is dropped, the connection is thrown away, and whether the work was
    /// done is unknown: [`StoreError::may_have_happened`].
    ///
    /// ```no_run
    /// # async fn example(pool: &forebay_store::postgres::Pool) -> Result<(), forebay_store::StoreError> {
    /// let one: i32 = pool.run(async |client| Ok(client.query_one("select 1", &[]).await?.get(0))).await?;
    /// # Ok(()) }
    /// ```
    pub async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let limit = self.0.connector.limits.statement + STATEMENT_SLACK;
        self.run_within(limit, work).await
    }

    /// [`Pool::run`] with a time of its own; PostgreSQL still ends single statements, unless the work sets
    /// `statement_timeout` for its transaction.
    pub async fn run_within<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let acquire = self.0.connector.limits.acquire;
        let permit = timeout(acquire, self.0.permits.acquire()).await.map_err(|_| StoreError::Busy)?;
        let _permit = permit.map_err(|_| StoreError::Closed)?;
        let mut kept = match self.take()? {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let done = timeout(limit, work(&mut kept.client)).await.unwrap_or(Err(StoreError::Timeout));
        match &done {
            Err(StoreError::Timeout) => {}
            Err(StoreError::Unreachable { .. }) => self.shelf().idle.clear(),
            _ => self.put(kept),
        }
        done
    }

    /// Hears what is sent to these channels with NOTIFY, on a connection of its own, beside the pool's.
    pub fn listen(&self, channels: &[&str]) -> Listener {
        Listener::new(self.0.connector.clone(), channels)
    }

    /// Host and database, for messages.
    pub fn place(&self) -> &str {
        &self.0.connector.place
    }

    /// Takes no more work, says goodbye and waits for it, within a bound. Work under way is cut off.
    pub async fn close(&self) {
        self.0.permits.close();
        {
            let mut shelf = self.shelf();
            shelf.closed = true;
            for kept in shelf.idle.drain(..) {
                kept.part();
            }
        }
        let mut drivers = std::mem::take(&mut *self.0.drivers.lock().unwrap_or_else(PoisonError::into_inner));
        // What has not gone by then is aborted with the set.
        let _ = timeout(CLOSE_TIME, async { while drivers.join_next().await.is_some() {} }).await;
    }

    fn take(&self) -> Result<Option<Kept>, StoreError> {
        let mut shelf = self.shelf();
        if shelf.closed {
            return Err(StoreError::Closed);
        }
        while let Some(kept) = shelf.idle.pop() {
            if !kept.client.is_closed() && kept.since.elapsed() < IDLE_MAX {
                return Ok(Some(kept));
            }
        }
        if shelf.down_until.is_some_and(|until| Instant::now() < until) {
            return Err(StoreError::Unreachable { sent: false, source: None });
        }
        Ok(None)
    }

    async fn connect(&self) -> Result<Kept, StoreError> {
        match self.connect_once().await {
            Ok(kept) => {
                self.shelf().down_until = None;
                Ok(kept)
            }
            Err(error) => {
                self.shelf().down_until = Some(Instant::now() + DOWN_TIME);
                Err(error)
            }
        }
    }

    async fn connect_once(&self) -> Result<Kept, StoreError> {
        let (client, link) = self.0.connector.open().await?;
        let driver = {
            let mut drivers = self.0.drivers.lock().unwrap_or_else(PoisonError::into_inner);
            while drivers.try_join_next().is_some() {}
            // What ends a connection is seen by the work on it.
            drivers.spawn(async move { drop(link.await) })
        };
        let kept = Kept { client, driver, since: Instant::now() };
        let limits = &self.0.connector.limits;
        let statement_ms = limits.statement.as_millis();
        let setup = format!(
            "set statement_timeout = {statement_ms}; set idle_in_transaction_session_timeout = {statement_ms}"
        );
        match timeout(limits.connect, kept.client.batch_execute(&setup)).await {
            Ok(done) => done.map_err(while_connecting)?,
            Err(elapsed) => {
                return Err(StoreError::Unreachable { sent: false, source: Some(elapsed.into()) });
            }
        }
        Ok(kept)
    }

    fn put(&self, mut kept: Kept) {
        let mut shelf = self.shelf();
        if !shelf.closed && !kept.client.is_closed() {
            kept.since = Instant::now();
            shelf.idle.push(kept);
        }
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Lets the driver say goodbye, which it does once the client is gone.
    fn part(mut self) {
        self.driver = tokio::spawn(async {}).abort_handle();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // A driver whose peer is silent would wait for answers that nobody wants any more.
        self.driver.abort();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("place", &self.0.connector.place).finish_non_exhaustive()
    }
}
