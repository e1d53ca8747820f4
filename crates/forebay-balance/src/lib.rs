//! Chooses the endpoint for one request. Never connects, and never judges health: it reads both as they are.
//!
//! A [`Fleet`] is an immutable set of endpoints with whatever its [`Policy`] can compute ahead, built off
//! the data path and shared by all cores. Each core puts a [`Balancer`] on top, which holds what must not be
//! shared (whose turn it is) and picks without a lock and without allocating. What is live, such as requests
//! in flight and health, stays in the endpoints and is read through [`Candidate`].
//!
//! ```
//! use std::num::NonZeroU32;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use forebay_balance::{Balancer, Candidate, Fleet, Policy, Request, Tried};
//! use forebay_clock::Moment;
//!
//! #[derive(Default)]
//! struct Endpoint { in_flight: AtomicU32 }
//!
//! impl Candidate for Endpoint {
//!     fn weight(&self) -> NonZeroU32 { NonZeroU32::MIN }
//!     fn in_flight(&self) -> u32 { self.in_flight.load(Ordering::Relaxed) }
//!     fn is_eligible(&self, _now: Moment) -> bool { true }
//! }
//!
//! let endpoints = (0..3).map(|_| Arc::new(Endpoint::default())).collect();
//! let fleet = Arc::new(Fleet::new(Policy::LeastRequest, endpoints));
//! let mut rng = fastrand::Rng::with_seed(7);
//! let balancer = Balancer::new(fleet, &mut rng);
//!
//! let mut tried = Tried::default();
//! let first = balancer.pick(&Request { now: Moment::START, tried: &tried, key: None }, &mut rng).unwrap();
//! balancer.endpoints()[first.index].in_flight.fetch_add(1, Ordering::Relaxed);
//!
//! tried.insert(first.index);
//! let second = balancer.pick(&Request { now: Moment::START, tried: &tried, key: None }, &mut rng).unwrap();
//! assert_ne!(first.index, second.index);
//! ```

mod alias;
mod balancer;
mod candidate;
mod fleet;
mod least_request;
mod policy;
mod round_robin;
mod settings;
mod tried;

pub use balancer::{Balancer, Pick, Request, Standing};
pub use candidate::Candidate;
pub use fleet::Fleet;
pub use policy::{Error, Policy};
pub use settings::BalanceSettings;
pub use tried::{TRIED_MAX, Tried};
