//! Keeps retries a small share of requests, so that an outage is never multiplied. Knows nothing of any one request.
//!
//! A leaky token bucket after Finagle's `RetryBudget`, which Linkerd took over too. Every request earns part of a token,
//! every retry spends a whole one, and what is unspent leaks away over a window: good times do not pay for a storm.
//! Two things differ. Finagle adds its floor to the earnings, here the larger of both counts: a busy service stays
//! strictly within its ratio, and only one too small to earn a floor is given it. And Finagle's ten seconds of savings
//! may all be spent in an outage's first two, on top of what comes in: four tenths more load where a fifth was meant.
//! Here the window is a second, and the savings of one window are taken off the earnings of the next ten, so that the
//! ratio is what it says over any ten windows.
//!
//! **Cost.** Cores share one cache line, and a request must not pay for fetching it. So each core counts its own
//! requests in a plain cell and hands them over [`BATCH`] at a time. Earned tokens become spendable and
//! leak at ticks, [`TICKS`] a window, by whichever core comes first; there is no background task. A retry is rare
//! and pays for its one atomic decrement.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forebay_clock::Moment;

/// One token pays for one retry; counted in thousandths.
const TOKEN: u64 = 1000;

/// Ticks in a window: at 64 the leak is within 1% of a continuous one.
const TICKS: u64 = 64;

/// Requests a core keeps to itself before it hands them over. A core withholds at most this many from the common
/// budget, three tokens at 20%, and the shared line is touched in one request of sixteen.
const BATCH: u32 = 16;

/// Over so many windows the ratio holds, savings included.
const GUARANTEE_WINDOWS: u64 = 10;

/// How many retries a service may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Retries per thousand requests: 200 is 20%.
    pub ratio_permille: u32,
    /// Retries per second that even a service with few requests may have. Zero is allowed.
    pub floor_per_s: u32,
    /// How long what was earned stays worth something.
    pub window: Duration,
}

impl Default for BudgetSettings {
    fn default() -> BudgetSettings {
        BudgetSettings { ratio_permille: 200, floor_per_s: 10, window: Duration::from_secs(1) }
    }
}

/// The retry tokens of one service, shared by all cores.
///
/// Over any `t` of ten windows or more, retries stay within `ratio × requests + floor × (t + window)`, whatever the cores do at the
/// same time: all amounts change by single atomic operations, and each tick has one winner. The ordering is relaxed
/// because nothing else is published through it.
#[derive(Debug)]
// Lines of its own (two, as processors fetch them in pairs): a neighbour's writes must not slow it down.
#[repr(align(128))]
pub struct Budget {
    settings: BudgetSettings,
    window_ns: u64,
    /// Thousandths of a token that a request earns.
    earns: u64,
    /// Requests since the last tick.
    deposited: AtomicU64,
    /// Spendable now.
    tokens: AtomicU64,
    /// What `tokens` would be had nobody spent any.
    earned: AtomicU64,
    ticked_at: AtomicU64,
}

impl Budget {
    /// A budget that holds its floor for one window: a service that begins in trouble may retry.
    pub fn new(settings: BudgetSettings, now: Moment) -> Budget {
        let window_ns = u64::try_from(settings.window.as_nanos()).unwrap_or(u64::MAX).max(1);
        let reserve = floor(settings.floor_per_s, window_ns);
        Budget {
            settings,
            window_ns,
            earns: u64::from(settings.ratio_permille) * GUARANTEE_WINDOWS / (GUARANTEE_WINDOWS + 1),
            deposited: AtomicU64::new(0),
            tokens: AtomicU64::new(reserve),
            earned: AtomicU64::new(reserve),
            ticked_at: AtomicU64::new(now.as_nanos()),
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &BudgetSettings {
        &self.settings
    }

    /// Earns for `requests`. On the data path use [`LocalBudget::deposit`].
    pub fn deposit(&self, requests: u32, now: Moment) {
        self.deposited.fetch_add(requests.into(), Relaxed);
        self.tick(now);
    }

    /// Spends one retry's token, if there is one.
    pub fn try_withdraw(&self, now: Moment) -> bool {
        self.tick(now);
        self.tokens.fetch_update(Relaxed, Relaxed, |tokens| tokens.checked_sub(TOKEN)).is_ok()
    }

    /// The unspent share of what could be spent if there had been no retries: 0.0 to 1.0, for people to read.
    pub fn remaining(&self, now: Moment) -> f64 {
        self.tick(now);
        match self.earned.load(Relaxed) {
            0 => 0.0,
            earned => (self.tokens.load(Relaxed) as f64 / earned as f64).min(1.0),
        }
    }

    /// Lets the time since the last tick leak and earn, once a tick's length has passed.
    fn tick(&self, now: Moment) {
        let last_ns = self.ticked_at.load(Relaxed);
        let passed_ns = now.as_nanos().saturating_sub(last_ns);
        if passed_ns < self.window_ns.div_ceil(TICKS) {
            return;
        }
        if self.ticked_at.compare_exchange(last_ns, now.as_nanos(), Relaxed, Relaxed).is_err() {
            return; // Another core has taken this stretch of time.
        }
        // Whatever is older than a window has leaked away whole.
        let passed_ns = passed_ns.min(self.window_ns);
        let by_requests = self.deposited.swap(0, Relaxed).saturating_mul(self.earns);
        let income = by_requests.max(floor(self.settings.floor_per_s, passed_ns));
        for amount in [&self.tokens, &self.earned] {
            amount.update(Relaxed, Relaxed, |amount| {
                scale(amount, self.window_ns - passed_ns, self.window_ns).saturating_add(income)
            });
        }
    }
}

/// Thousandths of tokens that a floor of `per_s` grants for `passed_ns`.
fn floor(per_s: u32, passed_ns: u64) -> u64 {
    scale(u64::from(per_s) * TOKEN, passed_ns, Duration::from_secs(1).as_nanos() as u64)
}

/// `value × numerator ÷ denominator`, rounded down, without overflow on the way.
fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(numerator) / u128::from(denominator);
    u64::try_from(scaled).unwrap_or(u64::MAX)
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

    /// Spends one retry's token, if there is one.
    pub fn try_withdraw(&self, now: Moment) -> bool {
        let pending = self.pending.take();
        if pending > 0 {
            self.shared.deposit(pending, now);
        }
        self.shared.try_withdraw(now)
    }
}
