//! Child processes: started, watched, restarted, stopped in order.
//!
//! [`Machine`] decides and touches no process; [`supervise`] carries out what it says and tells a watcher what happens.
//! Knows nothing of HTTP: whether a child is ready is for those to say who know what it does.

mod child;
mod ending;
mod lines;
mod machine;
mod parent;
mod process;
mod restart;
mod supervisor;

pub use child::Child;
pub use ending::Ending;
pub use lines::LINE_BYTES_MAX;
pub use machine::{Actions, Command, Event, Machine, Terms};
pub use parent::{OrphanError, die_with_parent};
pub use process::Stream;
pub use restart::Restart;
pub use supervisor::{Report, Stop, Watch, supervise};
