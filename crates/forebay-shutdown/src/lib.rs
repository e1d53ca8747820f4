//! Says when to stop and how far along it is. Never closes anything itself, and never listens for signals.
//!
//! Three parts. The [`Machine`] decides: signals and time go in, the next [`Phase`] comes out. The [`Shutdown`] handle
//! carries the phase to everyone and collects counts of what is in flight: each core counts into its own [`Tally`],
//! so that a request pays a few plain stores. The [`Summary`] says in the end what became of it all.
//!
//! One task of the binary joins them: whenever a signal arrives or the machine's `wake_at` comes, it steps the machine
//! and publishes the phase it enters, as here.
//!
//! ```
//! use std::time::Duration;
//! use forebay_clock::Clock;
//! use forebay_shutdown::{Announcement, Event, Kind, Machine, Phase, Settings, Shutdown, Signal};
//!
//! let clock = Clock::manual();
//! let shutdown = Shutdown::new();
//! let tally = shutdown.tally(); // one for each core
//! let mut busy = vec![tally.enter(Kind::Connection), tally.enter(Kind::Request)];
//!
//! let mut machine = Machine::new(Settings::new(Duration::from_secs(2), Duration::from_secs(25))?);
//! let mut event = Event::Signal(Signal::Terminate);
//! let summary = loop {
//!     let actions = machine.step(clock.now(), event, &shutdown.progress());
//!     if let Some(phase) = actions.enter {
//!         shutdown.enter(phase);
//!     }
//!     if actions.enter == Some(Phase::LameDuck) {
//!         let said = Announcement(&shutdown.progress()).to_string();
//!         assert_eq!(said, "draining: readiness now fails; 1 request in flight");
//!     }
//!     if let Some(summary) = actions.stopped {
//!         break summary;
//!     }
//!     // Here a real driver waits for a signal or for `wake_at`, and meanwhile the requests finish.
//!     busy.clear();
//!     clock.advance(clock.now().until(actions.wake_at));
//!     event = Event::Woke;
//! };
//! assert_eq!(summary.exit_code(), 0);
//! # Ok::<(), forebay_shutdown::Error>(())
//! ```

mod handle;
mod machine;
mod phase;
mod progress;
mod section;
mod settings;
mod summary;
mod tally;

pub use handle::Shutdown;
pub use machine::{Actions, Event, Machine, POLL_EVERY, SIGNAL_ECHO, Signal};
pub use phase::Phase;
pub use progress::{Count, Kind, Progress};
pub use section::ShutdownSettings;
pub use settings::{Error, Settings};
pub use summary::{Announcement, End, Summary};
pub use tally::{InFlight, Tally};
