//! Monotonic time as a plain value. Decisions take a [`Moment`]; only the edges hold a [`Clock`].
//!
//! A `Moment` is eight bytes, so it fits an atomic, which `std::time::Instant` does not, and a test or a
//! simulation can make one from nothing. Wall-clock time is another thing and stays `SystemTime`.

mod agenda;

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use agenda::Agenda;

/// A point on a monotonic clock: nanoseconds since that clock's start. 584 years fit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The clock's start.
    pub const START: Moment = Moment(0);
    /// Later than everything: "no deadline".
    pub const NEVER: Moment = Moment(u64::MAX);

    /// From nanoseconds since the clock's start, as read from an atomic.
    pub const fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero when `earlier` is in fact later.
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time left until `later`; zero when it has passed.
    pub const fn until(self, later: Moment) -> Duration {
        later.since(self)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Saturates at [`Moment::NEVER`].
    fn add(self, rest: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Moment::NEVER => f.write_str("never"),
            Moment(nanos) => write!(f, "+{:?}", Duration::from_nanos(nanos)),
        }
    }
}

/// Something that knows what time it is. Cheap to clone and to share between threads.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: Instant },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's monotonic clock, starting now.
    pub fn system() -> Clock {
        Clock(Source::System { start: Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`] is called; for tests and simulations.
    pub fn manual() -> Clock {
        Clock(Source::Manual(Arc::new(AtomicU64::new(0))))
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        match &self.0 {
            // Saturation would need 584 years of uptime.
            Source::System { start } => Moment(start.elapsed().as_nanos() as u64),
            Source::Manual(nanos) => Moment(nanos.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock, seen at once by all its clones.
    ///
    /// # Panics
    /// On the system clock, which nobody can move.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System { .. } => panic!("the system clock cannot be moved"),
            Source::Manual(nanos) => {
                nanos.fetch_add(by.as_nanos() as u64, Ordering::AcqRel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_stays_never() {
        assert_eq!(Moment::NEVER + Duration::from_secs(1), Moment::NEVER);
    }

    #[test]
    fn time_between_moments_never_underflows() {
        let later = Moment::START + Duration::from_secs(2);
        assert_eq!(Moment::START.since(later), Duration::ZERO);
        assert_eq!(Moment::START.until(later), Duration::from_secs(2));
    }

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual();
        let clone = clock.clone();
        clock.advance(Duration::from_millis(5));
        assert_eq!(clone.now() - Moment::START, Duration::from_millis(5));
    }
}
