//! Records in SQLite: durable on one node. The writer's thread does one claim after another, so none races.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_store::sqlite::Writer;
use forebay_store::sqlite::rusqlite::{Connection, OptionalExtension, params};
use forebay_store::{Schema, Step, StoreError};

use crate::identity::KeyId;
use crate::record::{self, Change, Claim, Record, Settlement, Token, Verdict};
use crate::store::{Columns, Store};

/// To be given to [`forebay_store::sqlite::Database::open`].
pub const SQLITE_SCHEMA: Schema = Schema {
    part: "idempotency",
    steps: &[Step {
        name: "keys",
        sql: "
create table idempotency_keys (
    id blob primary key,
    fingerprint blob not null,
    state integer not null,
    token blob,
    until_ms integer,
    answer blob,
    expires_ms integer not null
) strict;
create index idempotency_keys_expires on idempotency_keys (expires_ms);
",
    }],
};

/// Records in the state directory's database.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: Writer,
    clock: fn() -> i64,
}

impl SqliteStore {
    /// Over a database that was opened with [`SQLITE_SCHEMA`].
    pub fn new(writer: Writer) -> SqliteStore {
        SqliteStore { writer, clock: unix_ms }
    }

    /// With another clock: milliseconds since 1970.
    pub fn with_clock(writer: Writer, clock: fn() -> i64) -> SqliteStore {
        SqliteStore { writer, clock }
    }
}

/// The wall clock: records outlive the process, so no other will do.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Store for SqliteStore {
    async fn claim(&self, claim: &Claim) -> Result<Verdict, StoreError> {
        let (claim, clock) = (claim.clone(), self.clock);
        let work = move |db: &Connection| {
            let (verdict, change) = record::claim(read(db, claim.id)?, &claim, clock());
            apply(db, claim.id, change)?;
            Ok(verdict)
        };
        self.writer.write(work).await
    }

    async fn settle(
        &self,
        id: KeyId,
        token: Token,
        settlement: Settlement,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let clock = self.clock;
        let work = move |db: &Connection| {
            let change = record::settle(read(db, id)?.as_ref(), token, settlement, ttl, clock());
            apply(db, id, change)
        };
        self.writer.write(work).await
    }

    async fn sweep(&self, rows_max: u32) -> Result<u64, StoreError> {
        let clock = self.clock;
        let delete = "delete from idempotency_keys where id in
            (select id from idempotency_keys where expires_ms <= ? order by expires_ms limit ?)";
        let work =
            move |db: &Connection| Ok(db.prepare_cached(delete)?.execute(params![clock(), rows_max])? as u64);
        self.writer.write(work).await
    }
}

fn read(db: &Connection, id: KeyId) -> Result<Option<Record>, StoreError> {
    let query =
        "select fingerprint, state, token, until_ms, answer, expires_ms from idempotency_keys where id = ?";
    let columns = db.prepare_cached(query)?.query_row([&id.0[..]], |row| {
        Ok(Columns {
            fingerprint: row.get(0)?,
            state: row.get(1)?,
            token: row.get(2)?,
            until_ms: row.get(3)?,
            answer: row.get(4)?,
            expires_ms: row.get(5)?,
        })
    });
    columns.optional()?.map(Record::try_from).transpose()
}

fn apply(db: &Connection, id: KeyId, change: Change) -> Result<(), StoreError> {
    match change {
        Change::None => {}
        Change::Delete => {
            db.prepare_cached("delete from idempotency_keys where id = ?")?.execute([&id.0[..]])?;
        }
        Change::Write(record) => {
            let Columns { fingerprint, state, token, until_ms, answer, expires_ms } = record.into();
            db.prepare_cached("insert or replace into idempotency_keys values (?, ?, ?, ?, ?, ?, ?)")?
                .execute(params![&id.0[..], fingerprint, state, token, until_ms, answer, expires_ms])?;
        }
    }
    Ok(())
}
