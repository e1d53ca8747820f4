//! The registry with real stores and over real sockets.

#![allow(clippy::unwrap_used)]

mod nodes;
mod snapshot;
mod support;
