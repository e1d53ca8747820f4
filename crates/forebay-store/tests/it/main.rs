//! The stores against real servers and real files.

#![allow(clippy::unwrap_used)]

mod postgres;
mod sqlite;
