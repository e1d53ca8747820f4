//! The layers decide as the gateway does.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use forebay_clock::Clock;
use forebay_retry::layer::{
    BoxFuture, BreakerLayer, ConcurrencyLayer, HedgeLayer, LayerError, RetryLayer, Worth, judge_http,
};
use forebay_retry::{
    Breaker, BreakerSettings, Budget, BudgetSettings, Circuit, Concurrency, Hedge, HedgeAfter, LimitSettings,
    Priority, Retrying,
};
use http::{Method, Request, Response};
use tower::{Layer, Service, service_fn};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A way to wait that lets the time pass at once.
fn sleep(clock: &Clock) -> impl Fn(Duration) -> BoxFuture<()> + Clone + Send + Sync + 'static {
    let clock = clock.clone();
    move |time| {
        let clock = clock.clone();
        Box::pin(async move { clock.advance(time) })
    }
}

fn budget(floor_per_s: u32) -> Arc<Budget> {
    Arc::new(Budget::new(BudgetSettings { floor_per_s, ..BudgetSettings::default() }))
}

/// Ends its calls one after the other as `end` says of their numbers, and counts them.
fn numbered<R>(
    end: impl Fn(u32) -> R + Clone + Send + 'static,
) -> (Arc<AtomicU32>, impl Service<Request<()>, Response = (), Error = u32, Future: Send> + Clone + Send)
where
    R: Future<Output = Result<(), u32>> + Send + 'static,
{
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    (calls, service_fn(move |_| end(counted.fetch_add(1, Relaxed) + 1)))
}

fn get() -> Request<()> {
    Request::get("/").body(()).unwrap()
}

#[test]
fn a_call_is_retried_while_it_is_worth_it_and_the_budget_allows() {
    let clock = Clock::manual();
    let judge = |_: &Request<()>, result: &Result<(), u32>| match result {
        Err(4) => Worth::Keep,
        Err(2) => Worth::After(Duration::from_secs(3)),
        Err(_) => Worth::Again,
        Ok(()) => Worth::Keep,
    };
    for (attempts_max, floor, expected) in [(3, 10, 3), (9, 10, 4), (9, 1, 2)] {
        let retrying = Retrying { attempts_max, budget: Some(budget(floor)), ..Retrying::default() };
        let (calls, service) = numbered(|number| async move { Err(number) });
        let mut service = RetryLayer::new(retrying, clock.clone(), sleep(&clock), judge).layer(service);
        let before = clock.now();
        assert_eq!(block_on(service.call(get())), Err(expected));
        assert_eq!(calls.load(Relaxed), expected);
        assert_eq!(clock.now() - before >= Duration::from_secs(3), expected > 2);
    }
}

#[test]
fn only_idempotent_http_calls_are_worth_another_attempt() {
    let check = |method: Method, status: u16, after: &str, expected| {
        let request = Request::builder().method(method).body(()).unwrap();
        let response = Response::builder().status(status).header("retry-after", after).body(());
        assert_eq!(judge_http(&request, &response), expected, "{status}");
    };
    check(Method::GET, 200, "1", Worth::Keep);
    check(Method::GET, 500, "1", Worth::Keep);
    check(Method::GET, 503, "", Worth::Again);
    check(Method::PUT, 503, "2", Worth::After(Duration::from_secs(2)));
    check(Method::POST, 503, "2", Worth::Keep);
    assert_eq!(judge_http(&get(), &Err::<Response<()>, _>("broken")), Worth::Again);
}

#[test]
fn the_second_call_answers_where_the_first_is_slow() {
    let clock = Clock::manual();
    let hedge = Hedge { after: HedgeAfter::Time(Duration::from_millis(50)), at_least: Duration::ZERO };
    for (floor, may, expected) in [(10, true, 2), (10, false, 1), (0, true, 1)] {
        let (calls, service) = numbered(|number| async move {
            if number == 1 {
                pending::<()>().await;
            }
            Ok(())
        });
        let may = move |_: &Request<()>| may;
        let layer = HedgeLayer::new(hedge, budget(floor), clock.clone(), sleep(&clock), may);
        let mut service = layer.layer(service);
        let mut calling = service.call(get());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert_eq!(calling.as_mut().poll(&mut cx).is_ready(), expected == 2);
        assert_eq!(calls.load(Relaxed), expected);
    }
}

#[test]
fn a_failed_hedge_leaves_the_answer_to_the_first() {
    let clock = Clock::manual();
    let hedge = Hedge { after: HedgeAfter::Time(Duration::from_millis(50)), at_least: Duration::ZERO };
    let (_, service) = numbered(|number| async move {
        if number == 1 {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            return Ok(());
        }
        Err(number)
    });
    let layer = HedgeLayer::new(hedge, budget(1), clock.clone(), sleep(&clock), |_: &Request<()>| true);
    assert_eq!(block_on(layer.layer(service).call(get())), Ok(()));
}

#[test]
fn an_open_breaker_asks_nobody_and_a_dropped_probe_is_given_back() {
    let clock = Clock::manual();
    let breaker = Arc::new(Breaker::new(BreakerSettings::default()));
    let (calls, service) = numbered(|number| async move {
        if number > 20 {
            pending::<()>().await;
        }
        Err(number)
    });
    let mut service =
        BreakerLayer::new(breaker.clone(), clock.clone(), |result: &Result<(), u32>| result.is_err())
            .layer(service);
    for number in 1..=20 {
        assert_eq!(block_on(service.call(get())), Err(LayerError::Inner(number)));
    }
    let refused = block_on(service.call(get())).unwrap_err();
    assert_eq!(refused, LayerError::Open { retry_after: Duration::from_secs(5) });
    assert_eq!(calls.load(Relaxed), 20);
    clock.advance(Duration::from_secs(5));
    drop(service.call(get()));
    assert!(matches!(breaker.circuit(), Circuit::HalfOpen { sent: 0, .. }));
}

#[test]
fn calls_beyond_the_limit_are_shed_by_priority() {
    let clock = Clock::manual();
    let settings = LimitSettings { initial: 10, min: 10, max: 10 };
    let concurrency = Arc::new(Concurrency::new(settings, clock.now()));
    let (calls, service) = numbered(|_| pending());
    let priority = |request: &Request<()>| match request.uri().path() {
        "/pay" => Priority::High,
        _ => Priority::Normal,
    };
    let layer = ConcurrencyLayer::new(concurrency.clone(), clock, priority, |_: &Result<(), u32>| false);
    let mut service = layer.layer(service);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut waiting = Vec::new();
    let mut ask = |path: &str| {
        let mut calling = service.call(Request::get(path).body(()).unwrap());
        let result = calling.as_mut().poll(&mut cx);
        waiting.push(calling);
        result.is_pending()
    };
    assert_eq!((0..20).filter(|_| ask("/")).count(), 9);
    assert_eq!((0..20).filter(|_| ask("/pay")).count(), 1);
    assert_eq!(calls.load(Relaxed), 10);
    drop(waiting);
    assert_eq!(concurrency.in_flight(), 0, "calls that are dropped give their places back");
}
