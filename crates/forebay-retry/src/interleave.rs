//! Runs small programs of several threads in every order that few preemptions make, and shows that no order overspends.
//! Knows nothing of weak memory: what it checks uses sequentially consistent operations alone.
//!
//! After Musuvathi and Qadeer, "Iterative Context Bounding" (PLDI 2007): most races need one or two preemptions.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex};

use forebay_clock::Moment;
use forebay_config::{Rate, RatePeriod};

use crate::callers::{Counted, Door, Table};
use crate::gcra::Gcra;
use crate::window::{Ledger, Word};

/// What one thread does with the state.
type Thread<S> = Box<dyn Fn(&S) + Sync>;

/// An order, as far as it is decided: at each operation, which of so many threads goes on.
#[derive(Default)]
struct Order {
    chosen: Vec<(usize, usize)>,
    at: usize,
}

impl Order {
    fn choose(&mut self, alternatives: usize) -> usize {
        if self.at == self.chosen.len() {
            self.chosen.push((0, alternatives));
        }
        self.at += 1;
        self.chosen[self.at - 1].0
    }

    /// The next order, if there is another one.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, alternatives)) = self.chosen.pop() {
            if choice + 1 < alternatives {
                self.chosen.push((choice + 1, alternatives));
                return true;
            }
        }
        false
    }
}

struct Stage {
    order: Order,
    running: Vec<bool>,
    turn: usize,
    preemptions_left: u32,
}

struct Scheduler {
    stage: Mutex<Stage>,
    turned: Condvar,
}

thread_local! {
    static PART: RefCell<Option<(Arc<Scheduler>, usize)>> = const { RefCell::new(None) };
}

impl Scheduler {
    /// Before each operation of thread `me`: it goes on, or another does first.
    fn step(&self, me: usize) {
        let mut stage = self.stage.lock().unwrap();
        let others: Vec<usize> =
            (0..stage.running.len()).filter(|&other| other != me && stage.running[other]).collect();
        let alternatives = if stage.preemptions_left > 0 { 1 + others.len() } else { 1 };
        let choice = stage.order.choose(alternatives);
        if choice > 0 {
            stage.preemptions_left -= 1;
            stage.turn = others[choice - 1];
            self.turned.notify_all();
            drop(self.turned.wait_while(stage, |stage| stage.turn != me).unwrap());
        }
    }

    /// Thread `me` cannot go on before another has: the next one does, which is no choice.
    fn pass(&self, me: usize) {
        let mut stage = self.stage.lock().unwrap();
        let threads = stage.running.len();
        let next = (1..threads).map(|step| (me + step) % threads).find(|&other| stage.running[other]);
        stage.turn = next.expect("somebody is at the door");
        self.turned.notify_all();
        drop(self.turned.wait_while(stage, |stage| stage.turn != me).unwrap());
    }

    fn begin(&self, me: usize) {
        let stage = self.stage.lock().unwrap();
        drop(self.turned.wait_while(stage, |stage| stage.turn != me).unwrap());
    }

    fn end(&self, me: usize) {
        let mut stage = self.stage.lock().unwrap();
        stage.running[me] = false;
        let rest: Vec<usize> = (0..stage.running.len()).filter(|&other| stage.running[other]).collect();
        if !rest.is_empty() {
            let choice = stage.order.choose(rest.len());
            stage.turn = rest[choice];
            self.turned.notify_all();
        }
    }
}

/// A word whose operations are where threads take turns.
struct Turning(Mutex<u64>);

impl Word for Turning {
    fn new(value: u64) -> Turning {
        Turning(Mutex::new(value))
    }

    fn load(&self) -> u64 {
        turn();
        *self.0.lock().unwrap()
    }

    fn update(&self, mut change: impl FnMut(u64) -> Option<u64>) -> bool {
        turn();
        let mut word = self.0.lock().unwrap();
        change(*word).map(|value| *word = value).is_some()
    }
}

fn turn() {
    let part = PART.with_borrow(Clone::clone);
    if let Some((scheduler, me)) = part {
        scheduler.step(me);
    }
}

/// A lock at which threads take turns.
struct TurningDoor(Mutex<bool>);

impl TurningDoor {
    fn try_enter(&self) -> bool {
        turn();
        !std::mem::replace(&mut *self.0.lock().unwrap(), true)
    }
}

impl Door for TurningDoor {
    fn new() -> TurningDoor {
        TurningDoor(Mutex::new(false))
    }

    fn alone<R>(&self, act: impl FnOnce() -> R) -> R {
        while !self.try_enter() {
            let part = PART.with_borrow(Clone::clone);
            let (scheduler, me) = part.expect("who is alone waits for nobody");
            scheduler.pass(me);
        }
        let result = act();
        turn();
        *self.0.lock().unwrap() = false;
        result
    }
}

/// Runs the threads in every order with so many preemptions, each time on a fresh state, and gives the number of orders.
fn explore<S: Sync>(
    preemptions: u32,
    fresh: impl Fn() -> S,
    threads: &[Thread<S>],
    check: impl Fn(&S),
) -> usize {
    let mut order = Order::default();
    for count in 1.. {
        let stage = Stage {
            order: std::mem::take(&mut order),
            running: vec![true; threads.len()],
            turn: 0,
            preemptions_left: preemptions,
        };
        let scheduler = Arc::new(Scheduler { stage: Mutex::new(stage), turned: Condvar::new() });
        let state = fresh();
        std::thread::scope(|scope| {
            for (me, thread) in threads.iter().enumerate() {
                let (scheduler, state) = (scheduler.clone(), &state);
                scope.spawn(move || {
                    scheduler.begin(me);
                    PART.set(Some((scheduler.clone(), me)));
                    thread(state);
                    PART.set(None);
                    scheduler.end(me);
                });
            }
        });
        check(&state);
        order = std::mem::take(&mut scheduler.stage.lock().unwrap().order);
        if !order.advance() {
            return count;
        }
    }
    unreachable!("orders are finite")
}

/// A ledger and how often it let somebody spend.
struct Case {
    ledger: Ledger<Turning, 3>,
    let_through: Mutex<u64>,
}

impl Case {
    fn spend(&self, slot: u64, limit: u64) {
        *self.let_through.lock().unwrap() += u64::from(self.ledger.spend(slot, |_| limit));
    }
}

fn case() -> Case {
    Case { ledger: Ledger::new(), let_through: Mutex::new(0) }
}

#[track_caller]
fn check_spenders(preemptions: u32, slots: &[u64], limit: u64) -> usize {
    let thread = |&slot: &u64| -> Thread<Case> { Box::new(move |case| case.spend(slot, limit)) };
    let threads: Vec<Thread<Case>> = slots.iter().map(thread).collect();
    explore(preemptions, case, &threads, |case| {
        let let_through = *case.let_through.lock().unwrap();
        assert!(let_through <= limit, "{let_through} of {limit} in slots {slots:?}");
        // What was denied was taken back.
        assert_eq!(case.ledger.spent(slots.iter().copied().max().unwrap_or_default()), let_through);
    })
}

#[test]
fn no_order_of_spenders_overspends() {
    let orders = [
        check_spenders(3, &[10, 10], 1),
        check_spenders(2, &[10, 10, 10], 1),
        check_spenders(2, &[10, 10, 10], 2),
        // Two clocks on both sides of a slot's end.
        check_spenders(3, &[10, 11], 1),
        check_spenders(2, &[11, 10, 11], 1),
    ];
    assert!(orders.iter().all(|&orders| orders > 500), "{orders:?}");
}

#[test]
fn no_order_of_earning_and_spending_spends_what_was_not_earned() {
    let spend = |case: &Case| {
        *case.let_through.lock().unwrap() += u64::from(case.ledger.spend(10, |earned| earned));
    };
    let earn = |case: &Case| case.ledger.earn(10, 1);
    explore(3, case, &[Box::new(earn), Box::new(spend), Box::new(spend)], |case| {
        assert!(*case.let_through.lock().unwrap() <= case.ledger.earned(10));
    });
}

#[test]
fn the_search_finds_what_looks_before_it_counts() {
    let hasty = |case: &Case| {
        if case.ledger.spent(10) == 0 {
            case.spend(10, u64::MAX);
        }
    };
    let worst = Mutex::new(0);
    explore(1, case, &[Box::new(hasty), Box::new(hasty)], |case| {
        let mut worst = worst.lock().unwrap();
        *worst = (*worst).max(*case.let_through.lock().unwrap());
    });
    assert_eq!(worst.into_inner().unwrap(), 2);
}

/// A table of one bucket in which some callers have a seat since the start, and whom it let through since.
struct Crowd {
    table: Table<Turning, TurningDoor>,
    let_through: Mutex<Vec<u64>>,
    now: Moment,
}

/// One per second, two at once.
fn slow() -> Gcra {
    Gcra::new(Rate { count: 1, period: RatePeriod::Second }, 2)
}

/// Who came at the start has one of his two left.
const AT_ONCE: Moment = Moment::from_nanos(1);
/// He has both back.
const LATER: Moment = Moment::from_nanos(2_000_000_000);

impl Crowd {
    fn new(seated: std::ops::Range<u64>, now: Moment) -> Crowd {
        let crowd = Crowd { table: Table::new(1), let_through: Mutex::default(), now };
        for caller in seated {
            crowd.table.count(caller, &slow(), Moment::START);
        }
        crowd
    }

    fn count(&self, caller: u64) {
        if let Counted::Within { .. } = self.table.count(caller, &slow(), self.now) {
            self.let_through.lock().unwrap().push(caller);
        }
    }

    fn times_through(&self, caller: u64) -> usize {
        self.let_through.lock().unwrap().iter().filter(|&&through| through == caller).count()
    }
}

/// Each thread a row of requests, by caller; so many of a caller's get through at most.
#[track_caller]
fn check_callers(
    preemptions: u32,
    fresh: impl Fn() -> Crowd,
    rows: &[&'static [u64]],
    most: &[(u64, usize)],
) -> usize {
    let thread = |&row: &&'static [u64]| -> Thread<Crowd> {
        Box::new(move |crowd| row.iter().for_each(|&caller| crowd.count(caller)))
    };
    let threads: Vec<Thread<Crowd>> = rows.iter().map(thread).collect();
    explore(preemptions, fresh, &threads, |crowd| {
        for &(caller, most) in most {
            let through = crowd.times_through(caller);
            assert!(through <= most, "{through} of {caller} in {rows:?}");
            assert!(crowd.table.seats_of(caller) <= 1, "{caller} has two seats in {rows:?}");
        }
    })
}

#[test]
fn no_order_lets_a_caller_through_more_often_than_his_burst() {
    let nobody = || Crowd::new(0..0, AT_ONCE);
    let orders = [
        // New on all cores at once.
        check_callers(2, nobody, &[&[9, 9], &[9, 9]], &[(9, 2)]),
        check_callers(1, nobody, &[&[9], &[9], &[9]], &[(9, 2)]),
        // Known; new beside another who is; back while somebody takes his seat.
        check_callers(2, || Crowd::new(9..10, AT_ONCE), &[&[9], &[9], &[9]], &[(9, 1)]),
        check_callers(1, || Crowd::new(1..8, AT_ONCE), &[&[9, 9], &[9], &[8]], &[(9, 2), (8, 1)]),
        check_callers(2, || Crowd::new(1..9, LATER), &[&[9], &[1, 1, 1]], &[(1, 2), (9, 1)]),
    ];
    assert!(orders.iter().all(|&orders| orders > 100), "{orders:?}");
}

#[test]
fn no_order_charges_a_caller_for_another() {
    // Full: who comes takes the seat of one who is counted at the same time.
    let thread = |caller: u64| -> Thread<Crowd> { Box::new(move |crowd| crowd.count(caller)) };
    explore(
        2,
        || Crowd::new(1..9, AT_ONCE),
        &[thread(1), thread(9)],
        |crowd| {
            assert_eq!((crowd.times_through(1), crowd.times_through(9)), (1, 1), "each has his burst");
            // The newcomer has used one of two.
            crowd.count(9);
            crowd.count(9);
            assert_eq!(crowd.times_through(9), 2);
        },
    );
}
