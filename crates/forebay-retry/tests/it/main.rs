//! Claims about what the crate decides, and about what its layers do.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod breaker;
mod budget;
mod layers;
mod limits;
mod operation;
mod verdict;
