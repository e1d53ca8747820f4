//! Brings the schema `forebay` of a PostgreSQL to what this program knows, one node at a time. Refuses a newer one.

use std::time::Duration;

use super::Pool;
use crate::schema::{Schema, pending};
use crate::{Kind, StoreError};

/// Advisory lock (manual, "Advisory Locks") that nodes starting at once wait for: the ASCII of "forebay".
const LOCK: i64 = 0x0066_6f72_6562_6179;
/// How long the steps may take, waiting for another node's included.
const MIGRATE_TIME: Duration = Duration::from_secs(60);

/// Applies what is missing of these schemas, all or nothing. Names in the steps are to be written with their schema,
/// `forebay.leases`.
pub async fn migrate(pool: &Pool, schemas: &[Schema]) -> Result<(), StoreError> {
    pool.run_within(MIGRATE_TIME, async |client| {
        let transaction = client.transaction().await?;
        let limit_ms = MIGRATE_TIME.as_millis();
        transaction.batch_execute(&format!("set local statement_timeout = {limit_ms}")).await?;
        transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        let found = transaction.query_one(FOUND, &[]).await?;
        // Asked for first: where somebody else has made the schema, we need no right to make one.
        if !found.try_get::<_, bool>(0)? {
            transaction.batch_execute("create schema forebay").await?;
        }
        if !found.try_get::<_, bool>(1)? {
            transaction.batch_execute(MIGRATIONS).await?;
        }
        for schema in schemas {
            let query = "select name from forebay.migrations where part = $1 order by step";
            let rows = transaction.query(query, &[&schema.part]).await?;
            let applied = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
            for (step, number) in pending(schema, &applied)?.iter().zip(applied.len() + 1..) {
                transaction.batch_execute(step.sql).await?;
                let insert = "insert into forebay.migrations (part, step, name) values ($1, $2, $3)";
                let number = i32::try_from(number).map_err(|error| StoreError::Refused(error.into()))?;
                transaction.execute(insert, &[&schema.part, &number, &step.name]).await?;
            }
        }
        Ok(transaction.commit().await?)
    })
    .await
    .map_err(|error| match error.kind() {
        // Nothing runs beside us under the lock: a conflict is somebody else's table of that name.
        Kind::Conflict => StoreError::Refused(error.into()),
        _ => error,
    })
}

const FOUND: &str =
    "select to_regnamespace('forebay') is not null, to_regclass('forebay.migrations') is not null";
const MIGRATIONS: &str = "
create table forebay.migrations (
    part text not null,
    step integer not null,
    name text not null,
    applied_at timestamptz not null default now(),
    primary key (part, step)
);
";
