//! Knows which instances of which services run on which node, how they are, and tells who asks.
//!
//! - decisions: what is registered and what it amounts to, pure, given the time;
//! - the edges: Consul's HTTP API and DNS for those who ask, checks that ask instances, stores that outlive the process.
//!
//! Where a request goes is not decided here: the binary hands what changes to service discovery.

mod absorbing;
mod asked;
mod check;
pub mod checking;
mod consul;
pub mod dns;
mod fields;
mod found;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod go_duration;
mod handle;
mod indexes;
mod instance;
mod keeping;
mod measures;
mod native;
mod node;
mod outbox;
mod postgres;
mod probing;
mod query;
mod record;
mod refusal;
mod registering;
mod registry;
mod reply;
mod reporting;
mod serve;
mod services;
mod settings;
mod sharing;
mod sqlite;
mod standing;
mod subscription;
mod telemetry;
mod topic;
mod waiter;
mod waiting;

pub use absorbing::Snapshot;
pub use check::{Check, CheckId, CheckKind, CheckSpec, HttpCheck, OUTPUT_BYTES_MAX, Status, TcpCheck};
pub use dns::{bind_dns, serve_dns};
pub use found::Found;
pub use handle::{Handle, PROBES_IN_FLIGHT_MAX, Stores};
pub use instance::{Declared, Instance, InstanceState, Registration, TaggedAddress, Weights};
pub use node::{Lease, Node};
pub use postgres::POSTGRES_SCHEMA;
pub use probing::{ProbeAnswer, ProbeId, ProbeOrder, RegistryProbe, SUSPECT_EVERY};
pub use refusal::{Refusal, RegistryError};
pub use registry::{Effects, Registry};
pub use reporting::WORDS_EVERY;
pub use serve::{CONNECTIONS_MAX, RegistryHttp, serve_http};
pub use services::Member;
pub use settings::{CheckSettings, RegistrySettings};
pub use sharing::{NODE_LEASE, RENEW_EVERY};
pub use sqlite::{SQLITE_SCHEMA, Stored, load};
pub use standing::{StoreReport, Trouble};
pub use subscription::{Changed, Subscription, TOLD_MAX};
pub use topic::Topic;
