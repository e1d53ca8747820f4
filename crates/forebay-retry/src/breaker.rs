//! Stops asking a whole service while most of what it is asked fails, and finds out by a few requests when to go on.
//! Knows nothing of endpoints: to leave single ones alone is ejection, which discovery does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forebay_clock::Moment;

use crate::Ending;
use crate::circuit::{Circuit, Opening, Step};
use crate::window::{Counter, Window};

/// Slots of the window in which failures are counted.
const SLOTS: usize = 10;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Opens when so many of a thousand calls failed.
    pub failures_permille: u32,
    /// But not for fewer calls than this in the window.
    pub calls_min: u32,
    /// The time over which both are counted.
    pub window: Duration,
    /// How long it stays open, and what closes it.
    pub opening: Opening,
}

impl Default for BreakerSettings {
    /// Half of at least twenty calls in ten seconds; then five seconds of rest, doubling up to a minute, and three
    /// probes.
    fn default() -> BreakerSettings {
        BreakerSettings {
            failures_permille: 500,
            calls_min: 20,
            window: Duration::from_secs(10),
            opening: Opening { open: Duration::from_secs(5), open_max: Duration::from_secs(60), probes: 3 },
        }
    }
}

/// A service's breaker, shared by all cores without locks. What it counts is a call as its caller sees it: with the retries
/// that mended it, or else one dead endpoint of two would close a service that works.
///
/// While it is closed, [`Breaker::admit`] is one load, and a call's end one or two atomic additions.
#[derive(Debug)]
#[repr(align(128))]
pub struct Breaker {
    /// Read for every call, written almost never: on a line of its own.
    circuit: AtomicU64,
    settings: BreakerSettings,
    window: Window,
    counts: Counts,
}

#[derive(Debug)]
#[repr(align(128))]
struct Counts {
    calls: Counter<AtomicU64, { SLOTS + 1 }>,
    failures: Counter<AtomicU64, { SLOTS + 1 }>,
}

/// Leave to make one call; to be given back with its end through [`Breaker::record`] or [`Breaker::forget`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a probe that is not given back keeps the breaker waiting"]
pub struct Pass {
    trial: Option<u64>,
}

impl Pass {
    /// Whether much depends on this call: it decides whether the breaker closes.
    pub const fn is_probe(&self) -> bool {
        self.trial.is_some()
    }
}

/// How a breaker stands at one moment, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerStanding {
    /// All calls pass.
    Closed {
        /// That ended within the window.
        calls: u64,
        /// Of them.
        failures: u64,
        /// The time over which both are counted.
        window: Duration,
    },
    /// None passes; from `until` on the next one is on trial.
    Open {
        /// When it opened.
        since: Moment,
        /// No call passes before then.
        until: Moment,
        /// How often it has opened without a success between.
        times: u8,
    },
    /// A few are on trial.
    HalfOpen {
        /// When the trial began.
        since: Moment,
        /// When another begins if this one's calls do not come back.
        until: Moment,
        /// Calls on trial so far.
        sent: u8,
        /// Those that did well.
        good: u8,
        /// How many have to.
        needed: u8,
    },
}

/// The breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How long it stays so at least.
    pub retry_after: Duration,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(settings: BreakerSettings) -> Breaker {
        Breaker {
            circuit: AtomicU64::new(Circuit::Closed.to_bits()),
            settings,
            window: Window::new(settings.window, SLOTS as u32),
            counts: Counts { calls: Counter::new(), failures: Counter::new() },
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// Its state.
    pub fn circuit(&self) -> Circuit {
        Circuit::from_bits(self.circuit.load(Relaxed))
    }

    /// How it stands, for people: takes a look at every count.
    pub fn standing(&self, now: Moment) -> BreakerStanding {
        let at = |ms: u64| Moment::START + Duration::from_millis(ms);
        let opening = &self.settings.opening;
        match self.circuit() {
            Circuit::Closed => {
                let (slot, before) = (self.window.slot(now), SLOTS as u32 - 1);
                let (calls, failures) =
                    (self.counts.calls.sum(slot, before), self.counts.failures.sum(slot, before));
                BreakerStanding::Closed { calls, failures, window: self.settings.window }
            }
            Circuit::Open { until_ms, times } => BreakerStanding::Open {
                since: at(until_ms.saturating_sub(opening.lasts_ms(times))),
                until: at(until_ms),
                times,
            },
            Circuit::HalfOpen { since_ms, times, sent, good } => BreakerStanding::HalfOpen {
                since: at(since_ms),
                until: at(since_ms.saturating_add(opening.lasts_ms(times))),
                sent,
                good,
                needed: opening.probes(),
            },
        }
    }

    /// Whether a call may be made now. To be asked before an endpoint is chosen.
    pub fn admit(&self, now: Moment) -> Result<Pass, Refused> {
        if self.circuit.load(Relaxed) == 0 {
            return Ok(Pass { trial: None });
        }
        match self.change(|circuit| circuit.admit(now, &self.settings.opening)) {
            Step::Pass => Ok(Pass { trial: None }),
            Step::Probe(trial) => Ok(Pass { trial: Some(trial) }),
            Step::Refuse(retry_after) => Err(Refused { retry_after }),
        }
    }

    /// Whether a call that was let through may be tried again: not once the breaker has opened since, for then most calls
    /// fail, and what is on trial has its place already.
    pub fn goes_on(&self, pass: &Pass) -> bool {
        match self.circuit() {
            Circuit::Closed => true,
            Circuit::Open { .. } => false,
            Circuit::HalfOpen { since_ms, .. } => pass.trial == Some(since_ms),
        }
    }

    /// Counts how a call ended; true when this opens the breaker.
    pub fn record(&self, pass: Pass, failed: bool, now: Moment) -> bool {
        if let Some(trial) = pass.trial {
            let before =
                self.change(|circuit| (circuit.judge(trial, !failed, now, &self.settings.opening), circuit));
            let trialled = matches!(before, Circuit::HalfOpen { since_ms, .. } if since_ms == trial);
            return failed && trialled;
        }
        // What began before it opened and ends after must not open it again once it has closed.
        if self.circuit.load(Relaxed) != 0 {
            return false;
        }
        let slot = self.window.slot(now);
        self.counts.calls.add(slot, 1);
        failed && self.counts.failures.add(slot, 1) && self.is_too_much(slot) && self.trip(now)
    }

    /// Takes back a call that says nothing about the service: its client left.
    pub fn forget(&self, pass: Pass) {
        if let Some(trial) = pass.trial {
            self.change(|circuit| (circuit.forget(trial), ()));
        }
    }

    fn is_too_much(&self, slot: u64) -> bool {
        let before = SLOTS as u32 - 1;
        let (calls, failures) = (self.counts.calls.sum(slot, before), self.counts.failures.sum(slot, before));
        calls >= u64::from(self.settings.calls_min)
            && failures * 1000 >= calls * u64::from(self.settings.failures_permille)
    }

    /// Opens it, and not twice. What was counted has done its work.
    fn trip(&self, now: Moment) -> bool {
        let was = self.change(|circuit| (circuit.trip(now, &self.settings.opening), circuit));
        self.counts.calls.clear();
        self.counts.failures.clear();
        was == Circuit::Closed
    }

    /// One transition of the pure machine, again if another core was faster.
    fn change<T>(&self, step: impl Fn(Circuit) -> (Circuit, T)) -> T {
        let mut bits = self.circuit.load(Relaxed);
        loop {
            let (after, result) = step(Circuit::from_bits(bits));
            // Refusals change nothing, so cores need not fight for the line while it is open.
            if after.to_bits() == bits {
                return result;
            }
            // Nothing else is published through the state, so its order relative to other memory is nobody's concern.
            match self.circuit.compare_exchange_weak(bits, after.to_bits(), Relaxed, Relaxed) {
                Ok(_) => return result,
                Err(now) => bits = now,
            }
        }
    }
}

/// Whether a call that ended so counts as a failure of the service: it was not reached, did not answer, or answered
/// with a 5xx that is not about the request alone (501 and 505 are).
pub const fn is_failure(ending: Ending) -> bool {
    match ending {
        Ending::Answered { status, .. } => matches!(status, 500 | 502..=504 | 506..=599),
        _ => true,
    }
}
