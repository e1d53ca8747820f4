//! One request's way through Forebay.

pub mod path;
pub mod pattern;
pub mod router;
