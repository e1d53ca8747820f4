//! How many requests a service can work on at once, found out by how long it takes. A value, stepped once per window.
//!
//! Little's law: what is in flight beyond throughput × unloaded latency waits in a queue. So the limit shrinks as latency
//! grows over what it is without a queue, and has room for a queue of its square root, by which it finds out that more is
//! possible (after the gradient limits of Netflix's concurrency-limits). What is different: the unloaded latency is
//! measured, not remembered as a long average, because under a load that stays the average becomes the queue's and the
//! limit drifts away without end. Every ten seconds the limit is halved for half a second, which empties the queue; BBR
//! measures a path's round trip in this way. `tests/it/limits.rs` compares the three in a simulation.

use std::time::Duration;

use forebay_clock::Moment;

/// How often the unloaded latency is measured; half a second of each is spent at half the limit.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// The first time: the first requests may have met a queue already.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// Of a window's result, this part goes into the limit: a single window has few answers.
const SMOOTHING: f64 = 0.2;
/// A window never takes more than half, however slow its answers were.
const GRADIENT_MIN: f64 = 0.5;
/// Where the service itself says that it is overloaded, by refusing or not answering in time.
const REFUSED_FACTOR: f64 = 0.9;
/// In a window where this part was refused, the limit shrinks whatever the latencies are.
const REFUSED_ONE_IN: u32 = 10;

/// Between what the limit moves, and where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// The first limit.
    pub initial: u32,
    /// Never fewer; at least 1.
    pub min: u32,
    /// Never more.
    pub max: u32,
}

impl Default for LimitSettings {
    fn default() -> LimitSettings {
        LimitSettings { initial: 20, min: 4, max: 1000 }
    }
}

/// What was seen in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Requests that ended; at least one.
    pub ended: u32,
    /// Of those, refused by the service as too much (429, 503) or not answered in time.
    pub refused: u32,
    /// How long they took on average.
    pub mean: Duration,
    /// The most that were in flight at once.
    pub in_flight_max: u32,
}

/// A limit and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gradient {
    settings: LimitSettings,
    limit: f64,
    /// Seconds that an answer takes without a queue.
    unloaded_s: Option<f64>,
    probe: Probe,
}

/// Two windows at half the limit: in the first the queue empties, in the second the latency is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Probe {
    Due(Moment),
    Emptying,
    Measuring,
}

impl Gradient {
    /// The first limit, at `now`.
    pub fn new(settings: LimitSettings, now: Moment) -> Gradient {
        let min = settings.min.max(1);
        let settings = LimitSettings { min, max: settings.max.max(min), ..settings };
        let limit = f64::from(settings.initial.clamp(settings.min, settings.max));
        Gradient { settings, limit, unloaded_s: None, probe: Probe::Due(now + FIRST_PROBE) }
    }

    /// How many may be in flight.
    pub fn limit(&self) -> u32 {
        let limit = self.limit as u32;
        match self.probe {
            Probe::Due(_) => limit,
            Probe::Emptying | Probe::Measuring => (limit / 2).max(self.settings.min),
        }
    }

    /// The limit after a window that ended at `now`.
    #[must_use]
    pub fn next(self, observed: &Observed, now: Moment) -> Gradient {
        let mean_s = observed.mean.as_secs_f64().max(1e-6);
        let was_busy = observed.in_flight_max.saturating_mul(2) >= self.limit as u32;
        match self.probe {
            Probe::Emptying => Gradient { probe: Probe::Measuring, ..self },
            Probe::Measuring => {
                Gradient { unloaded_s: Some(mean_s), probe: Probe::Due(now + PROBE_EVERY), ..self }
            }
            // Half the limit is not in use: what is measured is the unloaded latency, and the limit is nobody's concern.
            Probe::Due(_) if !was_busy => {
                let unloaded_s = self.unloaded_s.map_or(mean_s, |known| (known + mean_s) / 2.0);
                Gradient { unloaded_s: Some(unloaded_s), probe: Probe::Due(now + PROBE_EVERY), ..self }
            }
            Probe::Due(at) => {
                let unloaded_s = self.unloaded_s.unwrap_or(mean_s);
                let limit = self.moved(unloaded_s / mean_s, observed);
                let probe = if now >= at { Probe::Emptying } else { self.probe };
                Gradient { limit, unloaded_s: Some(unloaded_s), probe, ..self }
            }
        }
    }

    fn moved(&self, gradient: f64, observed: &Observed) -> f64 {
        let wanted =
            if observed.refused > 0 && observed.refused.saturating_mul(REFUSED_ONE_IN) >= observed.ended {
                self.limit * REFUSED_FACTOR
            } else {
                self.limit * gradient.clamp(GRADIENT_MIN, 1.0) + self.limit.sqrt()
            };
        let limit = self.limit * (1.0 - SMOOTHING) + wanted * SMOOTHING;
        limit.clamp(f64::from(self.settings.min), f64::from(self.settings.max))
    }
}
