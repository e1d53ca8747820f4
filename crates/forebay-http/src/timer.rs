//! Time limits without a timer per request: one sweeper per core looks over all limits a few times a second.
//!
//! A connection keeps one [`Timer`] for its life and states, whenever it waits, until when it will. A limit takes
//! effect at the first sweep behind it, at most [`SWEEP_MIN`] late; never early.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use tokio::sync::Notify;

/// Shortest time between two sweeps: keeps a core with many short limits below a few percent of sweeping.
pub const SWEEP_MIN: Duration = Duration::from_millis(5);
/// Longest time between two sweeps: also how stale the coarse time may become.
const SWEEP_MAX: Duration = Duration::from_millis(500);

/// Looks over the time limits of one core.
#[derive(Clone)]
pub struct Sweeper(Rc<Shared>);

struct Shared {
    clock: Clock,
    limits: RefCell<Limits>,
    /// Time of the last sweep. A limit at or before it has passed.
    swept: Cell<Moment>,
    next_sweep: Cell<Moment>,
    turn: Cell<Turn>,
    sooner: Notify,
}

/// Whether a task's turn is on, during which the time stands still.
#[derive(Clone, Copy)]
enum Turn {
    Off,
    /// Nobody has asked for the time yet.
    Begun,
    At(Moment),
}

#[derive(Default)]
struct Limits {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

struct Entry {
    until: Moment,
    waker: Option<Waker>,
}

impl Sweeper {
    /// For the core that calls it; [`Sweeper::run`] must be running there.
    pub fn new(clock: Clock) -> Sweeper {
        let now = clock.now();
        Sweeper(Rc::new(Shared {
            clock,
            limits: RefCell::default(),
            swept: Cell::new(now),
            next_sweep: Cell::new(now + SWEEP_MAX),
            turn: Cell::new(Turn::Off),
            sooner: Notify::new(),
        }))
    }

    /// A limit for one connection.
    pub fn timer(&self) -> Timer {
        let mut limits = self.0.limits.borrow_mut();
        let entry = Entry { until: Moment::NEVER, waker: None };
        let key = match limits.free.pop() {
            Some(key) => {
                limits.entries[key as usize] = entry;
                key
            }
            None => {
                limits.entries.push(entry);
                (limits.entries.len() - 1) as u32
            }
        };
        Timer { sweeper: self.clone(), key }
    }

    /// The present moment; within [`Sweeper::turns`] the one at which it was first asked for in this turn.
    pub fn now(&self) -> Moment {
        let now = match self.0.turn.get() {
            Turn::Off => return self.0.clock.now(),
            Turn::Begun => self.0.clock.now(),
            Turn::At(now) => now,
        };
        self.0.turn.set(Turn::At(now));
        now
    }

    /// Runs `work` as turns in which time stands still: a turn takes microseconds, and reading the clock for every
    /// duration in it would be a good part of them.
    ///
    /// Takes the work where it stands: to move it here would make room for it twice in every task.
    pub async fn turns<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|cx| {
            self.0.turn.set(Turn::Begun);
            let polled = work.as_mut().poll(cx);
            self.0.turn.set(Turn::Off);
            polled
        })
        .await
    }

    /// Wakes every waiting connection, so that it looks again at what it waits for.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = {
            let mut limits = self.0.limits.borrow_mut();
            limits.entries.iter_mut().filter_map(|entry| entry.waker.take()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Sweeps for ever; the core drops it when it ends.
    pub async fn run(self) {
        let shared = &self.0;
        loop {
            let next = shared.next_sweep.get().max(shared.swept.get() + SWEEP_MIN);
            let wait = shared.clock.now().until(next);
            tokio::select! {
                () = tokio::time::sleep(wait) => self.sweep(),
                () = shared.sooner.notified() => {}
            }
        }
    }

    fn sweep(&self) {
        let now = self.0.clock.now();
        self.0.swept.set(now);
        let mut next = now + SWEEP_MAX;
        let mut due = Vec::new();
        for entry in &mut self.0.limits.borrow_mut().entries {
            if entry.until <= now {
                entry.until = Moment::NEVER;
                due.extend(entry.waker.take());
            } else if entry.until < next {
                next = entry.until;
            }
        }
        self.0.next_sweep.set(next);
        due.into_iter().for_each(Waker::wake);
    }
}

/// One connection's present time limit.
pub struct Timer {
    sweeper: Sweeper,
    key: u32,
}

impl Timer {
    /// The present moment.
    pub fn now(&self) -> Moment {
        self.sweeper.now()
    }

    /// Ready once `until` has passed; otherwise the task is woken then. Replaces the limit stated before.
    pub fn poll_until(&self, cx: &Context<'_>, until: Moment) -> Poll<()> {
        let shared = &self.sweeper.0;
        if until <= shared.swept.get() {
            return Poll::Ready(());
        }
        let mut limits = shared.limits.borrow_mut();
        let entry = &mut limits.entries[self.key as usize];
        entry.until = until;
        match &mut entry.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        if until < shared.next_sweep.get() {
            shared.next_sweep.set(until);
            shared.sooner.notify_one();
        }
        Poll::Pending
    }

    /// Runs `work` at most until then; `None` when it took longer.
    pub async fn within<T>(&self, until: Moment, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll_until(cx, until).map(|()| None),
        })
        .await
    }

    /// Waits.
    pub async fn sleep_until(&self, until: Moment) {
        poll_fn(|cx| self.poll_until(cx, until)).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut limits = self.sweeper.0.limits.borrow_mut();
        limits.entries[self.key as usize] = Entry { until: Moment::NEVER, waker: None };
        limits.free.push(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn a_limit_passes_at_the_first_sweep_behind_it() {
        let clock = Clock::manual();
        let sweeper = Sweeper::new(clock.clone());
        let timer = sweeper.timer();
        let until = clock.now() + Duration::from_millis(20);
        let cx = Context::from_waker(Waker::noop());
        assert!(timer.poll_until(&cx, until).is_pending());
        assert_eq!(sweeper.0.next_sweep.get(), until);
        clock.advance(Duration::from_millis(19));
        sweeper.sweep();
        assert!(timer.poll_until(&cx, until).is_pending());
        clock.advance(Duration::from_millis(1));
        sweeper.sweep();
        assert!(timer.poll_until(&cx, until).is_ready());
    }

    #[test]
    fn time_stands_still_within_a_turn() {
        let clock = Clock::manual();
        let sweeper = Sweeper::new(clock.clone());
        let mut is_second = false;
        let work = std::pin::pin!(poll_fn(|_| {
            let before = sweeper.now();
            clock.advance(Duration::from_millis(1));
            assert_eq!(sweeper.now(), before);
            if std::mem::replace(&mut is_second, true) { Poll::Ready(before) } else { Poll::Pending }
        }));
        let mut turns = std::pin::pin!(sweeper.turns(work));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(turns.as_mut().poll(&mut cx).is_pending());
        assert_eq!(sweeper.now() - Moment::START, Duration::from_millis(1));
        let second = turns.as_mut().poll(&mut cx);
        assert_eq!(second.map(|at| at - Moment::START), Poll::Ready(Duration::from_millis(1)));
    }

    #[test]
    fn a_dropped_timer_leaves_its_place_to_the_next() {
        let sweeper = Sweeper::new(Clock::manual());
        let first = sweeper.timer();
        drop(sweeper.timer());
        let again = sweeper.timer();
        assert_eq!((first.key, again.key), (0, 1));
    }
}
