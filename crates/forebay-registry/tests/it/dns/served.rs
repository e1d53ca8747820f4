//! A registry whose DNS is served on loopback by a thread of the test's process.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use forebay_clock::Clock;
use forebay_registry::dns::Zone;
use forebay_registry::{Declared, Handle, Node, Registration, Registry, Weights, bind_dns, serve_dns};
use forebay_telemetry::metrics::Registry as Metrics;
use tokio::sync::oneshot;

/// Any port of it.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

/// Serves until dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) metrics: Metrics,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start() -> Served {
        let handle = handle();
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let (served, metrics) = (handle.clone(), Metrics::new(1));
        let counts = metrics.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (udp, tcp) = bind_dns(LOOPBACK.parse().unwrap()).unwrap();
                tell.send(udp.local_addr().unwrap()).unwrap();
                let until = async { drop(stopped.await) };
                serve_dns(udp, tcp, served, zone(), counts, until).await.unwrap();
            });
        });
        let address = told.recv().unwrap();
        Served { address, handle, metrics, stop: Some(stop), thread: Some(thread) }
    }

    /// Registers an instance of `service`, called `service-port`, with a weight of its own.
    pub(crate) fn register(&self, service: &str, address: &str, port: u16) -> String {
        register(&self.handle, service, address, port)
    }

    pub(crate) fn deregister(&self, id: &str) {
        self.handle.touch(|registry, now| registry.deregister(now, id)).unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the server did not end well");
    }
}

pub(crate) fn handle() -> Handle {
    Handle::new(Registry::new(Node::own("web1", "6f1f6d4e", "10.0.0.1")), Clock::system())
}

pub(crate) fn zone() -> Zone {
    Zone::new("consul", "dc1", Duration::ZERO, false).unwrap()
}

pub(crate) fn register(handle: &Handle, service: &str, address: &str, port: u16) -> String {
    let id = format!("{service}-{address}-{port}");
    let registration = Registration {
        id: Some(id.as_str().into()),
        service: service.into(),
        address: address.into(),
        port,
        tags: vec!["v1".into()],
        meta: [].into(),
        weights: Weights { passing: 7, warning: 1 },
        tagged_addresses: Default::default(),
        enable_tag_override: false,
        declared: Declared::Ready,
        checks: Vec::new(),
        replace_checks: false,
    };
    handle.touch(|registry, now| registry.register(now, registration)).unwrap();
    id
}
