//! SQLite in the state directory: one thread writes and commits many writers' work at once, others read beside it.
//! Decides when something is durable; knows no table but its own.

mod classify;
mod database;
mod writer;

pub use database::{Database, Options};
pub use rusqlite;
pub use writer::Writer;
