//! Registries over real stores, and what is registered with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use forebay_clock::Clock;
use forebay_registry::{
    CheckKind, CheckSpec, Declared, Handle, InstanceState, Node, ProbeAnswer, ProbeOrder, Registration,
    Registry, RegistryProbe, SQLITE_SCHEMA, Stores, TaggedAddress, Topic, Weights, load,
};
use forebay_store::postgres::{Limits, Pool, PostgresUrl};
use forebay_store::sqlite::{Database, Options};
use forebay_testkit::PATIENCE;
use tokio::task::JoinHandle;

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(PATIENCE * 3, test).await.expect("the test hangs") };
    tokio::task::LocalSet::new().block_on(&runtime, bounded)
}

/// These tests have no checks that are asked.
pub(crate) struct Nobody;

impl RegistryProbe for Nobody {
    async fn probe(&self, _: &ProbeOrder) -> ProbeAnswer {
        std::future::pending().await
    }
}

pub(crate) fn instance(service: &str, id: &str) -> Registration {
    Registration {
        id: Some(id.into()),
        service: service.into(),
        address: "".into(),
        port: 9001,
        tags: vec!["blue".into()],
        meta: BTreeMap::from([("zone".into(), "a".into())]),
        weights: Weights { passing: 3, warning: 1 },
        tagged_addresses: BTreeMap::from([(
            "wan".into(),
            TaggedAddress { address: "198.51.100.7".into(), port: 443 },
        )]),
        enable_tag_override: true,
        declared: Declared::Ready,
        checks: Vec::new(),
        replace_checks: false,
    }
}

pub(crate) fn ttl(seconds: u64) -> CheckSpec {
    let deregister_after = Some(Duration::from_secs(600));
    let spec = CheckSpec::new(CheckKind::Ttl(Duration::from_secs(seconds)));
    CheckSpec { name: "alive".into(), deregister_after, ..spec }
}

/// A registry at work. Dropped, it is as if it had been killed: nothing is said to anybody.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(registry: Registry, stores: Stores) -> Running {
        let handle = Handle::with_stores(registry, Clock::system(), stores);
        let task = tokio::task::spawn_local({
            let handle = handle.clone();
            async move { handle.run(&Nobody, std::future::pending()).await }
        });
        Running { handle, task }
    }

    /// One of several nodes.
    pub(crate) fn node(name: &str, id: &str, url: &str) -> Running {
        let limits = Limits {
            connections: 2,
            connect: Duration::from_millis(500),
            acquire: Duration::from_secs(2),
            statement: Duration::from_millis(500),
        };
        let pool = Pool::new(&PostgresUrl::parse(url).unwrap(), limits).unwrap();
        let registry = Registry::new(Node::own(name, id, "192.0.2.1"));
        Running::start(registry, Stores { disk: None, shared: Some(pool) })
    }

    pub(crate) async fn register(&self, registration: Registration) {
        self.handle.write(|registry, now| registry.register(now, registration)).await.unwrap();
    }

    /// Waits until these are all instances of the service, by id, and so they stand.
    pub(crate) async fn until(&self, service: &str, expected: &[(&str, InstanceState)]) {
        let topic = Topic::Service(service.into());
        loop {
            let (index, found) = self.handle.read(|registry| {
                let found = registry.instances_of(service);
                let found: Vec<_> =
                    found.map(|found| (found.instance.id.to_string(), found.state())).collect();
                (registry.index(&topic), found)
            });
            if found.iter().map(|(id, state)| (&**id, *state)).eq(expected.iter().copied()) {
                return;
            }
            let until = self.handle.clock().now() + PATIENCE;
            let new = self.handle.changed(&topic, index, until).await;
            assert!(new != index, "{expected:?} did not come to be: {found:?}");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A state directory.
pub(crate) struct Scratch {
    directory: PathBuf,
    pub(crate) database: Option<Database>,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("forebay-registry-{}-{count}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        Scratch { directory, database: None }
    }

    /// What a process does that starts here.
    pub(crate) fn start(&mut self, name: &str) -> Running {
        self.database = None;
        let path = self.directory.join("state.db");
        let database = Database::open(&path, &[SQLITE_SCHEMA], Options::default()).unwrap();
        let stored = load(&database.reader().unwrap(), &mut fastrand::Rng::new()).unwrap();
        let mut registry = Registry::new(Node::own(name, &stored.id, "192.0.2.1"));
        registry.restore(Clock::system().now(), stored.snapshot);
        let stores = Stores { disk: Some(database.writer()), shared: None };
        self.database = Some(database);
        Running::start(registry, stores)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.database = None;
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
