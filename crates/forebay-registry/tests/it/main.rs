//! Claims about the registry over real sockets and real stores.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod dns;
