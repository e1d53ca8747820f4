//! Opens a database file as we want it: WAL, every commit synced, its schema as known here. Refuses a newer schema.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::writer::{self, Writer};
use crate::StoreError;
use crate::schema::{Schema, pending};

/// How long a statement waits for somebody else's lock, which only a tool in a person's hand can hold.
const BUSY_TIME: Duration = Duration::from_secs(1);
/// What a large write leaves of the log file once it is checkpointed.
const LOG_BYTES_KEPT: u64 = 16 << 20;

/// How a database is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name of a registered VFS to use instead of the system's: the seam below SQLite where fault tests put theirs.
    pub vfs: Option<String>,
}

/// One database file, its writer's thread included. Stops the thread when dropped, as [`Database::close`] does.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    options: Options,
    writer: Writer,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    /// Opens or makes the file, brings its schema up to date and starts the writer's thread. Blocks on the disk.
    pub fn open(path: &Path, schemas: &[Schema], options: Options) -> Result<Database, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = connect(path, flags, &options)?;
        let mode: String = connection.query_row("pragma journal_mode = wal", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(StoreError::Refused(format!("the journal's mode stays {mode}").into()));
        }
        connection.execute_batch(&format!(
            "pragma synchronous = full; pragma foreign_keys = on; pragma journal_size_limit = {LOG_BYTES_KEPT}"
        ))?;
        migrate(&mut connection, schemas)?;
        let (writer, thread) = writer::start(connection)?;
        Ok(Database { path: path.to_owned(), options, writer, thread: Some(thread) })
    }

    /// A handle by which to write. Clones share the thread.
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// A connection of the caller's own that reads, and sees what was committed when its transaction began.
    pub fn reader(&self) -> Result<Connection, StoreError> {
        connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY, &self.options)
    }

    /// Takes no more work, commits what was taken, and empties the log into the file. Blocks until that is done.
    pub fn close(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.writer.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was seen by those whose work it had.
            let _ = thread.join();
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}

fn connect(path: &Path, flags: OpenFlags, options: &Options) -> Result<Connection, StoreError> {
    // A connection stays on its thread, so SQLite's own locks would only cost.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(BUSY_TIME)?;
    connection.execute_batch("pragma trusted_schema = off")?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, schemas: &[Schema]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(MIGRATIONS)?;
    for schema in schemas {
        let query = "select name from forebay_migrations where part = ? order by step";
        let applied = transaction
            .prepare(query)?
            .query_map([schema.part], |row| row.get(0))?
            .collect::<Result<Vec<String>, _>>()?;
        for (step, number) in pending(schema, &applied)?.iter().zip(applied.len() as i64 + 1..) {
            transaction.execute_batch(step.sql)?;
            let insert = "insert into forebay_migrations (part, step, name) values (?, ?, ?)";
            transaction.execute(insert, (schema.part, number, step.name))?;
        }
    }
    Ok(transaction.commit()?)
}

const MIGRATIONS: &str = "
create table if not exists forebay_migrations (
    part text not null,
    step integer not null,
    name text not null,
    applied_at text not null default current_timestamp,
    primary key (part, step)
) strict;
";
