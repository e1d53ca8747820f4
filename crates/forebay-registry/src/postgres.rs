//! The registry in a PostgreSQL that nodes share: what each statement does. A node writes its own rows alone, in
//! transactions that count its version up, so whoever has read up to a version has missed nothing below it.

use forebay_store::postgres::{Client, Row, Transaction};
use forebay_store::{Schema, Step, StoreError};

/// To be given to [`forebay_store::postgres::migrate`].
pub const POSTGRES_SCHEMA: Schema = Schema {
    part: "registry",
    steps: &[Step {
        name: "nodes",
        sql: "
create table forebay.registry_nodes (
    name text primary key,
    id text not null,
    version bigint not null,
    body text not null,
    until timestamptz not null
);
create table forebay.registry_instances (
    node text not null references forebay.registry_nodes on delete cascade,
    id text not null,
    version bigint not null,
    body text,
    written timestamptz not null default now(),
    primary key (node, id)
);
create index registry_instances_version on forebay.registry_instances (node, version);
",
    }],
};

/// Where nodes tell that they have changed: the payload is the folded name.
pub(crate) const CHANNEL: &str = "forebay_registry";

/// Takes the name, or renews it: nobody else may hold it. `$5` is the lease in milliseconds.
const CLAIM: &str = "
insert into forebay.registry_nodes as held (name, id, version, body, until)
values ($1, $2, 1, $3, clock_timestamp() + $4 * interval '1 millisecond')
on conflict (name) do update
set id = excluded.id, version = held.version + 1, body = excluded.body, until = excluded.until
where held.id = excluded.id or held.until < clock_timestamp()
returning version";
/// The same without a word to anybody.
const RENEW: &str = "
update forebay.registry_nodes set until = clock_timestamp() + $3 * interval '1 millisecond'
where name = $1 and id = $2";
const HOLDER: &str = "select id from forebay.registry_nodes where name = $1";
const OWN: &str = "select id, body from forebay.registry_instances where node = $1 and body is not null";
const PUT: &str = "
insert into forebay.registry_instances (node, id, version, body)
select $1, id, $2, body from unnest($3::text[], $4::text[]) as put (id, body)
on conflict (node, id) do update set version = excluded.version, body = excluded.body, written = now()";
/// Deleted instances stay as rows without a body for an hour, for those who read by version; nobody who is connected is
/// that far behind, and who was not reads everything.
const PURGE: &str = "
delete from forebay.registry_instances where node = $1 and body is null and written < now() - interval '1 hour'";
const NOTIFY: &str = "select pg_notify($1, $2)";
const LEASES: &str =
    "select name, version, until > clock_timestamp() from forebay.registry_nodes where name <> $1";
const NODE: &str =
    "select version, body, until > clock_timestamp() from forebay.registry_nodes where name = $1";
const SINCE: &str = "select id, body from forebay.registry_instances where node = $1 and version > $2";
/// Consul reaps a node that is gone after as long.
const REAP: &str = "
delete from forebay.registry_nodes where name <> $1 and until < clock_timestamp() - interval '72 hours'";

/// This node, for those who write it.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// Folded.
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) lease_ms: i64,
}

/// What became of an attempt to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// Written.
    Done,
    /// The name is somebody else's, who has this id.
    Taken { id: String },
}

/// Another node's lease.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) is_held: bool,
}

/// Another node, or what has changed of it.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) version: i64,
    pub(crate) body: String,
    pub(crate) is_held: bool,
    /// Ids with their bodies; none for those that are gone.
    pub(crate) instances: Vec<(String, Option<String>)>,
}

/// An id, and what is to be written there; nothing for what is gone.
pub(crate) type Put = (String, Option<String>);

/// Writes what has changed of this node; with `all`, `puts` are all its instances, and the others go.
pub(crate) async fn publish(
    client: &mut Client,
    claim: &Claim,
    mut puts: Vec<Put>,
    all: bool,
) -> Result<Claimed, StoreError> {
    let transaction = client.transaction().await?;
    let values: [&(dyn forebay_store::postgres::types::ToSql + Sync); 4] =
        [&claim.name, &claim.id, &claim.body, &(claim.lease_ms as f64)];
    let Some(row) = transaction.query_opt(CLAIM, &values).await? else {
        let row = transaction.query_opt(HOLDER, &[&claim.name]).await?;
        let id = row.map_or(Ok(String::new()), |row| row.try_get(0))?;
        return Ok(Claimed::Taken { id });
    };
    let version: i64 = row.try_get(0)?;
    if all {
        puts = differences(&transaction, &claim.name, puts).await?;
        transaction.execute(PURGE, &[&claim.name]).await?;
        transaction.execute(REAP, &[&claim.name]).await?;
    }
    let (ids, bodies): (Vec<String>, Vec<Option<String>>) = puts.into_iter().unzip();
    if !ids.is_empty() {
        transaction.execute(PUT, &[&claim.name, &version, &ids, &bodies]).await?;
    }
    transaction.execute(NOTIFY, &[&CHANNEL, &claim.name]).await?;
    transaction.commit().await?;
    Ok(Claimed::Done)
}

/// Of all instances, those that stand differently in the store, and those that stand there and should not.
async fn differences(
    transaction: &Transaction<'_>,
    name: &String,
    all: Vec<Put>,
) -> Result<Vec<Put>, StoreError> {
    let mut stored = std::collections::HashMap::new();
    for row in transaction.query(OWN, &[name]).await? {
        stored.insert(row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?);
    }
    let mut puts: Vec<Put> = Vec::new();
    for (id, body) in all {
        if stored.remove(&id) != body {
            puts.push((id, body));
        }
    }
    puts.extend(stored.into_keys().map(|id| (id, None)));
    Ok(puts)
}

/// Renews the lease; false when the name is not ours, or not there.
pub(crate) async fn renew(client: &Client, claim: &Claim) -> Result<bool, StoreError> {
    Ok(client.execute(RENEW, &[&claim.name, &claim.id, &(claim.lease_ms as f64)]).await? == 1)
}

/// The leases of all other nodes.
pub(crate) async fn leases(client: &Client, me: &str) -> Result<Vec<Held>, StoreError> {
    let rows = client.query(LEASES, &[&me]).await?;
    let held =
        |row: &Row| Ok(Held { name: row.try_get(0)?, version: row.try_get(1)?, is_held: row.try_get(2)? });
    rows.iter().map(held).collect()
}

/// A node as it is, and which of its instances are newer than a version. In one transaction, so that both fit.
pub(crate) async fn read(client: &mut Client, name: &str, since: i64) -> Result<Option<Read>, StoreError> {
    let builder =
        client.build_transaction().isolation_level(forebay_store::postgres::IsolationLevel::RepeatableRead);
    let transaction = builder.read_only(true).start().await?;
    let Some(row) = transaction.query_opt(NODE, &[&name]).await? else { return Ok(None) };
    let mut instances = Vec::new();
    for row in transaction.query(SINCE, &[&name, &since]).await? {
        instances.push((row.try_get(0)?, row.try_get(1)?));
    }
    let read = Read { version: row.try_get(0)?, body: row.try_get(1)?, is_held: row.try_get(2)?, instances };
    transaction.commit().await?;
    Ok(Some(read))
}
