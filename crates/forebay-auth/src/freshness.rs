//! When material is fetched again, and until when it may be used: well before it is old, at once when a key is missed,
//! and further and further apart while whoever has it cannot be reached. Holds no clock.

use std::time::Duration;

use forebay_clock::Moment;

/// The first wait after a fetch that failed; doubled with each further one.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Between two fetches because of keys that are not known: strangers can name as many as they like.
pub(crate) const REFETCH_MIN: Duration = Duration::from_secs(10);

/// The state of one source.
#[derive(Clone, Debug)]
pub struct Freshness {
    refresh: Duration,
    keep: Duration,
    /// When the present material was fetched.
    fetched: Option<Moment>,
    /// When a fetch last began.
    tried: Option<Moment>,
    failures: u32,
    /// When the first of them ended.
    failing_since: Option<Moment>,
    /// That the present material is too old was told.
    is_told: bool,
    is_running: bool,
    /// Somebody misses a key.
    is_wanted: bool,
    /// When a fetch last began because of that.
    refetched: Option<Moment>,
}

impl Freshness {
    /// Of material that is fetched again after `refresh`, and used for `keep`.
    pub fn new(refresh: Duration, keep: Duration) -> Freshness {
        Freshness {
            refresh,
            keep,
            fetched: None,
            tried: None,
            failures: 0,
            failing_since: None,
            is_told: false,
            is_running: false,
            is_wanted: false,
            refetched: None,
        }
    }

    /// When the next fetch is due; [`Moment::NEVER`] while one runs.
    pub fn due(&self) -> Moment {
        if self.is_running {
            return Moment::NEVER;
        }
        let Some(tried) = self.tried else { return Moment::START };
        if self.failures > 0 {
            return tried + RETRY_MIN.saturating_mul(1 << (self.failures - 1).min(10)).min(RETRY_MAX);
        }
        let usual = tried + self.refresh;
        if !self.is_wanted {
            return usual;
        }
        self.refetched.map_or(Moment::START, |refetched| refetched + REFETCH_MIN).min(usual)
    }

    /// A fetch begins.
    pub fn begin(&mut self, now: Moment) {
        // The first fetch of all is nobody's doing, whoever waits for it.
        if self.is_wanted && self.fetched.is_some() {
            self.refetched = Some(now);
        }
        (self.tried, self.is_running, self.is_wanted) = (Some(now), true, false);
    }

    /// It brought material.
    pub fn succeeded(&mut self, now: Moment) {
        (self.fetched, self.failures, self.is_running) = (Some(now), 0, false);
        (self.failing_since, self.is_told) = (None, false);
    }

    /// It brought none.
    pub fn failed(&mut self, now: Moment) {
        (self.failures, self.is_running) = (self.failures.saturating_add(1), false);
        self.failing_since.get_or_insert(now);
    }

    /// True once when there was material and it has become too old to be used.
    pub fn runs_out(&mut self, now: Moment) -> bool {
        let is_news = self.runs_out_at() <= now;
        self.is_told |= is_news;
        is_news
    }

    /// When that is to be told.
    pub fn runs_out_at(&self) -> Moment {
        let is_open = self.fetched.is_some() && !self.is_told;
        if is_open { self.usable_until() } else { Moment::NEVER }
    }

    /// Whether one is under way.
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// Somebody misses a key. Whether a fetch that could bring it runs, or begins now; if not, one will come in time.
    pub fn want(&mut self, now: Moment) -> bool {
        if self.is_running {
            return true;
        }
        self.is_wanted = true;
        self.due() <= now
    }

    /// Whether the latest fetch that ended brought nothing.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Since when no fetch has brought anything; `None` when the latest did.
    pub fn failing_since(&self) -> Option<Moment> {
        self.failing_since
    }

    /// Until when the present material may be used.
    pub fn usable_until(&self) -> Moment {
        self.fetched.map_or(Moment::START, |fetched| fetched + self.keep)
    }

    /// How old it is; `None` when there never was any.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        self.fetched.map(|fetched| now.since(fetched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    fn fresh() -> Freshness {
        Freshness::new(Duration::from_secs(600), Duration::from_secs(86_400))
    }

    #[test]
    fn it_is_fetched_again_before_it_is_old() {
        let mut freshness = fresh();
        assert_eq!((freshness.due(), freshness.usable_until()), (Moment::START, Moment::START));
        freshness.begin(at(1));
        assert_eq!(freshness.due(), Moment::NEVER, "one fetch at a time");
        freshness.succeeded(at(2));
        assert_eq!((freshness.due(), freshness.usable_until()), (at(601), at(86_402)));
        assert_eq!(freshness.age(at(12)), Some(Duration::from_secs(10)));
    }

    #[test]
    fn during_an_outage_the_last_is_kept_and_tries_grow_rare() {
        let mut freshness = fresh();
        freshness.begin(at(0));
        freshness.succeeded(at(0));
        let mut now = freshness.due();
        let mut waits = Vec::new();
        for _ in 0..8 {
            freshness.begin(now);
            freshness.failed(now);
            waits.push(freshness.due().since(now).as_secs());
            now = freshness.due();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(freshness.usable_until(), at(86_400), "a failed fetch takes nothing away");
        assert_eq!(freshness.failing_since(), Some(at(600)), "the first of them");
        freshness.begin(now);
        freshness.succeeded(now);
        assert_eq!(freshness.due().since(now), Duration::from_secs(600));
        assert_eq!(freshness.failing_since(), None);
    }

    #[test]
    fn that_it_has_become_too_old_is_told_once() {
        let mut freshness = Freshness::new(Duration::from_secs(10), Duration::from_secs(60));
        assert!(!freshness.runs_out(at(1_000_000)), "there never was any");
        for start in [0, 1000] {
            freshness.begin(at(start));
            freshness.succeeded(at(start));
            freshness.failed(at(start + 10));
            assert_eq!(freshness.runs_out_at(), at(start + 60));
            let told = [59, 60, 61, 500].map(|later| freshness.runs_out(at(start + later)));
            assert_eq!(told, [false, true, false, false]);
            assert_eq!(freshness.runs_out_at(), Moment::NEVER);
        }
        let mut file = Freshness::new(Duration::from_secs(2), Duration::MAX);
        file.succeeded(at(0));
        assert!(!file.runs_out(at(1_000_000)), "a file never grows too old");
    }

    #[test]
    fn strangers_cannot_have_it_fetched_at_will() {
        let mut freshness = fresh();
        freshness.begin(at(0));
        assert!(freshness.want(at(0)), "one runs already");
        freshness.succeeded(at(0));
        let mut begun = 0;
        for second in 1..=60 {
            for _ in 0..100 {
                freshness.want(at(second));
            }
            if freshness.due() <= at(second) {
                begun += 1;
                freshness.begin(at(second));
                freshness.succeeded(at(second));
            }
        }
        assert_eq!(begun, 6);
    }

    #[test]
    fn who_waits_for_the_first_fetch_does_not_use_up_the_next() {
        let mut freshness = fresh();
        assert!(freshness.want(at(0)));
        freshness.begin(at(0));
        freshness.succeeded(at(0));
        assert!(freshness.want(at(1)));
    }

    #[test]
    fn a_key_that_is_missed_is_fetched_at_once_where_nothing_was_fetched_lately() {
        let mut freshness = fresh();
        freshness.begin(at(0));
        freshness.succeeded(at(0));
        assert!(freshness.want(at(1)), "the usual fetches do not count");
        freshness.begin(at(1));
        freshness.succeeded(at(1));
        assert!(!freshness.want(at(10)));
        assert_eq!(freshness.due(), at(11), "it comes in time");
        assert!(freshness.want(at(11)));
    }
}
