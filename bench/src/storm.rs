//! `bench storm`: an origin at nine tenths of what it can do stops for ten seconds. Its queue is full of requests that
//! nobody waits for any more; retries can keep it so for ever (Bronson et al., "Metastable Failures in Distributed
//! Systems", HotOS 2021). Measured with retries as they come by default, and with naive ones.

use std::time::Duration;

use crate::client::Client;
use crate::failure::Failure;
use crate::open_loop::{self, Outcome, Plan};
use crate::options::Options;
use crate::origin::{self, Behaviour, Origin};
use crate::peer::{Kind, Prepared, forebay};

/// 400 requests a second, and a queue that holds a second of them.
const ORIGIN: Behaviour = Behaviour { workers: 8, service_ms: 20, queue_max: 400, fails_half: false };
const PER_SECOND: u64 = 360;
const CALM: Duration = Duration::from_secs(10);
const OUTAGE: Duration = Duration::from_secs(10);
/// After the outage: time to recover, then time to be judged.
const RECOVERY: Duration = Duration::from_secs(10);
const JUDGED: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(2);
/// Of the requests that were due after the recovery, at least this share is answered in time.
const GOODPUT_MIN: f64 = 0.95;
/// Requests that reach the origin, per request that users made, over the outage and ever after.
const AMPLIFICATION_MAX: f64 = 1.2;

/// One way to retry.
struct Way {
    name: &'static str,
    service: &'static str,
}

const DEFAULT: Way = Way { name: "default", service: "timeout = \"500ms\"" };
/// What a loop around a request does: each attempt as patient as the default's request, up to four of them, at once and
/// without a budget.
const NAIVE: Way = Way {
    name: "naive",
    service: "timeout = \"2s\"\n\
              retry = { attempts = 4, attempt_timeout = \"500ms\", budget = \"100%\", \
              backoff = { base = \"1ms\", max = \"1ms\" } }\neject = { share = \"0%\" }",
};

/// Goodput and load of each phase.
struct Course {
    before: f64,
    during: f64,
    after: f64,
    amplification: f64,
}

/// Whether the default recovers and naive retries do not.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let seconds = (CALM + OUTAGE + RECOVERY + JUDGED).as_secs();
    println!(
        "{PER_SECOND} requests a second at an origin that can do 400, which stops for 10 s; {seconds} s each"
    );
    println!("{:<8} {:>8} {:>8} {:>8} {:>14}", "retries", "before", "outage", "after", "amplification");
    let mut courses = Vec::new();
    for way in [DEFAULT, NAIVE] {
        let course = measure(&way, options)?;
        let percent = |share: f64| format!("{:.1}%", share * 100.0);
        println!(
            "{:<8} {:>8} {:>8} {:>8} {:>13.2}×",
            way.name,
            percent(course.before),
            percent(course.during),
            percent(course.after),
            course.amplification,
        );
        courses.push(course);
    }
    let [default, naive] = &courses[..] else { return Err(Failure::run("a course is missing")) };
    let verdict = |holds| if holds { "holds" } else { "DOES NOT HOLD" };
    let recovers = default.after >= GOODPUT_MIN;
    let bounded = default.amplification <= AMPLIFICATION_MAX;
    let naive_stays = naive.after < GOODPUT_MIN;
    println!("\ndefault: at least 95% in time from 10 s after the outage on: {}", verdict(recovers));
    println!("default: at most 1.2 requests at the origin for one of a user: {}", verdict(bounded));
    println!("naive retries do not recover, so that this is a storm at all: {}", verdict(naive_stays));
    Ok(recovers && bounded && naive_stays)
}

fn measure(way: &Way, options: &Options) -> Result<Course, Failure> {
    let origin = Origin::start(ORIGIN)?;
    let proxy = Prepared::with(Kind::Forebay, &[origin.port], options, |setting| {
        forebay::with(setting, way.service)
    })?;
    let proxy = proxy.start(None)?;
    let address = (std::net::Ipv4Addr::LOCALHOST, origin.port).into();
    let lasts = CALM + OUTAGE + RECOVERY + JUDGED;
    let plan = Plan { per_second: PER_SECOND, lasts, patience: PATIENCE };
    let (outcomes, counted) = std::thread::scope(|scope| {
        let counted = scope.spawn(|| -> Result<[u64; 2], Failure> {
            let mut client = Client::connect(address)?;
            std::thread::sleep(CALM);
            let before = count(&mut client)?;
            client.get(&format!("{}{}", origin::OUTAGE, OUTAGE.as_millis()))?;
            std::thread::sleep(OUTAGE + RECOVERY + JUDGED);
            // Another connection: the first may have been idle for longer than the origin's patience.
            Ok([before, count(&mut client)?])
        });
        let outcomes = open_loop::run(proxy.address, plan);
        (outcomes, counted.join())
    });
    let outcomes = outcomes?;
    let [before, end] = counted.map_err(|_| Failure::run("the observer panicked"))??;
    let users = outcomes.iter().filter(|outcome| outcome.due >= CALM).count();
    let after = CALM + OUTAGE + RECOVERY;
    Ok(Course {
        before: goodput(&outcomes, Duration::ZERO, CALM - PATIENCE),
        during: goodput(&outcomes, CALM, CALM + OUTAGE),
        after: goodput(&outcomes, after, after + JUDGED - PATIENCE),
        amplification: (end - before) as f64 / users.max(1) as f64,
    })
}

fn count(client: &mut Client) -> Result<u64, Failure> {
    let reply = client.get(origin::COUNT)?;
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    text.parse().map_err(|_| Failure::run("the origin cannot count"))
}

/// The share of requests due between two times that was answered in time.
fn goodput(outcomes: &[Outcome], from: Duration, to: Duration) -> f64 {
    let due = outcomes.iter().filter(|outcome| (from..to).contains(&outcome.due));
    let (all, good) =
        due.fold((0, 0), |(all, good), outcome| (all + 1, good + usize::from(outcome.took.is_some())));
    good as f64 / f64::max(all as f64, 1.0)
}
