//! A limit finds what a service can do, in a simulation of one: some workers and the queue before them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use forebay_clock::Moment;
use forebay_retry::{Concurrency, Gradient, LimitSettings, Observed, Priority, Told};

/// What an answer takes on average, without the queue.
const SERVICE: Duration = Duration::from_millis(20);
/// A client waits this long.
const PATIENCE: Duration = Duration::from_millis(500);
const WINDOW: Duration = Duration::from_millis(250);

/// A way to find the limit.
trait Algorithm {
    fn limit(&self) -> u32;
    fn next(&mut self, observed: &Observed, now: Moment);
}

impl Algorithm for Gradient {
    fn limit(&self) -> u32 {
        Gradient::limit(self)
    }

    fn next(&mut self, observed: &Observed, now: Moment) {
        *self = Gradient::next(*self, observed, now);
    }
}

/// One more while all is well, a tenth less when requests run out of time.
struct Aimd(f64);

impl Algorithm for Aimd {
    fn limit(&self) -> u32 {
        self.0 as u32
    }

    fn next(&mut self, observed: &Observed, _: Moment) {
        if observed.refused > 0 {
            self.0 *= 0.9;
        } else if f64::from(observed.in_flight_max) * 2.0 >= self.0 {
            self.0 += 1.0;
        }
        self.0 = self.0.clamp(4.0, 1000.0);
    }
}

/// Against a long average instead of a measured latency, with the tolerance of half as much again that it then needs.
struct LongAverage {
    limit: f64,
    average_s: f64,
}

impl Algorithm for LongAverage {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn next(&mut self, observed: &Observed, _: Moment) {
        let mean_s = observed.mean.as_secs_f64();
        self.average_s = if self.average_s == 0.0 { mean_s } else { self.average_s * 0.99 + mean_s * 0.01 };
        if f64::from(observed.in_flight_max) * 2.0 >= self.limit {
            let gradient = (1.5 * self.average_s / mean_s).clamp(0.5, 1.0);
            self.limit = (self.limit * 0.8 + (self.limit * gradient + 4.0) * 0.2).clamp(4.0, 1000.0);
        }
    }
}

/// A stretch of a simulation.
struct Phase {
    workers: usize,
    per_s: f64,
    lasts_s: u64,
}

/// What became of a phase's last half.
#[derive(Debug)]
struct Course {
    /// Answered within a client's patience, of what the workers can do or of what was asked, whichever is less.
    goodput: f64,
    shed: f64,
    mean: Duration,
    limit: u32,
}

fn exponential(mean_s: f64, rng: &mut fastrand::Rng) -> Duration {
    Duration::from_secs_f64(-mean_s * (1.0 - rng.f64()).ln())
}

fn simulate(algorithm: &mut dyn Algorithm, phases: &[Phase]) -> Vec<Course> {
    let mut rng = fastrand::Rng::with_seed(17);
    let mut now = Moment::START;
    let mut queue: VecDeque<Moment> = VecDeque::new();
    // By the moment at which each is done: when it came.
    let mut working: BinaryHeap<Reverse<(Moment, Moment)>> = BinaryHeap::new();
    let (mut observed, mut took) = (Observed::default(), Duration::ZERO);
    let mut closes = now + WINDOW;
    let mut courses = Vec::new();
    for phase in phases {
        let ends = now + Duration::from_secs(phase.lasts_s);
        let judged_from = now + Duration::from_secs(phase.lasts_s) / 2;
        let (mut asked, mut shed, mut answered, mut good) = (0u32, 0u32, 0u32, 0u32);
        let mut total = Duration::ZERO;
        let mut arrives = now;
        while now < ends {
            let done = working.peek().map_or(Moment::NEVER, |Reverse((done, _))| *done);
            now = done.min(arrives).min(ends);
            if now == done {
                let Some(Reverse((_, came))) = working.pop() else { break };
                let lasted = now.since(came);
                took += lasted;
                observed.ended += 1;
                observed.refused += u32::from(lasted > PATIENCE);
                if now >= judged_from {
                    (answered, total) = (answered + 1, total + lasted);
                    good += u32::from(lasted <= PATIENCE);
                }
            } else if now == arrives {
                arrives = now + exponential(1.0 / phase.per_s, &mut rng);
                let in_flight = (queue.len() + working.len()) as u32;
                asked += u32::from(now >= judged_from);
                if in_flight < algorithm.limit() {
                    queue.push_back(now);
                    observed.in_flight_max = observed.in_flight_max.max(in_flight + 1);
                } else {
                    shed += u32::from(now >= judged_from);
                }
            }
            while working.len() < phase.workers {
                let Some(came) = queue.pop_front() else { break };
                working.push(Reverse((now + exponential(SERVICE.as_secs_f64(), &mut rng), came)));
            }
            if now >= closes && observed.ended >= 20 {
                algorithm.next(&Observed { mean: took / observed.ended, ..observed }, now);
                (observed, took) = (Observed::default(), Duration::ZERO);
                closes = now + WINDOW;
            }
        }
        let judged_s = phase.lasts_s as f64 / 2.0;
        let possible = (phase.workers as f64 / SERVICE.as_secs_f64() * judged_s).min(f64::from(asked));
        courses.push(Course {
            goodput: f64::from(good) / possible,
            shed: f64::from(shed) / f64::from(asked),
            mean: total / answered.max(1),
            limit: algorithm.limit(),
        });
    }
    courses
}

fn gradient() -> Gradient {
    Gradient::new(LimitSettings::default(), Moment::START)
}

/// Eight workers can do 400 a second.
fn eight(per_s: f64, lasts_s: u64) -> Phase {
    Phase { workers: 8, per_s, lasts_s }
}

#[test]
fn a_service_with_enough_room_is_left_alone() {
    for per_s in [20.0, 200.0, 320.0] {
        let course = &simulate(&mut gradient(), &[eight(per_s, 120)])[0];
        assert!(course.shed < 0.01, "{per_s} a second: {course:?}");
    }
}

#[test]
fn three_times_too_much_is_shed_and_the_rest_served_soon() {
    let course = &simulate(&mut gradient(), &[eight(1200.0, 120)])[0];
    assert!(course.goodput > 0.93, "{course:?}");
    assert!(course.mean < SERVICE * 3, "{course:?}");
}

#[test]
fn an_overload_that_stays_does_not_make_the_limit_drift() {
    let course = &simulate(&mut gradient(), &[eight(1200.0, 3600)])[0];
    assert!((8..=24).contains(&course.limit) && course.mean < SERVICE * 3, "{course:?}");
}

#[test]
fn the_limit_follows_what_the_service_can_do() {
    let courses = simulate(
        &mut gradient(),
        &[eight(1200.0, 60), Phase { workers: 32, ..eight(1200.0, 60) }, eight(1200.0, 60)],
    );
    for course in &courses {
        assert!(course.goodput > 0.9 && course.mean < SERVICE * 3, "{courses:#?}");
    }
    assert!(courses[1].limit > courses[0].limit * 2, "{courses:#?}");
}

#[test]
fn the_others_let_the_queue_grow() {
    let overload = [eight(1200.0, 600)];
    let ours = &simulate(&mut gradient(), &overload)[0];
    for other in [&mut Aimd(20.0) as &mut dyn Algorithm, &mut LongAverage { limit: 20.0, average_s: 0.0 }] {
        let course = &simulate(other, &overload)[0];
        assert!(course.mean > ours.mean * 3, "{course:?} beside {ours:?}");
    }
}

#[test]
fn who_is_more_important_is_shed_last() {
    let at = |ms| Moment::START + Duration::from_millis(ms);
    let settings = LimitSettings { initial: 10, min: 10, max: 10 };
    let concurrency = Concurrency::new(settings, Moment::START);
    let admit = |priority, count: usize| {
        (0..count).map_while(|_| concurrency.admit(priority, at(0)).ok()).collect::<Vec<_>>()
    };
    let low = admit(Priority::Low, 20);
    let normal = admit(Priority::Normal, 20);
    let high = admit(Priority::High, 20);
    assert_eq!([low.len(), normal.len(), high.len()], [7, 2, 1]);
    drop(low);
    assert_eq!(concurrency.in_flight(), 3);
    assert_eq!(concurrency.admit(Priority::High, at(0)).map(|_| ()), Ok(()));
}

#[test]
fn cores_together_stay_within_the_limit() {
    let settings = LimitSettings { initial: 5, min: 5, max: 5 };
    let concurrency = Concurrency::new(settings, Moment::START);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    if let Ok(permit) = concurrency.admit(Priority::High, Moment::START) {
                        assert!(concurrency.in_flight() <= 5);
                        permit.tell(Told::Answered, Moment::START + WINDOW);
                    }
                }
            });
        }
    });
    assert_eq!(concurrency.in_flight(), 0);
}

#[test]
fn refusals_of_the_service_lower_the_limit() {
    let concurrency = Concurrency::new(LimitSettings::default(), Moment::START);
    for ms in 1..=10_000 {
        let now = Moment::START + Duration::from_millis(ms);
        let permits: Vec<_> = (0..20).map_while(|_| concurrency.admit(Priority::High, now).ok()).collect();
        permits.iter().for_each(|permit| permit.tell(Told::Refused, now));
    }
    assert!(concurrency.limit() < 12, "{}", concurrency.limit());
}
