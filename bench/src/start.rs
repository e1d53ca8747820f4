//! `bench start`: time from starting the program to its first right answer.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::failure::Failure;
use crate::options::Options;
use crate::peer::{Kind, Prepared};
use crate::statistics::Summary;
use crate::traffic;
use crate::upstream::Upstream;

const RUNS: usize = 20;
const RUNS_QUICK: usize = 5;
/// Forebay's median is below this.
const BAR_MS: f64 = 50.0;
/// Past this it is not slow but broken.
const START_MAX: Duration = Duration::from_secs(10);

/// Whether the bar holds, if Forebay was measured.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let runs = if options.quick { RUNS_QUICK } else { RUNS };
    println!("start to first answered request in ms, of {runs} runs");
    let mut holds = true;
    for &kind in &options.peers {
        let times: Vec<f64> = (0..runs).map(|_| measure(kind, options)).collect::<Result<_, _>>()?;
        let Summary { median, max, .. } = Summary::of(times);
        let verdict = match kind {
            Kind::Forebay if median < BAR_MS => "  below 50: holds",
            Kind::Forebay => "  below 50: DOES NOT HOLD",
            _ => "",
        };
        println!("{:<8} median {median:>7.1}  max {max:>7.1}{verdict}", kind.name());
        holds &= kind != Kind::Forebay || median < BAR_MS;
    }
    Ok(holds)
}

/// Milliseconds.
fn measure(kind: Kind, options: &Options) -> Result<f64, Failure> {
    let upstream = Upstream::start(None)?;
    let prepared = Prepared::new(kind, &upstream.ports, options)?;
    let (path, body) = (traffic::path(traffic::SIZES[0]), traffic::body(traffic::SIZES[0]));
    let start = Instant::now();
    let mut spawned = prepared.spawn(None)?;
    loop {
        let answer = Client::connect(prepared.address).and_then(|mut client| client.expect(&path, &body));
        let took = start.elapsed();
        match answer {
            Ok(()) => return Ok(took.as_secs_f64() * 1000.0),
            Err(failure) if took > START_MAX || spawned.has_ended() => {
                return Err(Failure::run(format!("{} does not start: {failure}", kind.name())));
            }
            // Nobody listens yet, or it is not ready: ask again at once, for this is what we measure.
            Err(_) => {}
        }
    }
}
