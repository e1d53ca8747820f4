//! What can be waited for: each topic has an index of its own, so that a change wakes only those whom it concerns.

use std::sync::Arc;

/// Something that changes. Its index is the registry's count of changes at its last one; never 0, never backwards while
/// the process lives or a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Instances of this service, their checks, and those of their nodes.
    Service(Arc<str>),
    /// Which services there are, with which tags.
    Services,
    /// Which nodes there are.
    Nodes,
    /// What is registered with this node, and its checks.
    Node(Arc<str>),
    /// Any check's status.
    Checks,
}
