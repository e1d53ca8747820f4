//! What a program and its children have used so far, from Linux's `/proc` (proc_pid_stat(5), proc_pid_smaps(5)).

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Doing as _, Failure};

/// A program and its children, as they were when it was asked for: workers are not started in the middle of a
/// measurement.
#[derive(Clone, Debug)]
pub(crate) struct Tree(Vec<u32>);

/// Processor time since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    /// Exact, from the scheduler.
    pub(crate) total_ns: u64,
    /// In clock ticks, and so coarse: only good for dividing the total.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
}

impl Cpu {
    pub(crate) fn since(self, earlier: Cpu) -> Cpu {
        Cpu {
            total_ns: self.total_ns - earlier.total_ns,
            user_ticks: self.user_ticks - earlier.user_ticks,
            system_ticks: self.system_ticks - earlier.system_ticks,
        }
    }

    pub(crate) fn total_us(self) -> f64 {
        self.total_ns as f64 / 1000.0
    }
}

impl Tree {
    pub(crate) fn of(root: u32) -> Tree {
        let processes = directories("/proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
        let parents: Vec<(u32, u32)> =
            processes.filter_map(|pid| Some((pid, fields(pid)?.get(1)?.parse().ok()?))).collect();
        let mut pids = vec![root];
        let mut next = 0;
        while let Some(&parent) = pids.get(next) {
            pids.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        Tree(pids)
    }

    pub(crate) fn cpu(&self) -> Result<Cpu, Failure> {
        let mut sum = Cpu::default();
        for &pid in &self.0 {
            let stat = fields(pid).ok_or_else(|| gone(pid))?;
            let ticks = |index: usize| stat.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            sum.user_ticks += ticks(11);
            sum.system_ticks += ticks(12);
            for task in directories(&format!("/proc/{pid}/task")) {
                let path = format!("/proc/{pid}/task/{task}/schedstat");
                let line = fs::read_to_string(&path).doing(format_args!("cannot read {path}"))?;
                let nanos = line.split(' ').next().and_then(|text| text.parse::<u64>().ok());
                sum.total_ns += nanos.ok_or_else(|| Failure::run(format!("{path} has no number")))?;
            }
        }
        Ok(sum)
    }

    /// Resident memory in bytes. From smaps, because the cheaper counters lag behind by some pages per core.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        let mut sum = 0;
        for &pid in &self.0 {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = fs::read_to_string(&path).doing(format_args!("cannot read {path}"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
            sum += 1024 * kib.ok_or_else(|| Failure::run(format!("{path} has no Rss")))?;
        }
        Ok(sum)
    }

    /// Asks the program to end, which tells its children.
    pub(crate) fn ask_to_end(&self) {
        self.0.iter().take(1).for_each(|&root| signal(root, Signal::TERM));
    }

    /// Ends all of them at once. They are ours and hold nothing worth saving.
    pub(crate) fn kill(&self) {
        self.0.iter().for_each(|&pid| signal(pid, Signal::KILL));
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

/// The fields of `/proc/PID/stat` after the name, which may itself contain blanks and parentheses: state,
/// parent, and so on.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn directories(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn gone(pid: u32) -> Failure {
    Failure::run(format!("process {pid} is gone in the middle of a measurement"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let tree = Tree::of(std::process::id());
        let before = tree.cpu().expect("our own times");
        let mut sum = 0_u64;
        while tree.cpu().expect("our own times").since(before).total_ns == 0 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(tree.resident().expect("our own memory") > 0);
    }
}
