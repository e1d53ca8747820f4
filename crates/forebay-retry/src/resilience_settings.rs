//! What else keeps a service's failures small, of a `[service.NAME]` table: hedges, a breaker, a limit that adapts.

use std::time::Duration;

use forebay_config::{Check, Node, Problem, Reader, Settings, Shape, Share, Value, format_duration};

use crate::{BreakerSettings, Hedge, HedgeAfter, LimitSettings, Opening};

/// Hedges, breaker and adaptive limit; each off unless it is written.
#[derive(Clone, Debug, Settings)]
pub struct ResilienceSettings {
    /// Sends a request that waits for long to a second endpoint as well. Only idempotent ones, out of the retry budget.
    #[setting(example = { after = "p95" })]
    pub hedge: Option<HedgeSettings>,
    /// Stops asking the whole service while most of what it is asked fails.
    #[setting(example = { failures = "50%" })]
    pub breaker: Option<BreakerTable>,
    /// Lets in only as many requests at once as the service is found to work on; the rest is refused, by priority.
    #[setting(example = { initial = 20 })]
    pub concurrency: Option<ConcurrencySettings>,
}

/// When a second attempt is sent while the first is waited for. A time alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "after")]
pub struct HedgeSettings {
    /// After this percentile of the service's latencies, as `"p95"`, or after a fixed time, as `"80ms"`.
    #[setting(default = "p95")]
    pub after: HedgeAfter,
    /// Never sooner.
    #[setting(default = "5ms", max = "1m")]
    pub at_least: Duration,
}

/// When the service is left alone, and for how long.
#[derive(Clone, Debug, Settings)]
#[settings(check = BreakerTable::check)]
pub struct BreakerTable {
    /// Opens when this share of requests fails in the end, retries included: no answer, or a 5xx other than 501 and 505.
    #[setting(default = "50%", min = "1%")]
    pub failures: Share,
    /// But not for fewer requests than this within `window`.
    #[setting(default = 20, min = 1, max = 100_000)]
    pub requests: u32,
    /// The time over which both are counted.
    #[setting(default = "10s", min = "1s", max = "1h")]
    pub window: Duration,
    /// How long it stays open the first time; twice as long after each failed trial.
    #[setting(default = "5s", min = "100ms", max = "1h")]
    pub open: Duration,
    /// Never longer.
    #[setting(default = "1m", min = "100ms", max = "1d")]
    pub open_max: Duration,
    /// Requests let through on trial then; all must do well to close it.
    #[setting(default = 3, min = 1, max = 63)]
    pub probes: u8,
}

/// Between what the limit of requests in flight moves.
#[derive(Clone, Debug, Settings)]
#[settings(check = ConcurrencySettings::check)]
pub struct ConcurrencySettings {
    /// The first limit, until something has been measured.
    #[setting(default = 20, min = 1, max = 100_000)]
    pub initial: u32,
    /// Never fewer.
    #[setting(default = 4, min = 1, max = 100_000)]
    pub min: u32,
    /// Never more.
    #[setting(default = 1000, min = 1, max = 100_000)]
    pub max: u32,
}

impl Value for HedgeAfter {
    const SHAPE: Shape = Shape::text("a percentile or a duration", "\"p95\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<HedgeAfter> {
        let is_percentile = |text: &str| text.starts_with(['p', 'P']);
        if node.as_str().is_some_and(is_percentile) {
            return reader.text(node, &Self::SHAPE, percentile);
        }
        Duration::read(node, reader).map(HedgeAfter::Time)
    }
}

/// `p50` to `p99.9`.
fn percentile(text: &str) -> Result<HedgeAfter, Problem> {
    let (whole, tenths) = text[1..].split_once('.').unwrap_or((&text[1..], "0"));
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole, 2) || !digits(tenths, 1) {
        return Err(Problem::new("is no percentile").help("write for example \"p95\" or \"p99.9\""));
    }
    match format!("{whole}{tenths}").parse() {
        Ok(permille @ 500..=999) => Ok(HedgeAfter::Percentile(permille)),
        _ => Err(Problem::new("is sooner than half of all answers")
            .note("a hedge is for the few that take long")
            .help("write \"p50\" to \"p99.9\"")),
    }
}

impl BreakerTable {
    fn check(&self, check: &mut Check<'_, '_>) {
        if self.open > self.open_max {
            check
                .error("open", "the first time may not be longer than the longest")
                .help(format!("write at most \"{}\"", format_duration(self.open_max)));
        }
    }

    /// What a breaker is made with.
    pub fn breaker(&self) -> BreakerSettings {
        let BreakerTable { open, open_max, probes, .. } = *self;
        BreakerSettings {
            failures_permille: self.failures.millionths() / 1000,
            calls_min: self.requests,
            window: self.window,
            opening: Opening { open, open_max, probes },
        }
    }
}

impl ConcurrencySettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if !(self.min..=self.max).contains(&self.initial) {
            check.error("initial", "the first limit is not between `min` and `max`").help(format!(
                "write {} to {}",
                self.min,
                self.max.max(self.min)
            ));
        }
    }

    /// What a limit is made with.
    pub fn limit(&self) -> LimitSettings {
        LimitSettings { initial: self.initial, min: self.min, max: self.max }
    }
}

impl HedgeSettings {
    /// The hedge they come to.
    pub fn hedge(&self) -> Hedge {
        Hedge { after: self.after, at_least: self.at_least }
    }
}

#[cfg(test)]
mod tests {
    use forebay_config::{Inputs, check_declarations, load};

    use super::*;
    use crate::RetrySettings;

    /// A service's table without the rest.
    #[derive(Debug, Settings)]
    struct Service {
        #[setting(flatten)]
        resilience: ResilienceSettings,
        /// Retries.
        retry: RetrySettings,
    }

    fn read(text: &str) -> Result<Service, String> {
        let file = |_: &std::path::Path| Ok(text.as_bytes().to_vec());
        let inputs = Inputs { file: Some("forebay.toml".into()), files: &file, ..Inputs::default() };
        load::<Service>(inputs).map(|loaded| loaded.value).map_err(|found| found.to_string())
    }

    #[track_caller]
    fn check_refused(text: &str, message: &str) {
        let found = read(text).expect_err(text);
        assert!(found.starts_with(&format!("error: {message}\n")), "{found}");
    }

    #[test]
    fn the_defaults_are_those_of_the_types() {
        assert_eq!(check_declarations::<Service>(), Vec::<String>::new());
        let read = read("hedge = {}\nbreaker = {}\nconcurrency = {}").unwrap();
        let ResilienceSettings { hedge, breaker, concurrency } = read.resilience;
        assert_eq!(hedge.unwrap().hedge().percentile_permille(), Some(950));
        assert_eq!(breaker.unwrap().breaker(), BreakerSettings::default());
        assert_eq!(concurrency.unwrap().limit(), LimitSettings::default());
        assert_eq!(read.retry.budget(), crate::BudgetSettings::default());
    }

    #[test]
    fn what_is_not_written_is_off() {
        let ResilienceSettings { hedge, breaker, concurrency } = read("").unwrap().resilience;
        assert!(hedge.is_none() && breaker.is_none() && concurrency.is_none());
    }

    #[test]
    fn a_hedge_is_after_a_percentile_or_a_time() {
        let after = |text: &str| read(text).unwrap().resilience.hedge.unwrap().after;
        assert_eq!(after("hedge = 'p99.9'"), HedgeAfter::Percentile(999));
        assert_eq!(after("hedge = { after = 'p50' }"), HedgeAfter::Percentile(500));
        assert_eq!(after("hedge = '80ms'"), HedgeAfter::Time(Duration::from_millis(80)));
        check_refused("hedge = 'p9'", "`hedge` is a percentile or a duration, and \"p9\" is no percentile");
        check_refused(
            "hedge = 'p40'",
            "`hedge` is a percentile or a duration, and \"p40\" is sooner than half of all answers",
        );
    }

    #[test]
    fn bounds_that_contradict_each_other_are_refused() {
        check_refused("breaker = { open = '2m' }", "the first time may not be longer than the longest");
        check_refused("concurrency = { initial = 2 }", "the first limit is not between `min` and `max`");
    }
}
