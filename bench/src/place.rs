//! Which processor core runs what.

use std::process::{Child, Command};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::failure::{Doing as _, Failure};

/// Where proxy, load generator and upstream run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) proxy: usize,
    /// The load generator's and the upstream's core.
    pub(crate) others: usize,
}

impl Placement {
    /// All on one core and, where there are two, the proxy alone on the first.
    pub(crate) fn all() -> Result<Vec<Placement>, Failure> {
        let cores = cores()?;
        let one = cores.first().map(|&core| Placement { proxy: core, others: core });
        let split = cores.get(1).map(|&others| Placement { proxy: cores[0], others });
        Ok(one.into_iter().chain(split).collect())
    }

    pub(crate) fn name(self) -> &'static str {
        if self.proxy == self.others { "one core" } else { "two cores" }
    }
}

/// Cores that we may use, in order.
fn cores() -> Result<Vec<usize>, Failure> {
    let allowed = sched_getaffinity(None).doing("cannot ask for the processor cores")?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).collect())
}

/// Moves this thread, and with it what it starts from now on.
pub(crate) fn move_to(core: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).doing(format_args!("cannot move to core {core}"))
}

/// How busy the machine was in the last minute, in cores. From `/proc/loadavg`.
pub(crate) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// Starts a program on that core; on any if there is none given.
pub(crate) fn spawn(command: &mut Command, core: Option<usize>) -> Result<Child, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let before = sched_getaffinity(None).doing("cannot ask for the processor cores")?;
    if let Some(core) = core {
        move_to(core)?;
    }
    let child = command.spawn().doing(format_args!("cannot start {program}"));
    sched_setaffinity(None, &before).doing("cannot move back")?;
    child
}
