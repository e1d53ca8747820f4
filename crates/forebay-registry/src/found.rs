//! An instance together with its node: what it amounts to, and why. Decides whether it gets requests.

use std::fmt::Write;

use crate::check::{Check, Status};
use crate::instance::{Declared, Instance, InstanceState};
use crate::node::{Lease, Node};

/// What nobody vouches for is called.
pub(crate) const UNVOUCHED: &str = "its node does not renew its lease: nobody vouches for it";

/// An instance and its node.
#[derive(Clone, Copy, Debug)]
pub struct Found<'r> {
    /// Where it is registered.
    pub node: &'r Node,
    /// The instance.
    pub instance: &'r Instance,
}

impl<'r> Found<'r> {
    /// How it stands, all things taken together. What people and checks say weighs more than its own word.
    pub fn state(&self) -> InstanceState {
        if self.node.maintenance.is_some() || self.instance.maintenance.is_some() {
            return InstanceState::Maintenance;
        }
        if self.status() == Status::Critical {
            return InstanceState::Critical;
        }
        match self.instance.registration.declared {
            Declared::Ready => InstanceState::Ready,
            Declared::Starting => InstanceState::Starting,
            Declared::Draining => InstanceState::Draining,
        }
    }

    /// What Consul calls the aggregated status: the worst of its checks, its node's, maintenance and the node's lease.
    pub fn status(&self) -> Status {
        let is_out = self.node.maintenance.is_some() || self.instance.maintenance.is_some();
        if is_out || matches!(self.node.lease, Lease::Lapsed { .. }) {
            return Status::Critical;
        }
        self.checks().map(|check| check.status).max().unwrap_or(Status::Passing)
    }

    /// The checks that count for it: its own, then its node's.
    pub fn checks(&self) -> impl Iterator<Item = &'r Check> {
        self.instance.checks.values().chain(self.node.checks.values())
    }

    /// Why it is not plainly ready, in words; `None` when it is.
    pub fn why(&self) -> Option<String> {
        if let Some(reason) = &self.node.maintenance {
            return Some(with_reason("its node is in maintenance", reason));
        }
        if let Some(reason) = &self.instance.maintenance {
            return Some(with_reason("in maintenance", reason));
        }
        if matches!(self.node.lease, Lease::Lapsed { .. }) {
            return Some(UNVOUCHED.into());
        }
        let worst =
            self.checks().filter(|check| check.status != Status::Passing).max_by_key(|check| check.status);
        let declared = self.instance.registration.declared;
        match worst {
            Some(check) if check.status == Status::Critical || declared == Declared::Ready => {
                let first_line = check.output.lines().next().unwrap_or_default();
                Some(with_reason(&format!("check {} {}", check.id, check.status), first_line))
            }
            _ if declared != Declared::Ready => Some(format!("it says that it is {}", declared.text())),
            _ => None,
        }
    }

    /// Its own address, or its node's: an IP address or a host's name.
    pub fn address(&self) -> &'r str {
        match &*self.instance.registration.address {
            "" => &self.node.address,
            address => address,
        }
    }
}

fn with_reason(what: &str, reason: &str) -> String {
    let mut text = what.to_owned();
    if !reason.is_empty() {
        let _ = write!(text, ": {reason}");
    }
    text
}
