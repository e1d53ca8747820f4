//! Keeps the registry on the disk, beside everything else: what must survive is answered when it is there, the rest
//! follows. A disk that fails stops nobody but those who asked for something that lasts.

use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;
use forebay_store::StoreError;
use forebay_store::sqlite::Writer;
use forebay_store::sqlite::rusqlite::Connection;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::handle::{Handle, State};
use crate::outbox::Outbox;
use crate::record::{Reader, write_instance, write_node};
use crate::registry::Registry;
use crate::sqlite::{ME, Row, save};
use crate::standing::Standing;
use crate::telemetry;

/// How long what nobody waits for may wait for company: a crash forgets at most so much of what checks said.
const LATER: Duration = Duration::from_millis(200);
/// Instances written at once: beyond it the registry would be held too long to write them down.
const ROWS_MAX: usize = 1024;
/// Between two tries of a disk that fails.
const AGAIN: Duration = Duration::from_secs(1);
/// How far ahead of the count indexes are reserved: a restart goes on beyond every index that was given out, though not
/// every change is stored. At a thousand changes a second, one extra write in a minute.
const RESERVE: u64 = 100_000;
/// How long the last writes may take when the process ends.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// How long whoever wants something to last waits for the disk.
const DISK_TIME: Duration = Duration::from_secs(5);

/// A way to the disk and how far it is.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) writer: Writer,
    /// Somebody waits.
    pub(crate) urgent: Notify,
    /// Something is to be written when it suits.
    pub(crate) later: Notify,
    progress: watch::Sender<Progress>,
    pub(crate) standing: Standing,
}

/// Numbers of [`Outbox::number`].
#[derive(Clone, Debug, Default)]
struct Progress {
    stored: u64,
    failed: u64,
    error: Option<Arc<StoreError>>,
}

impl Disk {
    pub(crate) fn new(writer: Writer) -> Disk {
        let progress = watch::Sender::new(Progress::default());
        Disk { writer, urgent: Notify::new(), later: Notify::new(), progress, standing: Standing::default() }
    }

    fn stored(&self, number: u64) {
        self.progress.send_if_modified(|now| std::mem::replace(&mut now.stored, number) != number);
    }

    fn failed(&self, now: Moment, number: u64, error: &Arc<StoreError>) {
        self.standing.failed(now, error);
        self.progress.send_modify(|now| (now.failed, now.error) = (number, Some(Arc::clone(error))));
    }

    /// Waits until everything up to this number is on the disk.
    pub(crate) async fn reach(&self, number: u64) -> Result<(), Arc<StoreError>> {
        self.urgent.notify_one();
        let mut progress = self.progress.subscribe();
        let reached = progress.wait_for(|now| now.stored >= number || now.failed >= number);
        match timeout(DISK_TIME, reached).await {
            Ok(Ok(now)) if now.stored >= number => Ok(()),
            Ok(Ok(now)) => Err(now.error.clone().unwrap_or_else(|| Arc::new(StoreError::Failed))),
            Ok(Err(_)) => Err(Arc::new(StoreError::Closed)),
            Err(_) => Err(Arc::new(StoreError::Timeout)),
        }
    }
}

impl Handle {
    /// Writes what changes to the disk. Never ends.
    pub(crate) async fn keep(&self, disk: &Disk) {
        let (mut reserved, mut well) = (0, true);
        loop {
            match self.store_some(disk, &mut reserved).await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        () = disk.urgent.notified() => {}
                        () = async { disk.later.notified().await; sleep(LATER).await } => {}
                    }
                    continue;
                }
                Err(error) => {
                    if std::mem::replace(&mut well, false) {
                        telemetry::not_stored(&error);
                    }
                    tokio::select! {
                        () = disk.urgent.notified() => {}
                        () = sleep(AGAIN) => {}
                    }
                    continue;
                }
            }
            if !std::mem::replace(&mut well, true) {
                telemetry::stored_again();
            }
        }
    }

    /// Writes what is left, within a bound.
    pub(crate) async fn store_the_rest(&self, disk: &Disk) {
        let mut reserved = u64::MAX;
        let rest = async { while matches!(self.store_some(disk, &mut reserved).await, Ok(true)) {} };
        if timeout(CLOSE_TIME, rest).await.is_err() {
            telemetry::not_stored(&StoreError::Timeout);
        }
    }

    /// Writes some of what there is; whether there was anything.
    async fn store_some(&self, disk: &Disk, reserved: &mut u64) -> Result<bool, Arc<StoreError>> {
        let (part, rows, is_all, reserve, id) = {
            let mut state = self.lock();
            let State { registry, to_store, .. } = &mut *state;
            if to_store.is_empty() && registry.count().saturating_add(RESERVE / 2) <= *reserved {
                disk.stored(to_store.number);
                return Ok(false);
            }
            let part = to_store.take(ROWS_MAX);
            let reserve = registry.count() + RESERVE;
            let rows = rows(registry, &part);
            (part, rows, to_store.is_empty(), reserve, Arc::clone(&registry.me().id))
        };
        let work = move |db: &Connection| save(db, &id, reserve, &rows);
        match disk.writer.write(work).await {
            Ok(()) => {
                disk.standing.works();
                *reserved = (*reserved).max(reserve);
                if is_all {
                    disk.stored(part.number);
                }
                Ok(true)
            }
            Err(error) => {
                let (number, error) = (part.number, Arc::new(error));
                self.lock().to_store.put_back(part);
                disk.failed(self.clock().now(), number, &error);
                Err(error)
            }
        }
    }
}

/// What the outbox says, as it is now.
fn rows(registry: &Registry, part: &Outbox) -> Vec<Row> {
    let me: Arc<str> = ME.into();
    let mut rows = Vec::with_capacity(part.instances.len() + 1);
    for id in &part.instances {
        let body = registry.me().instances.get(id).map(|found| write_instance(found, Reader::Own));
        rows.push(Row { node: Arc::clone(&me), id: Some(Arc::clone(id)), body });
    }
    if part.node {
        rows.push(Row { node: me, id: None, body: Some(write_node(registry.me(), Reader::Own)) });
    }
    for name in &part.others {
        // Whole: what other nodes say comes in bursts, and is read only when they cannot be asked.
        rows.push(Row { node: Arc::clone(name), id: None, body: None });
        let Some(node) = registry.node(name) else { continue };
        rows.push(Row { node: Arc::clone(name), id: None, body: Some(write_node(node, Reader::Others)) });
        for (id, instance) in &node.instances {
            let body = Some(write_instance(instance, Reader::Others));
            rows.push(Row { node: Arc::clone(name), id: Some(Arc::clone(id)), body });
        }
    }
    rows
}
