//! How long to wait before a retry.

use std::time::Duration;

use fastrand::Rng;

/// Exponential backoff: each retry may wait twice as long as the one before, up to a limit, and jitter spreads
/// the waits (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The window of the first retry.
    pub base: Duration,
    /// No window grows beyond this.
    pub max: Duration,
    /// How a wait is drawn from its window.
    pub jitter: Jitter,
}

/// How a wait is drawn from its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Anywhere between nothing and the whole window. The default: it spreads clients best for the least work.
    #[default]
    Full,
}

impl Default for Backoff {
    /// 25 ms doubling up to 250 ms, as Envoy does: a client waits for this, so it is short.
    fn default() -> Backoff {
        Backoff { base: Duration::from_millis(25), max: Duration::from_millis(250), jitter: Jitter::Full }
    }
}

impl Backoff {
    /// The longest wait before retry number `retry`; the first is 1.
    pub fn window(&self, retry: u32) -> Duration {
        // 2⁶⁴ ns are 584 years, so what saturates here is far beyond any limit.
        let base_ns = u64::try_from(self.base.as_nanos()).unwrap_or(u64::MAX);
        let doubled_ns = base_ns.saturating_mul(2u64.saturating_pow(retry.saturating_sub(1)));
        Duration::from_nanos(doubled_ns).min(self.max)
    }

    /// The wait before retry number `retry`; the first is 1.
    pub fn wait(&self, retry: u32, rng: &mut Rng) -> Duration {
        let window_ns = self.window(retry).as_nanos() as u64;
        match self.jitter {
            Jitter::Full => Duration::from_nanos(rng.u64(..=window_ns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn windows_double_up_to_the_limit() {
        let backoff = Backoff { base: ms(100), max: ms(1000), jitter: Jitter::Full };
        let windows: Vec<Duration> = (1..=6).map(|retry| backoff.window(retry)).collect();
        assert_eq!(windows, [ms(100), ms(200), ms(400), ms(800), ms(1000), ms(1000)]);
    }

    #[test]
    fn full_jitter_is_uniform_over_the_window() {
        const DRAWS: usize = 20_000;
        let backoff = Backoff { base: ms(100), max: ms(1000), jitter: Jitter::Full };
        let mut rng = Rng::with_seed(11);
        let mut tenths = [0; 10];
        for _ in 0..DRAWS {
            let wait = backoff.wait(3, &mut rng);
            tenths[(wait.as_nanos() * 10 / ms(400).as_nanos()).min(9) as usize] += 1;
        }
        // Five standard deviations of a binomial count.
        let slack = 5.0 * (DRAWS as f64 * 0.1 * 0.9).sqrt();
        assert!(
            tenths.iter().all(|&count| (f64::from(count) - DRAWS as f64 / 10.0).abs() < slack),
            "{tenths:?}"
        );
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_window(base_ns: u64, base_s: u32, max_ns: u64, retry: u32, seed: u64) {
            let base = Duration::from_secs(base_s.into()) + Duration::from_nanos(base_ns);
            let max = Duration::from_nanos(max_ns);
            let backoff = Backoff { base, max, jitter: Jitter::Full };
            let wait = backoff.wait(retry, &mut Rng::with_seed(seed));
            prop_assert!(wait <= backoff.window(retry));
            prop_assert!(backoff.window(retry) <= max);
            prop_assert!(backoff.window(retry) <= backoff.window(retry.saturating_add(1)));
        }
    }
}
