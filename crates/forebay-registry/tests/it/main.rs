//! The registry with real stores and over real sockets.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod blocking;
mod clients;
mod consul_api;
mod consul_refusals;
mod desk;
mod dns;
mod native_api;
mod nodes;
mod snapshot;
mod support;
