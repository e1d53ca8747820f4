//! Where Forebay keeps what must survive it. So far the state directory and its lock; databases will live inside.

mod directory;

pub use directory::{StateDirectory, StateError, StateSettings};
