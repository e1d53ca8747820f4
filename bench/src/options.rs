//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Failure;
use crate::peer::Kind;

/// A checked command line.
#[derive(Debug)]
pub(crate) struct Options {
    /// Which benchmark.
    pub(crate) name: String,
    /// For what the harness starts itself as.
    pub(crate) numbers: Vec<u64>,
    /// In the order in which they are measured and printed.
    pub(crate) peers: Vec<Kind>,
    pub(crate) rounds: usize,
    /// Before each measurement: connections open, caches and branch predictors warm, bodies compared.
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
    pub(crate) quick: bool,
    /// Where configurations, logs and results go.
    pub(crate) out: PathBuf,
    /// Forebay's program, if it was built.
    pub(crate) forebay: Option<PathBuf>,
    /// Envoy's, if it could be installed.
    pub(crate) envoy: Option<PathBuf>,
}

/// Enough for a median that one disturbed round does not move.
const ROUNDS: usize = 7;
const ROUNDS_QUICK: usize = 3;

impl Options {
    pub(crate) fn parse(mut arguments: lexopt::Parser) -> Result<Options, Failure> {
        use lexopt::prelude::*;
        let mut options = Options {
            name: "help".into(),
            numbers: Vec::new(),
            peers: Kind::ALL.into(),
            rounds: ROUNDS,
            warm_up: Duration::from_millis(1000),
            measure: Duration::from_millis(3000),
            quick: false,
            out: "target/bench".into(),
            forebay: None,
            envoy: None,
        };
        let mut rounds = None;
        while let Some(argument) = arguments.next()? {
            match argument {
                Value(number) if options.name != "help" => options.numbers.push(number.parse()?),
                Value(name) => options.name = name.string()?,
                Long("only") => options.peers = peers(&arguments.value()?.string()?)?,
                Long("rounds") => rounds = Some(arguments.value()?.parse::<usize>()?.max(1)),
                Long("quick") => options.quick = true,
                Long("out") => options.out = arguments.value()?.into(),
                Long("envoy") => options.envoy = Some(arguments.value()?.into()),
                Long("forebay") => options.forebay = Some(arguments.value()?.into()),
                Long("help") | Short('h') => options.name = "help".into(),
                other => return Err(other.unexpected().into()),
            }
        }
        if options.quick {
            options.rounds = ROUNDS_QUICK;
            options.warm_up = Duration::from_millis(300);
            options.measure = Duration::from_millis(1000);
        }
        if options.name != "proxy" {
            // It has neither connections nor a start worth measuring.
            options.peers.retain(|&kind| kind != Kind::Floor);
        }
        if options.name != "balance" || options.envoy.is_none() {
            options.peers.retain(|&kind| kind != Kind::Envoy);
        }
        options.rounds = rounds.unwrap_or(options.rounds);
        Ok(options)
    }
}

fn peers(text: &str) -> Result<Vec<Kind>, Failure> {
    text.split(',')
        .map(|name| {
            Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
                let known = Kind::ALL.map(Kind::name).join(", ");
                Failure::Usage(format!("`{name}` is not one of {known}"))
            })
        })
        .collect()
}
