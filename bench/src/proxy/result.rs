//! What was measured, and what follows from it.

use std::time::Duration;

use crate::peer::Kind;
use crate::place::Placement;
use crate::statistics::{Summary, ratio};
use crate::usage::Cpu;

/// One proxy under load for some seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) cpu: Cpu,
    pub(crate) responses: u64,
    pub(crate) took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Round {
    /// Processor microseconds of the proxy per request.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.total_us() / self.responses as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.responses as f64 / self.took.as_secs_f64()
    }
}

/// All rounds of one proxy in one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) kind: Kind,
    pub(crate) rounds: Vec<Round>,
}

impl Figures {
    pub(crate) fn summary(&self, figure: impl Fn(&Round) -> f64) -> Summary {
        Summary::of(self.rounds.iter().map(figure))
    }

    /// The part of the median that the proxy's own code took; the rest was the kernel. Divided by the ticks of all
    /// rounds together, since those of one are few.
    pub(crate) fn user_us(&self) -> f64 {
        let sum = |ticks: fn(&Cpu) -> u64| self.rounds.iter().map(|round| ticks(&round.cpu)).sum::<u64>();
        let (user, system) = (sum(|cpu| cpu.user_ticks), sum(|cpu| cpu.system_ticks));
        self.summary(Round::cpu_us).median * user as f64 / (user + system).max(1) as f64
    }

    fn cpu_us(&self) -> Vec<f64> {
        self.rounds.iter().map(Round::cpu_us).collect()
    }
}

/// One body size in one placement, all proxies.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) placement: Placement,
    /// Bytes of a response body.
    pub(crate) size: usize,
    pub(crate) figures: Vec<Figures>,
}

impl Scenario {
    pub(crate) fn name(&self) -> String {
        format!("{} KiB, {}", self.size / 1024, self.placement.name())
    }

    /// Processor time of one to that of the other, if both were measured.
    pub(crate) fn ratio(&self, of: Kind, to: Kind) -> Option<Summary> {
        let figures = |kind| self.figures.iter().find(|figures| figures.kind == kind);
        Some(ratio(&figures(of)?.cpu_us(), &figures(to)?.cpu_us()))
    }
}
