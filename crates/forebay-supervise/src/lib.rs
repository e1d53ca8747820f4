//! Child processes: started, watched, restarted, stopped in order.
//!
//! [`Machine`] decides and touches no process; [`supervise`] carries out what it says and tells a watcher what happens.
//! Knows nothing of HTTP: whether a child is ready is for those to say who know what it does.
//!
//! ```
//! use std::time::Duration;
//!
//! use forebay_clock::Moment;
//! use forebay_supervise::{Command, Event, Machine, Restart, Terms};
//!
//! let terms = Terms { stage: 0, restart: Restart::default(), patience: Duration::from_secs(25) };
//! let mut machine = Machine::new([terms]);
//! let (start, crash) = (Moment::START, Moment::START + Duration::from_millis(300));
//! assert_eq!(machine.step(start, Event::Woke).commands, [Command::Start(0)]);
//! let actions = machine.step(crash, Event::Ended(0));
//! assert_eq!(actions.restart_at, Some(crash + Duration::from_secs(1)));
//! assert_eq!(machine.step(actions.wake_at, Event::Woke).commands, [Command::Start(0)]);
//! ```

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
