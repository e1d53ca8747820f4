//! Opens what Forebay remembers when something first needs it, and closes it last: SQLite in the state directory for one
//! node, PostgreSQL for several.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use forebay_clock::Clock;
use forebay_gateway::Keyring;
use forebay_gateway::plan::Plan;
use forebay_idempotency::{
    Keeper, Keys, POSTGRES_SCHEMA, PostgresStore, SQLITE_SCHEMA, SqliteStore, Store, keeper,
};
use forebay_registry::{Handle, Node, Registry, Stores, load};
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
    /// One for all that is kept in it: it has one writer.
    database: Option<Database>,
    pool: Option<Pool>,
    registry: Option<Handle>,
    /// Opened, and not yet begun.
    work: Option<Work>,
    running: Option<JoinHandle<()>>,
}

impl Storage {
    /// Nothing is opened yet.
    pub(crate) fn new(settings: StoreSettings, directory: &Path, keyring: Keyring) -> Storage {
        let directory = directory.to_owned();
        let (database, pool, registry) = (None, None, None);
        Storage { settings, directory, keyring, database, pool, registry, work: None, running: None }
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

    /// Opens what the registry keeps, and gives it with all that was registered before the restart.
    pub(crate) fn open_registry(
        &mut self,
        name: &str,
        address: IpAddr,
        clock: Clock,
    ) -> Result<Handle, Message> {
        let opened = self.open_stored_registry(name, address, clock).map_err(|error| {
            Message::new(whole(&error))
                .note("what is registered is kept there, so that a restart forgets nothing")
                .help("check the directory's rights and free space, or name another with `[state] directory`")
        })?;
        self.registry = Some(opened.clone());
        Ok(opened)
    }

    fn open_stored_registry(
        &mut self,
        name: &str,
        address: IpAddr,
        clock: Clock,
    ) -> Result<Handle, StoreError> {
        let shared = if self.settings.url.is_some() { Some(self.pool()?) } else { None };
        let database = self.database()?;
        let (writer, reader) = (database.writer(), database.reader()?);
        let stored = load(&reader, &mut fastrand::Rng::new())?;
        let mut registry = Registry::new(Node::own(name, &stored.id, &address.to_string()));
        registry.restore(clock.now(), stored.snapshot);
        Ok(Handle::with_stores(registry, clock, Stores { disk: Some(writer), shared }))
    }

    fn database(&mut self) -> Result<&Database, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let schemas = [SQLITE_SCHEMA, forebay_registry::SQLITE_SCHEMA];
                Database::open(&self.directory.join(DATABASE_FILE), &schemas, Options::default())?
            }
        };
        Ok(self.database.insert(database))
    }

    fn pool(&mut self) -> Result<Pool, StoreError> {
        if let Some(pool) = &self.pool {
            return Ok(pool.clone());
        }
        let url = self.settings.url.as_ref().ok_or(StoreError::Closed)?;
        Ok(self.pool.insert(Pool::new(url, Limits::from(&self.settings))?).clone())
    }

    fn open_sqlite(&mut self) -> Result<(Keys, Work), StoreError> {
        let store = SqliteStore::new(self.database()?.writer());
        let (keys, keeper) = keeper(store, DISK_TIME, fastrand::Rng::new());
        Ok((keys, Box::pin(run(keeper))))
    }

    fn open_postgres(&mut self) -> Result<(Keys, Work), StoreError> {
        let pool = self.pool()?;
        let patience = self.settings.acquire_timeout + self.settings.statement_timeout;
        let (keys, keeper) = keeper(PostgresStore::new(pool.clone()), patience, fastrand::Rng::new());
        let work = async move {
            tokio::select! {
                () = run(keeper) => {}
                // Never over before the keeper is.
                () = keep_current(&pool) => {}
            }
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
        let Storage { running, keyring, database, pool, registry, .. } = self;
        // The keeper works as long as somebody could ask it.
        drop(keyring);
        if let Some(running) = running
            && tokio::time::timeout(CLOSE_TIME, running).await.is_err()
        {
            tracing::warn!("the store did not close in time");
        }
        if let Some(registry) = registry {
            registry.flush().await;
        }
        drop(database);
        if let Some(pool) = pool {
            pool.close().await;
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
