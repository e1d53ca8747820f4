//! What each decision costs a request. Judges nothing.

#![allow(missing_docs, reason = "criterion's macros write functions without")]

use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fastrand::Rng;
use forebay_clock::Moment;
use forebay_config::{Rate, RatePeriod};
use forebay_retry::{
    Attempt, Breaker, BreakerSettings, Budget, BudgetSettings, CALLERS_MAX, Callers, Concurrency, Ending,
    Gcra, Hedge, HedgeAfter, Latencies, LimitSettings, LocalBudget, Policy, Priority, Told, Waiting,
};

/// Each iteration is a microsecond later, so that windows and slots pass as they do at a million requests a second.
struct Time(u64);

impl Time {
    fn next(&mut self) -> Moment {
        self.0 += 1000;
        Moment::from_nanos(self.0)
    }
}

fn budget(c: &mut Criterion) {
    let mut time = Time(0);
    let budget = LocalBudget::new(Arc::new(Budget::new(BudgetSettings::default())));
    c.bench_function("budget: deposit", |b| b.iter(|| budget.deposit(time.next())));
    c.bench_function("budget: withdraw", |b| {
        b.iter(|| {
            budget.shared().deposit(10, time.next());
            budget.try_withdraw(time.next())
        });
    });
    let empty = LocalBudget::new(Arc::new(Budget::new(BudgetSettings {
        floor_per_s: 0,
        ..BudgetSettings::default()
    })));
    c.bench_function("budget: denied", |b| b.iter(|| empty.try_withdraw(time.next())));
    let attempt = Attempt {
        number: 1,
        ending: Ending::Answered { status: 200, retry_after: None },
        idempotent: true,
        body_replayable: true,
        answered: false,
        another_endpoint: true,
        deadline: Moment::NEVER,
        waited: Duration::ZERO,
        is_retry_of_caller: false,
    };
    let (policy, mut rng) = (Policy::default(), Rng::with_seed(1));
    c.bench_function("policy: success", |b| {
        b.iter(|| policy.decide(black_box(&attempt), &budget, time.next(), &mut rng));
    });
}

fn breaker(c: &mut Criterion) {
    let mut time = Time(0);
    let breaker = Breaker::new(BreakerSettings::default());
    c.bench_function("breaker: admit", |b| b.iter(|| breaker.admit(time.next()).map(|pass| pass.is_probe())));
    c.bench_function("breaker: admit and record", |b| {
        b.iter(|| breaker.admit(time.next()).map(|pass| breaker.record(pass, false, time.next())));
    });
}

fn hedge(c: &mut Criterion) {
    let mut time = Time(0);
    let mut rng = Rng::with_seed(1);
    let latencies = Latencies::new(950);
    c.bench_function("hedge: record", |b| {
        b.iter(|| latencies.record(Duration::from_micros(rng.u64(500..5000)), time.next()));
    });
    let hedge = Hedge { after: HedgeAfter::Percentile(950), at_least: Duration::from_millis(1) };
    let waiting = Waiting {
        since: Moment::START,
        attempts: 1,
        idempotent: true,
        body_replayable: true,
        another_endpoint: true,
        deadline: Moment::NEVER,
        is_retry_of_caller: false,
    };
    c.bench_function("hedge: due", |b| b.iter(|| hedge.due(black_box(&waiting), latencies.measured())));
}

fn concurrency(c: &mut Criterion) {
    let mut time = Time(0);
    let concurrency = Concurrency::new(LimitSettings::default(), Moment::START);
    c.bench_function("concurrency: admit, tell and leave", |b| {
        b.iter(|| {
            concurrency
                .admit(Priority::Normal, time.next())
                .map(|permit| permit.tell(Told::Answered, time.next()))
        });
    });
}

fn rate_limit(c: &mut Criterion) {
    let mut time = Time(0);
    let callers = |count, period| Callers::new(Gcra::new(Rate { count, period }, count), CALLERS_MAX);
    let (fast, slow) = (callers(1_000_000, RatePeriod::Second), callers(1, RatePeriod::Day));
    let hasher = RandomState::new();
    let address = [192u8, 0, 2, 1];
    c.bench_function("rate limit: hash of an address", |b| b.iter(|| hasher.hash_one(black_box(address))));
    c.bench_function("rate limit: within", |b| b.iter(|| fast.count(black_box(7), time.next())));
    c.bench_function("rate limit: over", |b| b.iter(|| slow.count(black_box(7), time.next())));
    // Spread over the whole table, as hashes are: what is not in the cache has to be fetched.
    let mut caller = 0u64;
    let mut next = |callers: u64| {
        caller += 1;
        (caller % callers).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20)
    };
    c.bench_function("rate limit: within, one of 30,000", |b| {
        b.iter(|| fast.count(next(30_000), time.next()))
    });
    c.bench_function("rate limit: new, table full", |b| b.iter(|| slow.count(next(u64::MAX), time.next())));
}

criterion_group!(benches, budget, breaker, hedge, concurrency, rate_limit);
criterion_main!(benches);
