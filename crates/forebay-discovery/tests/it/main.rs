//! The edge against a real name server on loopback: lookups, probes, and what a core sees of them.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod discovery;
mod dns_server;
mod resolver;
