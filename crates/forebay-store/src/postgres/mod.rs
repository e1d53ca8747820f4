//! PostgreSQL: a small pool, notifications, and the schema `forebay`. Decides how long anything may take and what an
//! error means; knows no table but its own.

mod classify;
mod listen;
mod migrate;
mod pool;
mod tls;
mod url;

pub use listen::{Heard, Listener};
pub use migrate::migrate;
pub use pool::{Limits, Pool};
pub use tokio_postgres::{Client, IsolationLevel, Row, Statement, Transaction, types};
pub use url::{PostgresUrl, Verify};
