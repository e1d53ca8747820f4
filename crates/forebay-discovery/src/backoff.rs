//! How long to wait before a failed lookup is tried again. Requests have their own, in forebay-retry.

use std::time::Duration;

/// The first wait.
pub const RETRY_BASE: Duration = Duration::from_millis(500);
/// The longest wait: what DNS sends back to life should serve within half a minute.
pub const RETRY_MAX: Duration = Duration::from_secs(30);

/// The wait after the `failures`-th failure in a row (from 1): doubled each time, and between half and all of
/// it, so that many lookups that failed together do not come back together.
pub(crate) fn wait(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = RETRY_BASE.saturating_mul(1 << doublings).min(RETRY_MAX);
    full.mul_f64(0.5 + rng.f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_are_never_short() {
        let mut rng = fastrand::Rng::with_seed(1);
        for (failures, full_ms) in [(1, 500), (2, 1000), (5, 8000), (7, 30_000), (u32::MAX, 30_000)] {
            let full = Duration::from_millis(full_ms);
            for _ in 0..100 {
                let wait = wait(failures, &mut rng);
                assert!(full / 2 <= wait && wait <= full, "{failures} failures: {wait:?}");
            }
        }
    }
}
