//! What the tests ask with, and real stores to ask.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use forebay_idempotency::record::{Claim, Token};
use forebay_idempotency::{
    Answer, Fingerprint, KeyId, OnUnknown, POSTGRES_SCHEMA, Policy, PostgresStore, SQLITE_SCHEMA, Scope,
    SqliteStore,
};
use forebay_store::postgres::{Limits, Pool, PostgresUrl, migrate};
use forebay_store::sqlite::{Database, Options};
use forebay_testkit::PATIENCE;

pub(crate) const LIMITS: Limits = Limits {
    connections: 4,
    connect: Duration::from_secs(5),
    acquire: Duration::from_secs(5),
    statement: Duration::from_secs(5),
};

pub(crate) fn policy(lease: Duration, on_unknown: OnUnknown) -> Arc<Policy> {
    Arc::new(Policy {
        scope: Scope::Anonymous,
        required: false,
        ttl: Duration::from_secs(86_400),
        lease,
        on_unknown,
        response_bytes_max: 1024,
        body_bytes_max: 1024,
        release_on: vec![429],
    })
}

pub(crate) fn id(number: u8) -> KeyId {
    KeyId([number; 32])
}

pub(crate) fn claim(number: u8, request: u8, token: u128, lease: Duration) -> Claim {
    Claim {
        id: id(number),
        fingerprint: Fingerprint([request; 32]),
        token: Token(token),
        lease,
        ttl: Duration::from_secs(86_400),
        on_unknown: OnUnknown::Refuse,
    }
}

pub(crate) fn answer(status: u16, body: &str) -> Answer {
    let fields = vec![("location".to_owned(), b"/orders/7".to_vec())];
    Answer { status, fields, body: body.to_owned().into() }
}

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(PATIENCE * 2, test).await.expect("the test hangs") };
    tokio::task::LocalSet::new().block_on(&runtime, bounded)
}

/// A node's own way to a PostgreSQL.
pub(crate) async fn node(url: &str) -> (Pool, PostgresStore) {
    node_within(url, LIMITS).await
}

pub(crate) async fn node_within(url: &str, limits: Limits) -> (Pool, PostgresStore) {
    let pool = Pool::new(&PostgresUrl::parse(url).unwrap(), limits).unwrap();
    migrate(&pool, &[POSTGRES_SCHEMA]).await.unwrap();
    (pool.clone(), PostgresStore::new(pool))
}

/// A database in a directory of its own.
pub(crate) struct ScratchSqlite {
    directory: PathBuf,
    database: Option<Database>,
}

impl ScratchSqlite {
    pub(crate) fn new() -> ScratchSqlite {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("forebay-keys-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let mut scratch = ScratchSqlite { directory, database: None };
        scratch.reopen();
        scratch
    }

    /// As a process does that starts again.
    pub(crate) fn reopen(&mut self) {
        self.database = None;
        let path = self.directory.join("state.db");
        self.database = Some(Database::open(&path, &[SQLITE_SCHEMA], Options::default()).unwrap());
    }

    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::new(self.database.as_ref().unwrap().writer())
    }
}

impl Drop for ScratchSqlite {
    fn drop(&mut self) {
        self.database = None;
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
