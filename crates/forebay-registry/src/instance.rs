//! One instance of a service: what it says of itself, and what that and its checks amount to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::{Check, CheckSpec, Status};

/// An instance as it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Unique on its node; the service's name when not given.
    pub id: Option<Arc<str>>,
    /// The service's name.
    pub service: Arc<str>,
    /// An IP address or a host's name; empty for its node's.
    pub address: Box<str>,
    /// 0 for none.
    pub port: u16,
    /// Where it says it is in other networks, by Consul's names for them: told to those who ask, and gone by by nobody
    /// here.
    pub tagged_addresses: BTreeMap<Box<str>, TaggedAddress>,
    /// In the order given.
    pub tags: Vec<Box<str>>,
    /// `version`, `zone`, `schema_version` and `api_version` have a meaning to Forebay.
    pub meta: BTreeMap<Box<str>, Box<str>>,
    /// Shares of requests.
    pub weights: Weights,
    /// Kept for those who ask.
    pub enable_tag_override: bool,
    /// How it stands by its own word.
    pub declared: Declared,
    /// What vouches for it; with none, it is ready for as long as it is registered.
    pub checks: Vec<CheckSpec>,
    /// Whether checks that the instance had and that are not listed here go.
    pub replace_checks: bool,
}

/// Where an instance is in one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedAddress {
    /// An IP address or a host's name; empty when only the port differs.
    pub address: Box<str>,
    /// 0 for none.
    pub port: u16,
}

/// Shares of requests by status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// While passing; at least 1.
    pub passing: u32,
    /// While a check warns; 0 for no requests then.
    pub warning: u32,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights { passing: 1, warning: 1 }
    }
}

/// How an instance stands by its own word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Declared {
    /// Not yet.
    Starting,
    /// Send requests.
    #[default]
    Ready,
    /// No more, and those under way finish.
    Draining,
}

/// How an instance stands, all things taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceState {
    /// Gets requests; a check may warn.
    Ready,
    /// It says that it is not ready yet.
    Starting,
    /// It says that it wants no more.
    Draining,
    /// A check is critical, its own, its node's, or the node itself is gone.
    Critical,
    /// A person took it out.
    Maintenance,
}

/// An instance that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The name of its node.
    pub node: Arc<str>,
    /// Unique on its node.
    pub id: Arc<str>,
    /// As registered; `checks` of it is empty, for they are in `checks` here.
    pub registration: Registration,
    /// Why a person took it out.
    pub maintenance: Option<Box<str>>,
    /// In the order of their names.
    pub checks: BTreeMap<Arc<str>, Check>,
    /// When it was first registered, in the registry's count of changes.
    pub create_index: u64,
    /// When it last changed.
    pub modify_index: u64,
}

impl Declared {
    /// As it is spelled in the API and in listings.
    pub const fn text(self) -> &'static str {
        match self {
            Declared::Starting => "starting",
            Declared::Ready => "ready",
            Declared::Draining => "draining",
        }
    }
}

impl InstanceState {
    /// As it is spelled in listings.
    pub const fn text(self) -> &'static str {
        match self {
            InstanceState::Ready => "ready",
            InstanceState::Starting => "starting",
            InstanceState::Draining => "draining",
            InstanceState::Critical => "critical",
            InstanceState::Maintenance => "maintenance",
        }
    }
}

impl Instance {
    /// What its own checks amount to: the worst of them; passing when there are none.
    pub fn status(&self) -> Status {
        let worst = self.checks.values().map(|check| check.status).max();
        worst.unwrap_or(Status::Passing)
    }
}
