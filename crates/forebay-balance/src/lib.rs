//! Chooses the endpoint for one request. Never connects, and never judges health: it reads both as they are.
//!
//! A [`Fleet`] is an immutable set of endpoints with whatever its [`Policy`] can compute ahead, built off
//! the data path and shared by all cores. Each core puts a [`Balancer`] on top, which holds what must not be
//! shared (whose turn it is, when health was last counted) and picks without a lock and without allocating. What is
//! live, such as requests in flight and health, stays in the endpoints and is read through [`Candidate`].
//!
//! A pick goes: the session's endpoint, if a cookie names one that will do; else a pool, by how priorities and zones
//! share the requests now; in it an endpoint, by the policy.
//!
//! ```
//! use std::num::NonZeroU32;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use forebay_balance::{Balancer, Candidate, Fleet, Identity, Policy, Request, Tried};
//! use forebay_clock::Moment;
//!
//! struct Endpoint { identity: Identity, in_flight: AtomicU32 }
//!
//! impl Candidate for Endpoint {
//!     fn identity(&self) -> Identity { self.identity }
//!     fn weight(&self) -> NonZeroU32 { NonZeroU32::MIN }
//!     fn in_flight(&self) -> u32 { self.in_flight.load(Ordering::Relaxed) }
//!     fn is_eligible(&self, _now: Moment) -> bool { true }
//! }
//!
//! let endpoint = |address: &str| {
//!     Arc::new(Endpoint { identity: Identity::of(address.parse().unwrap(), None), in_flight: AtomicU32::new(0) })
//! };
//! let endpoints = vec![endpoint("10.0.0.1:9001"), endpoint("10.0.0.2:9001"), endpoint("10.0.0.3:9001")];
//! let fleet = Arc::new(Fleet::new(Policy::LeastRequest, endpoints));
//! let mut rng = fastrand::Rng::with_seed(7);
//! let balancer = Balancer::new(fleet, &mut rng);
//!
//! let mut tried = Tried::default();
//! let first = balancer.pick(&Request::new(Moment::START, &tried), &mut rng).unwrap();
//! balancer.endpoints()[first.index].in_flight.fetch_add(1, Ordering::Relaxed);
//!
//! tried.insert(first.index);
//! let second = balancer.pick(&Request::new(Moment::START, &tried), &mut rng).unwrap();
//! assert_ne!(first.index, second.index);
//! ```

mod alias;
mod amend;
mod balance;
mod balancer;
mod bounded;
mod candidate;
mod census;
mod cookie;
mod deadlines;
mod endpoints;
mod fleet;
mod hash;
mod hash_key;
mod latency;
mod maglev;
mod policy;
mod pool;
mod ramp;
mod ring;
mod round_robin;
mod scope;
mod settings;
mod spread;
mod sticky;
mod table;
mod tried;
mod two_choices;

pub use amend::Amendment;
pub use balance::{Balance, HEADROOM, PANIC_THRESHOLD};
pub use balancer::{Balancer, Pick, Request, Standing};
pub use candidate::Candidate;
pub use endpoints::Endpoints;
pub use fleet::Fleet;
pub use hash::{Identity, hash};
pub use hash_key::{Facts, HashKey};
pub use latency::{DECAY, FAILURE_LATENCY, PeakEwma};
pub use policy::{Error, Policy};
pub use ramp::Ramp;
pub use settings::{BalanceSettings, HashSettings, StickySettings};
pub use sticky::{SameSite, Sticky, StickyKey, Token};
pub use tried::{TRIED_MAX, Tried};
