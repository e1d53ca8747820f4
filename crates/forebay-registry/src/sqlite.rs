//! The registry in the state directory's database: a snapshot that is always up to date. Decides nothing.

use std::sync::Arc;

use forebay_store::sqlite::rusqlite::{Connection, OptionalExtension, params};
use forebay_store::{Schema, Step, StoreError};

use crate::absorbing::Snapshot;
use crate::node::{Lease, Node};
use crate::record::{read_instance, read_node};
use crate::telemetry;

/// To be given to [`forebay_store::sqlite::Database::open`].
pub const SQLITE_SCHEMA: Schema = Schema {
    part: "registry",
    steps: &[Step {
        name: "snapshot",
        // This node is called '' in both tables, so that it may be renamed.
        sql: "
create table registry_nodes (
    name text primary key,
    body text not null
) strict;
create table registry_instances (
    node text not null,
    id text not null,
    body text not null,
    primary key (node, id)
) strict, without rowid;
create table registry_self (
    one integer primary key check (one = 1),
    id text not null,
    count_reserved integer not null
) strict;
",
    }],
};

/// What stands for this node's name.
pub(crate) const ME: &str = "";

/// What the database knows.
#[derive(Debug)]
pub struct Stored {
    /// This node's id, made for the first start in this state directory.
    pub id: String,
    /// For [`crate::Registry::restore`].
    pub snapshot: Snapshot,
}

/// One row to be written, or deleted where it has no body.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) node: Arc<str>,
    /// `None` for the node itself.
    pub(crate) id: Option<Arc<str>>,
    pub(crate) body: Option<String>,
}

/// Reads everything, from a reader's connection. A row that cannot be read is left out, and told in the log.
pub fn load(db: &Connection, rng: &mut fastrand::Rng) -> Result<Stored, StoreError> {
    let mut nodes = Vec::new();
    let mut query = db.prepare("select name, body from registry_nodes")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (name, body): (String, String) = (row.get(0)?, row.get(1)?);
        match read_node(&body, if name == ME { Lease::Own } else { Lease::Held }) {
            Ok(node) => nodes.push((name, node)),
            Err(error) => telemetry::row_unreadable(&name, &error),
        }
    }
    if !nodes.iter().any(|(name, _)| name == ME) {
        nodes.push((ME.into(), Node::own(ME, "", "")));
    }
    for (name, node) in &mut nodes {
        let mut query = db.prepare_cached("select id, body from registry_instances where node = ?")?;
        let mut rows = query.query([&*name])?;
        while let Some(row) = rows.next()? {
            let (id, body): (String, String) = (row.get(0)?, row.get(1)?);
            match read_instance(&node.name, &id, &body) {
                Ok(instance) => drop(node.instances.insert(Arc::clone(&instance.id), instance)),
                Err(error) => telemetry::row_unreadable(&id, &error),
            }
        }
    }
    let found = db.query_row("select id, count_reserved from registry_self", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    });
    let (id, count) = found.optional()?.unwrap_or_else(|| (uuid(rng), 1));
    let (me, others): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|(name, _)| name == ME);
    Ok(Stored {
        id,
        snapshot: Snapshot {
            count: u64::try_from(count).unwrap_or(1),
            me: me.into_iter().next().map(|(_, node)| node),
            others: others.into_iter().map(|(_, node)| node).collect(),
        },
    })
}

/// Writes rows, and that every index below `count_reserved` may have been given out.
pub(crate) fn save(db: &Connection, id: &str, count_reserved: u64, rows: &[Row]) -> Result<(), StoreError> {
    let count = i64::try_from(count_reserved).unwrap_or(i64::MAX);
    db.prepare_cached("insert or replace into registry_self values (1, ?, ?)")?
        .execute(params![id, count])?;
    for Row { node, id, body } in rows {
        match (id, body) {
            (None, Some(body)) => {
                let insert = "insert or replace into registry_nodes values (?, ?)";
                db.prepare_cached(insert)?.execute(params![&**node, body])?;
            }
            (None, None) => {
                db.prepare_cached("delete from registry_nodes where name = ?")?.execute([&**node])?;
                db.prepare_cached("delete from registry_instances where node = ?")?.execute([&**node])?;
            }
            (Some(id), Some(body)) => {
                let insert = "insert or replace into registry_instances values (?, ?, ?)";
                db.prepare_cached(insert)?.execute(params![&**node, &**id, body])?;
            }
            (Some(id), None) => {
                let delete = "delete from registry_instances where node = ? and id = ?";
                db.prepare_cached(delete)?.execute(params![&**node, &**id])?;
            }
        }
    }
    Ok(())
}

/// A version 4 UUID (RFC 9562 §5.4).
fn uuid(rng: &mut fastrand::Rng) -> String {
    let bits = (rng.u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_by_chance() {
        let id = uuid(&mut fastrand::Rng::with_seed(1));
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        assert!(["8", "9", "a", "b"].contains(&&id[19..20]), "{id}");
        assert_ne!(id, uuid(&mut fastrand::Rng::with_seed(2)));
    }
}
