//! The one thread that writes. Takes all work that waits, does it in one transaction, syncs once, then tells everyone.
//! Nobody is told "done" before the sync.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::classify;
use crate::StoreError;

/// Work that waits for the thread: a few syncs' worth of it.
const QUEUE_MAX: usize = 1024;
/// Work in one transaction: what comes later waits for the sync, so a batch must not last longer than a few.
const BATCH_MAX: usize = 256;
/// How long work waits for a place in the queue.
const ACQUIRE_TIME: Duration = Duration::from_secs(1);

type Queue = mpsc::Sender<Box<dyn Job>>;

/// A handle by which to write. Cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Writer(Arc<Mutex<Option<Queue>>>);

/// One caller's work, its result, and whom to tell.
trait Job: Send {
    /// Does the work, in a savepoint of its own.
    fn run(&mut self, connection: &Connection);
    /// Tells the caller: its own result, unless the transaction failed.
    fn finish(self: Box<Self>, lost: Option<StoreError>);
}

struct Work<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl Writer {
    /// Does `work` in a transaction and answers when it is on the disk. What it returns as an error is undone, alone.
    /// A dropped future does not take back work that is queued.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the queue stays full, [`StoreError::Full`] when the disk does,
    /// [`StoreError::Failed`] from the moment on when a sync failed.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let queue = self.lock().clone().ok_or(StoreError::Closed)?;
        let place = timeout(ACQUIRE_TIME, queue.reserve()).await.map_err(|_| StoreError::Busy)?;
        // The thread only goes away by itself when it panics.
        let place = place.map_err(|_| StoreError::Failed)?;
        let (reply, answer) = oneshot::channel();
        place.send(Box::new(Work { work: Some(work), result: None, reply }));
        drop(queue);
        answer.await.unwrap_or(Err(StoreError::Failed))
    }

    pub(super) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) {
        let Some(work) = self.work.take() else { return };
        self.result = Some(in_savepoint(connection, work));
    }

    fn finish(self: Box<Self>, lost: Option<StoreError>) {
        let result = match (self.result, lost) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(StoreError::Failed),
        };
        // Nobody may be waiting any more.
        let _ = self.reply.send(result);
    }
}

/// Starts the thread. It ends when the queue is closed and empty.
pub(super) fn start(connection: Connection) -> Result<(Writer, JoinHandle<()>), StoreError> {
    let (queue, jobs) = mpsc::channel(QUEUE_MAX);
    let thread = std::thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || run(&connection, jobs))
        .map_err(|error| StoreError::Refused(error.into()))?;
    Ok((Writer(Arc::new(Mutex::new(Some(queue)))), thread))
}

fn run(connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut failed = false;
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while jobs.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        if failed {
            batch.drain(..).for_each(|job| job.finish(Some(StoreError::Failed)));
        } else {
            failed = commit(connection, &mut batch);
        }
    }
    if !failed {
        // Only for the next start's sake: the log is as durable as the file.
        let _ = connection.execute_batch("pragma wal_checkpoint(truncate)");
    }
}

/// Does a batch in one transaction and tells its callers. True when nothing may be written any more.
fn commit(connection: &Connection, batch: &mut Vec<Box<dyn Job>>) -> bool {
    if let Err(error) = connection.execute_batch("begin immediate") {
        return abandon(batch, error);
    }
    batch.iter_mut().for_each(|job| job.run(connection));
    // For some errors (full, I/O) SQLite takes the whole transaction back, and with it what others had done in it.
    if connection.is_autocommit() {
        for job in batch.drain(..) {
            job.finish(Some(StoreError::Unreachable { sent: false, source: None }));
        }
        return false;
    }
    match connection.execute_batch("commit") {
        Ok(()) => {
            batch.drain(..).for_each(|job| job.finish(None));
            false
        }
        Err(error) => {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("rollback");
            }
            abandon(batch, error)
        }
    }
}

fn abandon(batch: &mut Vec<Box<dyn Job>>, error: rusqlite::Error) -> bool {
    let fatal = classify::is_fatal(&error);
    let error = Arc::new(error);
    for job in batch.drain(..) {
        job.finish(Some(if fatal { StoreError::Failed } else { classify::shared(&error) }));
    }
    fatal
}

fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // The transaction may be gone because of work before this one; nothing may run, and commit, on its own.
    if connection.is_autocommit() {
        return Err(StoreError::Unreachable { sent: false, source: None });
    }
    connection.prepare_cached("savepoint job")?.execute([])?;
    let result = work(connection);
    if connection.is_autocommit() {
        return result.and(Err(StoreError::Unreachable { sent: false, source: None }));
    }
    if result.is_err() {
        connection.prepare_cached("rollback to job")?.execute([])?;
    }
    connection.prepare_cached("release job")?.execute([])?;
    result
}
