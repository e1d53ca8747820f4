//! What is measured of a registry: its instances and nodes by how they stand, and its stores. Read when somebody asks;
//! counts nothing as it happens, and keeps no registry alive.

use std::sync::Weak;

use forebay_telemetry::metrics::{Desc, Registry as Metrics};

use crate::handle::{Handle, Shared};
use crate::instance::InstanceState;
use crate::node::Lease;
use crate::registry::Registry;

const INSTANCES: Desc<1> =
    Desc::new("forebay_registry_instances", "Instances that registered with this node, by state.", ["state"]);
const NODES: Desc<1> = Desc::new(
    "forebay_registry_nodes",
    "Nodes that this one knows of, itself included, by whether they renew their lease.",
    ["state"],
);
const STORE_UP: Desc<1> = Desc::new(
    "forebay_registry_store_up",
    "Whether a store of the registry did what was last asked: 1 if so, 0 if not.",
    ["store"],
);
const STORE_FAILURES: Desc<1> = Desc::new(
    "forebay_registry_store_failures",
    "Times that a store of the registry did not do what was asked.",
    ["store"],
);

const STATES: [InstanceState; 5] = [
    InstanceState::Ready,
    InstanceState::Starting,
    InstanceState::Draining,
    InstanceState::Critical,
    InstanceState::Maintenance,
];

impl Handle {
    /// Has `metrics` tell of this registry for as long as it is there. Once for each process.
    pub fn measure(&self, metrics: &Metrics) {
        let shared = self.downgrade();
        metrics.observe_gauges(INSTANCES, {
            let shared = shared.clone();
            move |values| {
                let Some(handle) = upgrade(&shared) else { return };
                let counts = handle.read(count_states);
                STATES.iter().zip(counts).for_each(|(state, count)| values.set([state.text()], count as f64));
            }
        });
        metrics.observe_gauges(NODES, {
            let shared = shared.clone();
            move |values| {
                let Some(handle) = upgrade(&shared) else { return };
                let (held, lapsed) = handle.read(count_nodes);
                values.set(["held"], held as f64);
                values.set(["lapsed"], lapsed as f64);
            }
        });
        metrics.observe_gauges(STORE_UP, {
            let shared = shared.clone();
            move |values| {
                for report in upgrade(&shared).iter().flat_map(Handle::stores) {
                    values.set([report.store], if report.trouble.is_none() { 1.0 } else { 0.0 });
                }
            }
        });
        metrics.observe_counters(STORE_FAILURES, move |values| {
            for report in upgrade(&shared).iter().flat_map(Handle::stores) {
                values.set([report.store], report.failures as f64);
            }
        });
    }
}

fn upgrade(shared: &Weak<Shared>) -> Option<Handle> {
    shared.upgrade().map(Handle::from)
}

/// How many of our own stand in each of [`STATES`].
fn count_states(registry: &Registry) -> [usize; STATES.len()] {
    let mut counts = [0; STATES.len()];
    for found in registry.me().instances.keys().filter_map(|id| registry.instance(id)) {
        let state = found.state();
        if let Some(count) = STATES.iter().position(|one| *one == state).and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
    }
    counts
}

/// Nodes with a lease, and those without.
fn count_nodes(registry: &Registry) -> (usize, usize) {
    let lapsed = registry.nodes().filter(|node| matches!(node.lease, Lease::Lapsed { .. })).count();
    (registry.nodes().count() - lapsed, lapsed)
}
