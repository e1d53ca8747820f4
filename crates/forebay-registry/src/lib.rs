//! Knows which instances of which services run on which node, how they are, and tells who asks.
//!
//! - decisions: what is registered and what it amounts to, pure, given the time;
//! - the edges: Consul's HTTP API and DNS for those who ask, checks that ask instances, stores that outlive the process.
//!
//! Where a request goes is not decided here: the binary hands what changes to service discovery.

mod check;
mod instance;
mod node;
mod topic;

pub use check::{Check, CheckId, CheckKind, CheckSpec, HttpCheck, Status, TcpCheck};
pub use instance::{Declared, Instance, InstanceState, Registration, Weights};
pub use node::{Lease, Node};
pub use topic::Topic;
