//! Turns a service name into a live, health-checked set of endpoints.
//!
//! Three layers, each usable without the next:
//!
//! - decisions: [`Resolution`] and [`HealthMachine`] for one source and one endpoint, [`Catalog`] for everything;
//!   pure, given the time and an rng;
//! - state that cores read without locks: [`LiveService`], [`EndpointSet`], [`LiveState`];
//! - the edge: [`Discovery`] drives a catalog with a [`Resolve`] and a [`Probe`]; [`DnsResolver`] is the one for
//!   real networks, and probes are made by whoever has an HTTP client.
//!
//! A source of the kind `registry` is told rather than asked: whoever has a registry calls [`Discovery::push`], and follows
//! [`Change::Suspected`] to look at once where requests met nothing.
//!
//! Which endpoint gets a request is not decided here, nor is anything about the request known.
//!
//! ```
//! use forebay_clock::Clock;
//! use forebay_discovery::{Definitions, Discovery, HealthCheck, ServiceDefinition, ServiceReader};
//!
//! let discovery = Discovery::new(Clock::system(), fastrand::Rng::new());
//! let orders = ServiceDefinition {
//!     sources: vec!["127.0.0.1:9001".parse()?, "dns:orders.internal:9000".parse()?],
//!     health: Some(HealthCheck::http("/healthz")),
//!     ..ServiceDefinition::default()
//! };
//! discovery.apply(Definitions::from([("orders".into(), orders)]));
//!
//! // One reader per core; `discovery.run(…)` on the control runtime keeps what it sees up to date.
//! let mut reader = ServiceReader::new(discovery.service("orders").expect("just defined"));
//! let set = reader.endpoints();
//! let endpoint = set.endpoints().iter().find(|e| e.live.health().is_eligible()).expect("one is written out");
//! let in_flight = endpoint.live.enter();
//! assert_eq!((endpoint.endpoint.address.port(), endpoint.live.in_flight()), (9001, 1));
//! # drop(in_flight);
//! # Ok::<(), forebay_discovery::Error>(())
//! ```

mod answer;
mod backoff;
mod catalog;
mod change;
mod definition;
mod discovery;
mod dns;
mod endpoint;
mod endpoints;
mod error;
pub mod file;
pub mod flap;
pub mod health;
mod host;
mod live;
mod merge;
pub mod outlier;
mod probe;
mod pushed;
pub mod resolution;
mod resolver;
mod service;
mod settings;
mod source;
mod standing;
mod suspect;

pub use answer::{Answer, Part, ResolveFailure};
pub use backoff::{RETRY_BASE, RETRY_MAX};
pub use catalog::{Catalog, LookupId, LookupOrder, ProbeOrder};
pub use change::Change;
pub use definition::{Definitions, ServiceDefinition};
pub use discovery::{CHANGES_KEPT_MAX, Discovery, LOOKUPS_IN_FLIGHT_MAX, PROBES_IN_FLIGHT_MAX};
#[cfg(any(test, fuzzing))]
pub use dns::fuzzing;
pub use dns::{DnsResolver, LOOKUP_MAX, NameServers, Resolve, SRV_TARGETS_MAX};
pub use endpoint::{Endpoint, Target};
pub use endpoints::{EndpointChange, Endpoints};
pub use error::{Error, HostFlaw};
pub use flap::Hold;
pub use health::{CheckKind, Health, HealthCheck, HealthMachine, ProbeFailure};
pub use host::HostName;
pub use live::{Critical, EndpointId, InFlight, LiveState, Verdict};
pub use merge::ENDPOINTS_MAX;
pub use outlier::{Cause, Ejection, Met, OutlierSettings};
pub use probe::Probe;
pub use pushed::{Advertised, Instances, Pushed, PushedChange, PushedTarget, UNCLAIMED_MAX};
pub use resolution::{Resolution, ResolutionSettings};
pub use resolver::Resolver;
pub use service::{EndpointSet, LiveEndpoint, LiveService, ServiceReader, SourceReport};
pub use settings::{DiscoverySettings, EjectionSettings, HealthSettings, ProbePath};
pub use source::{Place, Source};
pub use standing::Standing;
pub use suspect::{SUSPECTS_MAX, Suspect, TELL_EVERY};
