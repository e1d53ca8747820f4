//! Answers questions in DNS about what is registered, with Consul's names. Asks nobody else: names outside its domain
//! are refused, and a resolver in front sends here what belongs here.
//!
//! [`answer`] is pure: octets in, octets out. [`serve_dns`] is the edge.

mod answer;
mod asked;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod lookup;
mod query;
mod reply;
mod server;
mod stream;
mod zone;

pub use answer::{Transport, answer};
pub use server::{DATAGRAM_MAX, LOOPBACK_DATAGRAM_MAX, bind_dns, serve_dns};
pub use stream::{CONNECTIONS_MAX, IDLE_MAX};
pub use zone::{Zone, ZoneError};

#[cfg(test)]
mod tests;
