//! Tells other nodes through a shared PostgreSQL what is registered here, and hears what is registered there. Decides when
//! to write, to read and to believe; silence of the store changes nothing that is known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;
use forebay_store::StoreError;
use forebay_store::postgres::{Heard, Pool, migrate};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::handle::{Handle, State};
use crate::node::Lease;
use crate::outbox::Outbox;
use crate::postgres::{CHANNEL, Claim, Claimed, POSTGRES_SCHEMA, Put, leases, publish, read, renew};
use crate::record::{Reader, read_instance, read_node, write_instance, write_node};
use crate::standing::Standing;
use crate::telemetry;

/// How often a node renews its lease.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How long a lease lasts: three renewals may fail to a blip, and requests find out sooner than this anyway.
pub const NODE_LEASE: Duration = Duration::from_secs(10);
/// How often others' leases are looked at, which also finds what no notification told.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a change waits for company: a burst is one transaction.
const GATHER: Duration = Duration::from_millis(20);
/// Instances in one transaction.
const ROWS_MAX: usize = 1024;
/// Between two tries to bring a PostgreSQL that cannot be reached to the present schema.
const MIGRATE_AGAIN: Duration = Duration::from_secs(1);

/// What is wrong with a store that works, and belongs to somebody else who goes by our name.
const NAME_TAKEN: &str = "another process is registered there under this node's name";

/// A way to the shared store.
#[derive(Debug)]
pub(crate) struct Sharing {
    pool: Pool,
    /// There is something to tell.
    pub(crate) changed: Notify,
    pub(crate) standing: Standing,
}

/// How far this node is.
#[derive(Debug, Default)]
struct Course {
    /// Everything has to be written, as after the store was away.
    all: bool,
    /// The version up to which each other node was read.
    read: HashMap<String, i64>,
    /// Whether the store did what was last asked.
    well: Option<bool>,
    /// Whether somebody else has our name.
    taken: bool,
}

impl Sharing {
    pub(crate) fn new(pool: Pool) -> Sharing {
        Sharing { pool, changed: Notify::new(), standing: Standing::default() }
    }
}

impl Handle {
    /// Shares. Never ends.
    pub(crate) async fn share(&self, sharing: &Sharing) {
        let mut course = Course { all: true, ..Course::default() };
        while let Err(error) = migrate(&sharing.pool, &[POSTGRES_SCHEMA]).await {
            course.note(sharing, self.clock().now(), &Err(error));
            sleep(MIGRATE_AGAIN).await;
        }
        let mut listener = sharing.pool.listen(&[CHANNEL]);
        let (mut renewing, mut looking) = (interval(RENEW_EVERY), interval(LOOK_EVERY));
        renewing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                heard = listener.next() => match heard {
                    Heard::Missed => {
                        // Whatever was read before may lack what was told meanwhile.
                        course.read.clear();
                        course.all = true;
                        match self.tell_others(sharing, &mut course).await {
                            Ok(()) => self.look(sharing, &mut course).await,
                            failed => failed,
                        }
                    }
                    Heard::Notice { payload, .. } => self.read_other(sharing, &mut course, &payload).await,
                    Heard::Lost(error) => Err(error),
                },
                () = async { sharing.changed.notified().await; sleep(GATHER).await } => {
                    self.tell_others(sharing, &mut course).await
                }
                _ = renewing.tick() => self.renew(sharing, &mut course).await,
                _ = looking.tick() => self.look(sharing, &mut course).await,
            };
            course.note(sharing, self.clock().now(), &done);
        }
    }

    fn claim(&self) -> Claim {
        self.read(|registry| Claim {
            name: registry.me_key.to_string(),
            id: registry.me().id.to_string(),
            body: write_node(registry.me(), Reader::Others),
            lease_ms: i64::try_from(NODE_LEASE.as_millis()).unwrap_or(i64::MAX),
        })
    }

    /// Writes what has changed here.
    async fn tell_others(&self, sharing: &Sharing, course: &mut Course) -> Result<(), StoreError> {
        loop {
            let all = course.all;
            let (claim, mut part) =
                (self.claim(), self.lock().to_share.take(if all { usize::MAX } else { ROWS_MAX }));
            if part.is_empty() && !all {
                return Ok(());
            }
            let puts = self.puts(&part, all);
            let published = sharing.pool.run(async |client| publish(client, &claim, puts, all).await).await;
            match published {
                Ok(Claimed::Done) => {
                    course.all = false;
                    course.taken = false;
                }
                Ok(Claimed::Taken { id }) => {
                    course.all = true;
                    if !std::mem::replace(&mut course.taken, true) {
                        telemetry::name_taken(&claim.name, &id, sharing.pool.place());
                    }
                    return Ok(());
                }
                Err(error) => {
                    // It may have been written or not: what is written again is the same.
                    part.number = 0;
                    self.lock().to_share.put_back(part);
                    return Err(error);
                }
            }
        }
    }

    fn puts(&self, part: &Outbox, all: bool) -> Vec<Put> {
        let state = self.lock();
        let State { registry, .. } = &*state;
        let instances = &registry.me().instances;
        if all {
            return instances
                .iter()
                .map(|(id, found)| (id.to_string(), Some(write_instance(found, Reader::Others))))
                .collect();
        }
        part.instances
            .iter()
            .map(|id| (id.to_string(), instances.get(id).map(|found| write_instance(found, Reader::Others))))
            .collect()
    }

    /// Renews this node's lease; where that is not possible, writes everything anew.
    async fn renew(&self, sharing: &Sharing, course: &mut Course) -> Result<(), StoreError> {
        let claim = self.claim();
        if !sharing.pool.run(async |client| renew(client, &claim).await).await? {
            course.all = true;
        }
        self.tell_others(sharing, course).await
    }

    /// Looks at the leases of others, and reads those that are not as they were read.
    async fn look(&self, sharing: &Sharing, course: &mut Course) -> Result<(), StoreError> {
        let me = self.read(|registry| registry.me_key.to_string());
        let held = sharing.pool.run(async |client| leases(client, &me).await).await?;
        let now = self.clock().now();
        for other in &held {
            if course.read.get(&other.name) != Some(&other.version) {
                self.read_other(sharing, course, &other.name).await?;
                continue;
            }
            let lease = if other.is_held { Lease::Held } else { Lease::Lapsed { since: now } };
            self.note_lease(&other.name, lease);
            self.apply(|registry, now| registry.confirm(&other.name, lease, now));
        }
        let gone: Vec<Arc<str>> = self.read(|registry| {
            let is_there = |name: &str| held.iter().any(|held| held.name == name);
            registry.others.keys().filter(|name| !is_there(name)).cloned().collect()
        });
        for name in gone {
            course.read.remove(&*name);
            self.apply(|registry, _| registry.forget_node(&name));
        }
        Ok(())
    }

    /// Reads what is new of another node, or all of it when nothing was read yet.
    async fn read_other(&self, sharing: &Sharing, course: &mut Course, name: &str) -> Result<(), StoreError> {
        if self.read(|registry| *registry.me_key == *name) {
            return Ok(());
        }
        let since = course.read.get(name).copied();
        let found = sharing.pool.run(async |client| read(client, name, since.unwrap_or(0)).await).await?;
        // The next look finds out whether it is gone.
        let Some(found) = found else { return Ok(()) };
        let now = self.clock().now();
        let lease = if found.is_held { Lease::Held } else { Lease::Lapsed { since: now } };
        course.read.insert(name.to_owned(), found.version);
        let mut node = match read_node(&found.body, lease) {
            Ok(node) => node,
            Err(error) => {
                telemetry::row_unreadable(name, &error);
                return Ok(());
            }
        };
        node.confirmed = Some(now);
        if since.is_some() {
            let known = self.read(|registry| registry.node(name).map(|node| node.instances.clone()));
            node.instances = known.unwrap_or_default();
        }
        for (id, body) in found.instances {
            match body.map(|body| read_instance(&node.name, &id, &body)) {
                Some(Ok(instance)) => drop(node.instances.insert(Arc::clone(&instance.id), instance)),
                Some(Err(error)) => telemetry::row_unreadable(&id, &error),
                None => drop(node.instances.remove(&*id)),
            }
        }
        self.note_lease(name, lease);
        self.apply(|registry, _| registry.absorb(node));
        Ok(())
    }

    fn note_lease(&self, name: &str, lease: Lease) {
        let known = self.read(|registry| registry.node(name).map(|node| node.lease));
        match (known, lease) {
            (Some(Lease::Held), Lease::Lapsed { .. }) => telemetry::node_gone(name),
            (Some(Lease::Lapsed { .. }), Lease::Held) => telemetry::node_back(name),
            _ => {}
        }
    }
}

impl Course {
    fn note(&mut self, sharing: &Sharing, now: Moment, done: &Result<(), StoreError>) {
        let place = sharing.pool.place();
        match done {
            Err(error) => sharing.standing.failed(now, error),
            Ok(()) if self.taken => sharing.standing.failed(now, NAME_TAKEN),
            Ok(()) => sharing.standing.works(),
        }
        match done {
            Ok(()) => {
                if self.well.replace(true) != Some(true) {
                    telemetry::sharing(place);
                }
            }
            Err(error) => {
                if self.well.replace(false) != Some(false) {
                    telemetry::sharing_lost(place, error);
                }
            }
        }
    }
}
