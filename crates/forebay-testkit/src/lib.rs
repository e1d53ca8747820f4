//! What tests need around Forebay: a scriptable upstream, a raw client, a gateway in this process, a PostgreSQL and a
//! browser of their own.
//!
//! Everything listens on port 0 of loopback, waits for events rather than for time, and for none of them longer than
//! [`PATIENCE`]. Messages are read by a reader of its own, stricter than anything that is tested with it and sharing
//! no code with it. Failures panic: a test has nobody to report them to.

mod browser;
mod cable;
mod client;
mod gate;
mod gateway;
mod issuer;
mod load;
mod message;
mod postgres;
mod tls;
mod upstream;
mod wire;

use std::time::Duration;

pub use browser::{Browser, Event, Page};
pub use cable::Cable;
pub use client::{Client, ask};
pub use gate::Gate;
pub use gateway::RunningGateway;
pub use issuer::{Issuer, base64url, claims};
pub use load::{Load, Report};
pub use message::Message;
pub use postgres::ScratchPostgres;
pub use tls::TestRoot;
pub use upstream::{Connection, Upstream};
pub use wire::Wire;

/// The longest any wait lasts: far beyond what a busy machine needs, and short enough to see a hang as a failure.
pub const PATIENCE: Duration = Duration::from_secs(10);
