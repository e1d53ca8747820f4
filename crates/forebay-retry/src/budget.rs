//! Keeps retries and hedges a small share of requests, so that an outage is never multiplied. Knows nothing of any one
//! request.
//!
//! **In any second, at most a share of that second's requests are retries, or a floor, whichever is more.** Both are
//! counted over a window that slides. A leaky bucket (Finagle's `RetryBudget`, which Linkerd took over) saves what calm
//! times earn, ten seconds of it, and an outage's first second may spend it all on top of what comes in: three times
//! as much load where a fifth more was meant. Here nothing is saved, so the share holds in every second of an outage and
//! over every longer time. A window much shorter than a second would deny the burst of retries when an endpoint is
//! killed with requests in flight, for which retries are there.
//!
//! The floor lets quiet services retry. It is not added to the share but compared with it over the whole window: at the
//! default of 20% and ten a second, a service with fifty requests a second or more is strictly within its share.
//!
//! **Cost.** Cores share the counts, and a request must not pay for fetching them. So each core counts its own requests
//! in a plain cell and hands them over [`BATCH`] at a time. A retry is rare and pays for its sums.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use forebay_clock::Moment;

use crate::window::{Ledger, Window};

/// Slots in a window: as the slot under way counts in full against retries and in part for them, 3% of the share stay
/// unused.
const SLOTS: usize = 32;

/// Requests a core keeps to itself before it hands them over. A core withholds at most this many from the common
/// budget, three retries at 20%, and the shared line is touched in one request of sixteen.
const BATCH: u32 = 16;

/// How many retries a service may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Retries per thousand requests: 200 is 20%.
    pub ratio_permille: u32,
    /// Retries per second that even a service with few requests may have. Zero is allowed.
    pub floor_per_s: u32,
    /// The time over which both are counted.
    pub window: Duration,
}

impl Default for BudgetSettings {
    fn default() -> BudgetSettings {
        BudgetSettings { ratio_permille: 200, floor_per_s: 10, window: Duration::from_secs(1) }
    }
}

/// The retries and hedges of one service, shared by all cores without locks.
///
/// In any stretch of a window's length, at most `max(ratio × requests, floor × window)` are let through, where the
/// requests are those that were counted in the window up to the last of them; whatever the cores do at the same time.
#[derive(Debug)]
// Lines of its own (in pairs, as processors fetch them): a neighbour's writes must not slow it down.
#[repr(align(128))]
pub struct Budget {
    settings: BudgetSettings,
    window: Window,
    /// Retries of a window that need no requests.
    floor: u64,
    ledger: Ledger<AtomicU64, { SLOTS + 1 }>,
}

impl Budget {
    /// A budget of which nothing is spent: a service that begins in trouble may use its floor.
    pub fn new(settings: BudgetSettings) -> Budget {
        let floor = u128::from(settings.floor_per_s) * settings.window.as_millis() / 1000;
        Budget {
            settings,
            window: Window::new(settings.window, SLOTS as u32),
            floor: u64::try_from(floor).unwrap_or(u64::MAX),
            ledger: Ledger::new(),
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &BudgetSettings {
        &self.settings
    }

    /// Counts `requests`. On the data path use [`LocalBudget::deposit`].
    pub fn deposit(&self, requests: u32, now: Moment) {
        self.ledger.earn(self.window.slot(now), requests);
    }

    /// Pays for one retry or hedge, if there is anything left.
    pub fn try_withdraw(&self, now: Moment) -> bool {
        self.ledger.spend(self.window.slot(now), |requests| self.limit(requests))
    }

    /// How many more retries the present window may have, and how many in all; for people to read.
    pub fn left(&self, now: Moment) -> (u64, u64) {
        let slot = self.window.slot(now);
        let limit = self.limit(self.ledger.earned(slot));
        (limit.saturating_sub(self.ledger.spent(slot)), limit)
    }

    /// What is left of the present window's retries: 0.0 to 1.0, for people to read.
    pub fn remaining(&self, now: Moment) -> f64 {
        match self.left(now) {
            (_, 0) => 0.0,
            (left, limit) => left as f64 / limit as f64,
        }
    }

    /// Retries that a window with so many requests may have.
    fn limit(&self, requests: u64) -> u64 {
        (requests * u64::from(self.settings.ratio_permille) / 1000).max(self.floor)
    }
}

/// One core's access to a [`Budget`]. Not `Sync`: each core makes its own.
#[derive(Debug)]
pub struct LocalBudget {
    shared: Arc<Budget>,
    /// Requests counted here and not yet handed over; fewer than [`BATCH`].
    pending: Cell<u32>,
}

impl LocalBudget {
    /// A core's access to `shared`.
    pub fn new(shared: Arc<Budget>) -> LocalBudget {
        LocalBudget { shared, pending: Cell::new(0) }
    }

    /// The budget behind it.
    pub fn shared(&self) -> &Arc<Budget> {
        &self.shared
    }

    /// Counts one request. Call it once per request, at its first attempt; about a nanosecond.
    pub fn deposit(&self, now: Moment) {
        let pending = self.pending.get() + 1;
        if pending < BATCH {
            self.pending.set(pending);
        } else {
            self.pending.set(0);
            self.shared.deposit(pending, now);
        }
    }

    /// Pays for one retry or hedge, if there is anything left.
    pub fn try_withdraw(&self, now: Moment) -> bool {
        let pending = self.pending.take();
        if pending > 0 {
            self.shared.deposit(pending, now);
        }
        self.shared.try_withdraw(now)
    }
}
