//! How long to wait before a child that ended is started again.

use std::time::Duration;

/// Waits that double with every early death. Without jitter: these are a few processes of one machine, and people who
/// watch want to know when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The first wait.
    pub base: Duration,
    /// No wait is longer.
    pub max: Duration,
    /// Who ran for so long has shown that it can: its next death counts as the first.
    pub stable_after: Duration,
}

impl Default for Restart {
    /// 1 s doubling up to 30 s: fast enough for a crash, slow enough for one that crashes at every start.
    fn default() -> Restart {
        Restart {
            base: Duration::from_secs(1),
            max: Duration::from_secs(30),
            stable_after: Duration::from_secs(10),
        }
    }
}

impl Restart {
    /// The wait after the `deaths`-th death in a row, from 1.
    pub fn wait(&self, deaths: u32) -> Duration {
        let doublings = deaths.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound() {
        let waits: Vec<u64> = (0..=7).map(|deaths| Restart::default().wait(deaths).as_secs()).collect();
        assert_eq!(waits, [1, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(Restart::default().wait(u32::MAX).as_secs(), 30);
    }
}
