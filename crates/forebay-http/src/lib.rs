//! HTTP for everything in Forebay, in one place: no other crate frames, parses or connects.

pub mod body;
pub mod buffer;
mod chunked;
pub mod client;
pub mod date;
mod field_reader;
pub mod fields;
pub mod forwarded;
pub mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod guard;
pub mod head;
pub mod io;
pub mod listening;
pub mod name;
pub mod parse;
pub mod pool;
pub mod problem;
pub mod reader;
pub mod role;
mod section;
pub mod server;
mod target;
pub mod timer;
pub mod tls;
pub mod trace;
pub mod writer;

pub use fields::Fields;
pub use head::{Method, RequestHead, ResponseHead, Scheme, Version};
pub use name::Name;
pub use section::Section;
