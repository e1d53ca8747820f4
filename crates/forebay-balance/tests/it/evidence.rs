//! Simulations behind the defaults.
