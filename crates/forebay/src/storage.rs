//! Opens what Forebay remembers when something first needs it, and closes it last: SQLite in the state directory for one
//! node, PostgreSQL for several.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use forebay_gateway::Keyring;
use forebay_gateway::plan::Plan;
use forebay_idempotency::{
    Keeper, Keys, POSTGRES_SCHEMA, PostgresStore, SQLITE_SCHEMA, SqliteStore, Store, keeper,
};
use forebay_store::postgres::{Limits, Pool, migrate};
use forebay_store::sqlite::{Database, Options};
use forebay_store::{StoreError, StoreSettings};
use tokio::task::JoinHandle;

use crate::message::{Message, whole};

/// Name of the database in the state directory.
const DATABASE_FILE: &str = "state.db";
/// How long a request with a key waits for the disk.
const DISK_TIME: Duration = Duration::from_secs(2);
/// How long closing may take: outcomes of the last requests are written, connections said goodbye to.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// Between two tries to bring a PostgreSQL that cannot be reached to the present schema.
const MIGRATE_AGAIN: Duration = Duration::from_secs(1);

/// What works on the store, for the control thread.
type Work = Pin<Box<dyn Future<Output = ()>>>;

/// The store, open or not.
pub(crate) struct Storage {
    settings: StoreSettings,
    directory: PathBuf,
    keyring: Keyring,
    /// Opened, and not yet begun.
    work: Option<Work>,
    running: Option<JoinHandle<()>>,
}

impl Storage {
    /// Nothing is opened yet.
    pub(crate) fn new(settings: StoreSettings, directory: &Path, keyring: Keyring) -> Storage {
        Storage { settings, directory: directory.to_owned(), keyring, work: None, running: None }
    }

    /// Opens the store if the plan needs it and it is not open.
    pub(crate) fn open_for(&mut self, plan: &Plan) -> Result<(), Message> {
        let is_needed = plan.routes.iter().any(|route| route.idempotency.is_some());
        if !is_needed || self.keyring.get().is_some() {
            return Ok(());
        }
        let (keys, work) = match &self.settings.url {
            Some(_) => self.open_postgres(),
            None => self.open_sqlite(),
        }
        .map_err(|error| {
            Message::new(whole(&error))
                .note("requests with an Idempotency-Key are kept there")
                .help("check the directory's rights and free space, or name another with `[state] directory`")
        })?;
        self.keyring.set(keys);
        self.work = Some(work);
        Ok(())
    }

    fn open_sqlite(&self) -> Result<(Keys, Work), StoreError> {
        let path = self.directory.join(DATABASE_FILE);
        let database = Database::open(&path, &[SQLITE_SCHEMA], Options::default())?;
        let (keys, keeper) = keeper(SqliteStore::new(database.writer()), DISK_TIME, fastrand::Rng::new());
        let work = async move {
            keeper.run().await;
            database.close();
        };
        Ok((keys, Box::pin(work)))
    }

    fn open_postgres(&self) -> Result<(Keys, Work), StoreError> {
        let Some(url) = &self.settings.url else { return Err(StoreError::Closed) };
        let pool = Pool::new(url, Limits::from(&self.settings))?;
        let patience = self.settings.acquire_timeout + self.settings.statement_timeout;
        let (keys, keeper) = keeper(PostgresStore::new(pool.clone()), patience, fastrand::Rng::new());
        let work = async move {
            tokio::select! {
                () = run(keeper) => {}
                // Never over before the keeper is.
                () = keep_current(&pool) => {}
            }
            pool.close().await;
        };
        Ok((keys, Box::pin(work)))
    }

    /// Sets to work what was opened. On the control thread's runtime.
    pub(crate) fn begin(&mut self) {
        if let Some(work) = self.work.take() {
            self.running = Some(tokio::task::spawn_local(work));
        }
    }

    /// Waits until the outcomes of the last requests are written. By now every core has ended.
    pub(crate) async fn close(self) {
        let Storage { running, keyring, .. } = self;
        // The keeper works as long as somebody could ask it.
        drop(keyring);
        if let Some(running) = running
            && tokio::time::timeout(CLOSE_TIME, running).await.is_err()
        {
            tracing::warn!("the store did not close in time");
        }
    }
}

async fn run<S: Store>(keeper: Keeper<S>) {
    keeper.run().await;
}

/// Brings the database to the present schema as soon as it can be reached, then waits for ever.
async fn keep_current(pool: &Pool) {
    let mut told = false;
    while let Err(error) = migrate(pool, &[POSTGRES_SCHEMA]).await {
        if !told {
            told = true;
            tracing::warn!(
                place = pool.place(),
                error = whole(&error),
                "the store cannot be used yet; requests with an Idempotency-Key are refused until it can"
            );
        }
        tokio::time::sleep(MIGRATE_AGAIN).await;
    }
    if told {
        tracing::info!(place = pool.place(), "the store can be used");
    }
    std::future::pending().await
}
