//! A node: one Forebay, which vouches for the instances that registered with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_clock::Moment;

use crate::check::{Check, CheckId};
use crate::instance::Instance;

/// A node and what is registered with it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique among the nodes that share a store; Consul's `Node`.
    pub name: Arc<str>,
    /// A UUID, the same for as long as the state directory is; Consul's `ID`.
    pub id: Arc<str>,
    /// Where it is: an IP address.
    pub address: Box<str>,
    /// Whether it is known to be there.
    pub lease: Lease,
    /// When the shared store last said how another node is; `None` when it has not since this process started.
    pub confirmed: Option<Moment>,
    /// Whatever people say of it.
    pub meta: BTreeMap<Box<str>, Box<str>>,
    /// By their ids.
    pub instances: BTreeMap<Arc<str>, Instance>,
    /// Checks of the node itself, by their ids.
    pub checks: BTreeMap<CheckId, Check>,
    /// Why a person took the node out, with all its instances.
    pub maintenance: Option<Box<str>>,
    /// When it first appeared, in the registry's count of changes.
    pub create_index: u64,
    /// When it last changed.
    pub modify_index: u64,
}

/// Whether a node is known to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// This process.
    Own,
    /// Another one, which has renewed its lease in the shared store in time.
    Held,
    /// Another one, which has not: nobody vouches for its instances any more.
    Lapsed {
        /// When that was noticed.
        since: Moment,
    },
}

impl Node {
    /// This process, with nothing registered yet.
    pub fn own(name: &str, id: &str, address: &str) -> Node {
        Node {
            name: name.into(),
            id: id.into(),
            address: address.into(),
            lease: Lease::Own,
            confirmed: None,
            meta: BTreeMap::new(),
            instances: BTreeMap::new(),
            checks: BTreeMap::new(),
            maintenance: None,
            create_index: 1,
            modify_index: 1,
        }
    }
}
