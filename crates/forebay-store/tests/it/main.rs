//! The stores against real servers and real files.

#![allow(clippy::unwrap_used)]

mod partition;
mod postgres;
mod sqlite;
mod tls;
