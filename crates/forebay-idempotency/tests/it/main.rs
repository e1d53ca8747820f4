//! Keyed requests run at most once: in a simulation of everything that can go wrong, and over both real stores.

#![allow(clippy::unwrap_used)]

mod keeping;
mod simulation;
mod stores;
mod support;
