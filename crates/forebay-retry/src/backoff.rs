//! How long to wait before a retry.

use std::time::Duration;

use fastrand::Rng;
use forebay_config::Settings;

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

/// How a wait is drawn, by the names of the article.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Settings)]
pub enum Jitter {
    /// The whole window, always: clients that failed together come back together.
    None,
    /// Anywhere between nothing and the whole window. The default: it spreads clients best for the least work.
    #[default]
    Full,
    /// Half the window, and anywhere within the other half: never at once.
    Equal,
    /// Anywhere between `base` and three times the wait before: windows that follow chance instead of the count.
    Decorrelated,
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

    /// The wait before retry number `retry`, of which the first is 1. `before` is the wait before the last one.
    pub fn wait(&self, retry: u32, before: Duration, rng: &mut Rng) -> Duration {
        let window = self.window(retry);
        match self.jitter {
            Jitter::None => window,
            Jitter::Full => between(Duration::ZERO, window, rng),
            Jitter::Equal => between(window / 2, window, rng),
            Jitter::Decorrelated => {
                let longest = before.max(self.base).saturating_mul(3);
                between(self.base, longest, rng).min(self.max)
            }
        }
    }
}

/// Durations beyond 584 years count as that.
fn between(least: Duration, most: Duration, rng: &mut Rng) -> Duration {
    let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.u64(ns(least)..=ns(most).max(ns(least))))
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
            let wait = backoff.wait(3, Duration::ZERO, &mut rng);
            tenths[(wait.as_nanos() * 10 / ms(400).as_nanos()).min(9) as usize] += 1;
        }
        // Five standard deviations of a binomial count.
        let slack = 5.0 * (DRAWS as f64 * 0.1 * 0.9).sqrt();
        assert!(
            tenths.iter().all(|&count| (f64::from(count) - DRAWS as f64 / 10.0).abs() < slack),
            "{tenths:?}"
        );
    }

    /// Waits of six retries in a row, each told the one before, on average over many requests.
    #[track_caller]
    fn check_means(jitter: Jitter, expected_ms: &[u64]) {
        const REQUESTS: u32 = 20_000;
        let backoff = Backoff { base: ms(100), max: ms(1000), jitter };
        let mut rng = Rng::with_seed(23);
        let mut sums = [Duration::ZERO; 6];
        for _ in 0..REQUESTS {
            let mut before = Duration::ZERO;
            for (retry, sum) in (1..).zip(&mut sums) {
                before = backoff.wait(retry, before, &mut rng);
                *sum += before;
            }
        }
        for (sum, &expected) in sums.iter().zip(expected_ms) {
            let share = (*sum / REQUESTS).as_secs_f64() / ms(expected).as_secs_f64();
            assert!((0.98..1.02).contains(&share), "{jitter:?}: {:?} of {expected} ms", *sum / REQUESTS);
        }
    }

    #[test]
    fn sequences_are_those_of_the_article() {
        check_means(Jitter::None, &[100, 200, 400, 800, 1000, 1000]);
        check_means(Jitter::Full, &[50, 100, 200, 400, 500, 500]);
        check_means(Jitter::Equal, &[75, 150, 300, 600, 750, 750]);
        // The middle of 100 and three times the wait before; from the third on the limit cuts some off.
        check_means(Jitter::Decorrelated, &[200, 350]);
    }

    #[test]
    fn without_jitter_a_wait_is_its_window() {
        let backoff = Backoff { base: ms(100), max: ms(1000), jitter: Jitter::None };
        let waits = (1..=5).map(|retry| backoff.wait(retry, ms(7), &mut Rng::with_seed(1)));
        assert_eq!(waits.collect::<Vec<_>>(), [ms(100), ms(200), ms(400), ms(800), ms(1000)]);
    }

    #[test]
    fn decorrelated_waits_follow_the_wait_before() {
        let backoff = Backoff { base: ms(100), max: ms(1000), jitter: Jitter::Decorrelated };
        let mut rng = Rng::with_seed(5);
        let mut longest = |before| (0..2000).map(|_| backoff.wait(1, before, &mut rng)).max().unwrap();
        // Three times the wait before, or the base where there was none.
        assert!((ms(295)..=ms(300)).contains(&longest(Duration::ZERO)));
        assert!((ms(590)..=ms(600)).contains(&longest(ms(200))));
        assert_eq!(longest(ms(900)), ms(1000));
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(
            base_ns: u64,
            base_s: u32,
            max_ns: u64,
            before_ns: u64,
            retry: u32,
            seed: u64,
        ) {
            let base = Duration::from_secs(base_s.into()) + Duration::from_nanos(base_ns);
            let (max, before) = (Duration::from_nanos(max_ns), Duration::from_nanos(before_ns));
            for jitter in [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
                let backoff = Backoff { base, max, jitter };
                let window = backoff.window(retry);
                let wait = backoff.wait(retry, before, &mut Rng::with_seed(seed));
                let (least, most) = match jitter {
                    Jitter::None => (window, window),
                    Jitter::Full => (Duration::ZERO, window),
                    Jitter::Equal => (window / 2, window),
                    Jitter::Decorrelated => (base.min(max), max),
                };
                prop_assert!((least..=most).contains(&wait), "{jitter:?}: {wait:?} of {least:?} to {most:?}");
                prop_assert!(window <= max && window <= backoff.window(retry.saturating_add(1)));
            }
        }
    }
}
