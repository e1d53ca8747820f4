//! Records in PostgreSQL: shared by nodes, by its clock. The primary key decides who is first, a row lock who is next.

use std::time::Duration;

use forebay_store::postgres::{Client, Pool, Row, Transaction};
use forebay_store::{Schema, Step, StoreError};

use crate::identity::KeyId;
use crate::record::{self, Change, Claim, Record, Settlement, Token, Verdict};
use crate::store::{Columns, Store};

/// Times that a claim looks again because the record it lost to was gone by then.
const LOOKS_MAX: u32 = 16;

/// To be given to [`forebay_store::postgres::migrate`].
pub const POSTGRES_SCHEMA: Schema = Schema {
    part: "idempotency",
    steps: &[Step {
        name: "keys",
        sql: "
create table forebay.idempotency_keys (
    id bytea primary key,
    fingerprint bytea not null,
    state smallint not null,
    token bytea,
    until_ms bigint,
    answer bytea,
    expires_ms bigint not null
);
create index idempotency_keys_expires on forebay.idempotency_keys (expires_ms);
",
    }],
};

const NOW: &str = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
/// All there is to do for a new key: one statement, durable when it is answered.
const FIRST: &str = "
with now (ms) as (select (extract(epoch from clock_timestamp()) * 1000)::bigint)
insert into forebay.idempotency_keys (id, fingerprint, state, token, until_ms, expires_ms)
select $1, $2, 0, $3, ms + $4, ms + $5 from now
on conflict (id) do nothing";
const READ: &str = "
select fingerprint, state, token, until_ms, answer, expires_ms
from forebay.idempotency_keys where id = $1 for update";
const WRITE: &str = "
update forebay.idempotency_keys
set fingerprint = $2, state = $3, token = $4, until_ms = $5, answer = $6, expires_ms = $7 where id = $1";
const DELETE: &str = "delete from forebay.idempotency_keys where id = $1";
/// Nodes sweep beside each other, and past what a claim holds.
const SWEEP: &str = "
delete from forebay.idempotency_keys where id in (
    select id from forebay.idempotency_keys
    where expires_ms <= (extract(epoch from clock_timestamp()) * 1000)::bigint
    order by expires_ms limit $1 for update skip locked)";

/// Records in a PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: Pool,
}

impl PostgresStore {
    /// Over a database that was migrated with [`POSTGRES_SCHEMA`].
    pub fn new(pool: Pool) -> PostgresStore {
        PostgresStore { pool }
    }
}

impl Store for PostgresStore {
    async fn claim(&self, claim: &Claim) -> Result<Verdict, StoreError> {
        self.pool
            .run(async |client| {
                for _ in 0..LOOKS_MAX {
                    if insert_first(client, claim).await? {
                        return Ok(Verdict::Run);
                    }
                    if let Some(verdict) = claim_again(client, claim).await? {
                        return Ok(verdict);
                    }
                }
                Err(StoreError::Conflict("the record came and went".into()))
            })
            .await
    }

    async fn settle(
        &self,
        id: KeyId,
        token: Token,
        settlement: Settlement,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        self.pool
            .run(async |client| {
                let transaction = client.transaction().await?;
                let Some(record) = read(&transaction, id).await? else { return Ok(()) };
                let now_ms = transaction.query_one(NOW, &[]).await?.try_get(0)?;
                let change = record::settle(Some(&record), token, settlement, ttl, now_ms);
                apply(&transaction, id, change).await?;
                Ok(transaction.commit().await?)
            })
            .await
    }

    async fn sweep(&self, rows_max: u32) -> Result<u64, StoreError> {
        let rows_max = i64::from(rows_max);
        self.pool.run(async |client| Ok(client.execute(SWEEP, &[&rows_max]).await?)).await
    }
}

async fn insert_first(client: &Client, claim: &Claim) -> Result<bool, StoreError> {
    let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4);
    let (lease_ms, ttl_ms) = (milliseconds(claim.lease), milliseconds(claim.ttl.max(claim.lease)));
    let (id, fingerprint, token) = (&claim.id.0[..], &claim.fingerprint.0[..], claim.token.0.to_be_bytes());
    let rows = client.execute(FIRST, &[&id, &fingerprint, &&token[..], &lease_ms, &ttl_ms]).await?;
    Ok(rows == 1)
}

/// Decides about a key that has a record; `None` when it is gone.
async fn claim_again(client: &mut Client, claim: &Claim) -> Result<Option<Verdict>, StoreError> {
    let transaction = client.transaction().await?;
    let Some(record) = read(&transaction, claim.id).await? else { return Ok(None) };
    // Asked under the row's lock, which may have taken a while to get.
    let now_ms = transaction.query_one(NOW, &[]).await?.try_get(0)?;
    let (verdict, change) = record::claim(Some(record), claim, now_ms);
    apply(&transaction, claim.id, change).await?;
    transaction.commit().await?;
    Ok(Some(verdict))
}

async fn read(transaction: &Transaction<'_>, id: KeyId) -> Result<Option<Record>, StoreError> {
    let row = transaction.query_opt(READ, &[&&id.0[..]]).await?;
    row.map(|row: Row| {
        Record::try_from(Columns {
            fingerprint: row.try_get(0)?,
            state: row.try_get(1)?,
            token: row.try_get(2)?,
            until_ms: row.try_get(3)?,
            answer: row.try_get(4)?,
            expires_ms: row.try_get(5)?,
        })
    })
    .transpose()
}

async fn apply(transaction: &Transaction<'_>, id: KeyId, change: Change) -> Result<(), StoreError> {
    let id = &id.0[..];
    match change {
        Change::None => {}
        Change::Delete => {
            transaction.execute(DELETE, &[&id]).await?;
        }
        Change::Write(record) => {
            let Columns { fingerprint, state, token, until_ms, answer, expires_ms } = record.into();
            transaction
                .execute(WRITE, &[&id, &fingerprint, &state, &token, &until_ms, &answer, &expires_ms])
                .await?;
        }
    }
    Ok(())
}
