//! Lets in as many requests as a service can work on, the important ones first, and measures how many that are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forebay_clock::Moment;

use crate::gradient::{Gradient, LimitSettings, Observed};
use crate::priority::Priority;

/// The limit moves this often at most.
const WINDOW: Duration = Duration::from_millis(250);
/// Fewer answers say nothing about latency; then the window goes on.
const ENDED_MIN: u32 = 20;
/// A window never goes on for longer: a slow service must not wait for its twentieth answer to be spared.
const WINDOW_MAX: Duration = Duration::from_secs(2);

/// A service's limit, shared by all cores: a request costs one atomic change on its way in and three additions on its way
/// out. The end of a window is one core's, and no other waits for it.
#[derive(Debug)]
#[repr(align(128))]
pub struct Concurrency {
    in_flight: AtomicU32,
    limit: AtomicU32,
    ended: AtomicU32,
    refused: AtomicU32,
    in_flight_max: AtomicU32,
    took_us: AtomicU64,
    window_since_ns: AtomicU64,
    /// Only ever tried: who finds it taken leaves the window to the other.
    gradient: Mutex<Gradient>,
}

/// How a request ended, as far as it tells about load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By an answer: its time to the head counts.
    Answered,
    /// It was too much for the service: 429, 503, or no answer in time.
    Refused,
}

/// A request's place among those in flight; given back when dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    concurrency: &'a Concurrency,
    since: Moment,
    in_flight: u32,
}

/// More than the service can work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    /// How many may be in flight at present, whatever their priority.
    pub limit: u32,
}

impl Concurrency {
    /// A limit that begins at `settings.initial`.
    pub fn new(settings: LimitSettings, now: Moment) -> Concurrency {
        let gradient = Gradient::new(settings, now);
        Concurrency {
            in_flight: AtomicU32::new(0),
            limit: AtomicU32::new(gradient.limit()),
            ended: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            in_flight_max: AtomicU32::new(0),
            took_us: AtomicU64::new(0),
            window_since_ns: AtomicU64::new(now.as_nanos()),
            gradient: Mutex::new(gradient),
        }
    }

    /// How many may be in flight at present.
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// How many are.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// A place for one request, if there is one for its priority. Nothing waits here: a queue in front of a queue only
    /// makes late answers later.
    pub fn admit(&self, priority: Priority, now: Moment) -> Result<Permit<'_>, Shed> {
        let limit = self.limit.load(Relaxed);
        let share = priority.share_of(limit);
        match self.in_flight.fetch_update(Relaxed, Relaxed, |count| (count < share).then_some(count + 1)) {
            Ok(before) => Ok(Permit { concurrency: self, since: now, in_flight: before + 1 }),
            Err(_) => Err(Shed { limit }),
        }
    }

    fn count(&self, took: Duration, in_flight: u32, told: Told, now: Moment) {
        self.took_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX >> 32), Relaxed);
        if told == Told::Refused {
            self.refused.fetch_add(1, Relaxed);
        }
        if in_flight > self.in_flight_max.load(Relaxed) {
            self.in_flight_max.fetch_max(in_flight, Relaxed);
        }
        let ended = self.ended.fetch_add(1, Relaxed) + 1;
        let lasts = now.since(Moment::from_nanos(self.window_since_ns.load(Relaxed)));
        if lasts >= WINDOW && (ended >= ENDED_MIN || lasts >= WINDOW_MAX) {
            self.close_window(now);
        }
    }

    #[cold]
    fn close_window(&self, now: Moment) {
        let Ok(mut gradient) = self.gradient.try_lock() else { return };
        // Another core may have closed it between the look at the clock and the lock.
        if now.since(Moment::from_nanos(self.window_since_ns.load(Relaxed))) < WINDOW {
            return;
        }
        // What ends between these lines is counted in the one window or in the other, or its parts in both: an average
        // over twenty does not mind.
        let ended = self.ended.swap(0, Relaxed);
        let took = Duration::from_micros(self.took_us.swap(0, Relaxed));
        self.window_since_ns.store(now.as_nanos(), Relaxed);
        if ended == 0 {
            return;
        }
        let observed = Observed {
            ended,
            refused: self.refused.swap(0, Relaxed),
            mean: took / ended,
            in_flight_max: self.in_flight_max.swap(0, Relaxed),
        };
        *gradient = gradient.next(&observed, now);
        self.limit.store(gradient.limit(), Relaxed);
    }
}

impl Permit<'_> {
    /// The head of the response is here, or will not come. To be called then; the place is kept until the drop.
    pub fn tell(&self, told: Told, now: Moment) {
        self.concurrency.count(now.since(self.since), self.in_flight, told, now);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.concurrency.in_flight.fetch_sub(1, Relaxed);
    }
}
