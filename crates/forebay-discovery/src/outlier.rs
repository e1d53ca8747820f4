//! Outlier ejection: decides from what requests met whether an endpoint is left alone for a while. It asks nobody, so it
//! works without health checks, and sees what they do not: an endpoint that answers its checks and fails its work.
//!
//! Two rules, after Envoy's outlier detection. *In a row*: so many failures without a success between them, seen at once by
//! the core where the last one happens; failures to reach an endpoint are counted apart from its error answers. *Success
//! rate*: once an interval, an endpoint that fails far more often than the others of its service.
//!
//! What keeps a fleet alive: never more than a share of it is out, rounded down, so that of two at most one is and one alone
//! never; an ejection grows with each repetition and ends by itself.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forebay_clock::Moment;

use crate::endpoints::Endpoints;

/// How often success rates are compared and old ejections forgiven.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Requests an endpoint needs within an interval for its rate to mean something.
const REQUESTS_MIN: u32 = 100;
/// Endpoints whose rates mean something, below which there is no telling the odd one from the others.
const ENDPOINTS_MIN: usize = 5;
/// How many standard deviations below the mean is far: Envoy's default.
const DEVIATIONS: f64 = 1.9;
/// A rate this close to the mean is no outlier, however small the deviation: a fleet without failures has none.
const DISTANCE_MIN: f64 = 0.05;

/// When an endpoint is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierSettings {
    /// Error answers (5xx) in a row; 0 turns the rule off.
    pub errors: u32,
    /// Failures to reach it in a row (refused, broken, timed out); 0 turns the rule off.
    pub unreached: u32,
    /// Whether success rates are compared.
    pub compare_rates: bool,
    /// The first ejection; the n-th takes n times as long.
    pub base: Duration,
    /// No ejection takes longer.
    pub max: Duration,
    /// Of a service's endpoints, at most this many in a hundred are out at the same time.
    pub share_max_percent: u32,
}

impl Default for OutlierSettings {
    /// Five in a row as Envoy has it; half the fleet rather than its tenth, which would be none of the nine endpoints that
    /// most services have at most; 10 s rather than 30, because what fails again is out for longer.
    fn default() -> OutlierSettings {
        OutlierSettings {
            errors: 5,
            unreached: 5,
            compare_rates: true,
            base: Duration::from_secs(10),
            max: Duration::from_secs(300),
            share_max_percent: 50,
        }
    }
}

/// What one attempt met at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// A whole response head with this status.
    Answer(u16),
    /// No response: refused, broken off, or too slow.
    Nothing,
}

/// Why an endpoint is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// So many error answers in a row.
    Errors(u32),
    /// So many failures to reach it in a row.
    Unreached(u32),
    /// It fails far more often than the others.
    Rate,
}

/// An endpoint is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Until then.
    pub until: Moment,
    /// How often by now, less those that are forgiven.
    pub count: u32,
    /// Why.
    pub cause: Cause,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Errors(count) => write!(f, "{count} error answers in a row"),
            Cause::Unreached(count) => write!(f, "not reached {count} times in a row"),
            Cause::Rate => f.write_str("fails far more often than the others"),
        }
    }
}

/// What requests have met at one endpoint. Counted by all cores.
#[derive(Debug, Default)]
pub(crate) struct Record {
    errors_in_a_row: AtomicU32,
    unreached_in_a_row: AtomicU32,
    /// Of the present interval.
    requests: AtomicU32,
    failures: AtomicU32,
    ejections: AtomicU32,
    /// A moment in nanoseconds; 0 when nothing is wrong.
    ejected_until: AtomicU64,
    cause: AtomicU64,
}

impl Record {
    /// Counts; says why the endpoint should be left alone, if that is what it comes to. A few nanoseconds.
    pub(crate) fn count(&self, settings: &OutlierSettings, met: Met) -> Option<Cause> {
        self.requests.fetch_add(1, Relaxed);
        let (in_a_row, limit, cause): (_, _, fn(u32) -> Cause) = match met {
            Met::Answer(status) if status < 500 => {
                // Mostly reads: the line is shared by all cores.
                for in_a_row in [&self.errors_in_a_row, &self.unreached_in_a_row] {
                    if in_a_row.load(Relaxed) != 0 {
                        in_a_row.store(0, Relaxed);
                    }
                }
                return None;
            }
            Met::Answer(_) => {
                self.unreached_in_a_row.store(0, Relaxed);
                (&self.errors_in_a_row, settings.errors, Cause::Errors)
            }
            Met::Nothing => (&self.unreached_in_a_row, settings.unreached, Cause::Unreached),
        };
        self.failures.fetch_add(1, Relaxed);
        let count = in_a_row.fetch_add(1, Relaxed) + 1;
        if limit == 0 || count < limit {
            return None;
        }
        // From the beginning again: where the share is used up, only every so many failures ask for room.
        in_a_row.store(0, Relaxed);
        Some(cause(count))
    }

    pub(crate) fn is_ejected(&self, now: Moment) -> bool {
        self.ejected_until.load(Relaxed) > now.as_nanos()
    }

    /// The ejection in force.
    pub(crate) fn ejection(&self, now: Moment) -> Option<Ejection> {
        let until = Moment::from_nanos(self.ejected_until.load(Relaxed));
        let cause = unpack(self.cause.load(Relaxed));
        (until > now).then(|| Ejection { until, count: self.ejections.load(Relaxed), cause })
    }

    /// To be called with the service's leave: see [`room`].
    fn eject(&self, settings: &OutlierSettings, now: Moment, cause: Cause) -> Ejection {
        let count = self.ejections.fetch_add(1, Relaxed).saturating_add(1);
        let until = now + settings.base.saturating_mul(count).min(settings.max.max(settings.base));
        self.cause.store(pack(cause), Relaxed);
        self.ejected_until.store(until.as_nanos(), Relaxed);
        Ejection { until, count, cause }
    }

    /// Ends an ejection: a health check has found it well again.
    pub(crate) fn readmit(&self) {
        self.ejected_until.store(0, Relaxed);
    }

    /// Ends an interval: an endpoint that stayed in is forgiven one ejection. Gives what it met.
    fn end_interval(&self, now: Moment) -> (u32, u32) {
        if !self.is_ejected(now) {
            let _ = self.ejections.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
        }
        (self.requests.swap(0, Relaxed), self.failures.swap(0, Relaxed))
    }
}

fn pack(cause: Cause) -> u64 {
    match cause {
        Cause::Rate => 0,
        Cause::Errors(count) => 1 << 32 | u64::from(count),
        Cause::Unreached(count) => 2 << 32 | u64::from(count),
    }
}

fn unpack(packed: u64) -> Cause {
    match packed >> 32 {
        0 => Cause::Rate,
        1 => Cause::Errors(packed as u32),
        _ => Cause::Unreached(packed as u32),
    }
}

/// Of so many endpoints, how many may be out at the same time.
pub(crate) const fn out_max(settings: &OutlierSettings, endpoints: usize) -> usize {
    let share = endpoints * settings.share_max_percent as usize / 100;
    let all_but_one = endpoints.saturating_sub(1);
    if share < all_but_one { share } else { all_but_one }
}

/// Leaves an endpoint alone if its service can do without. One caller at a time, or two would share the last room.
pub(crate) fn eject(
    endpoints: &Endpoints,
    outlier: &Record,
    settings: &OutlierSettings,
    now: Moment,
    cause: Cause,
) -> Option<Ejection> {
    let out = endpoints.iter().filter(|endpoint| endpoint.live.record().is_ejected(now)).count();
    let has_room = !outlier.is_ejected(now) && out < out_max(settings, endpoints.len());
    has_room.then(|| outlier.eject(settings, now, cause))
}

/// Ends an interval for a service: compares success rates, and gives the places of those far below the others.
pub(crate) fn end_interval(endpoints: &Endpoints, settings: &OutlierSettings, now: Moment) -> Vec<usize> {
    let met = endpoints.iter().map(|endpoint| endpoint.live.record().end_interval(now));
    let rates: Vec<(usize, f64)> = met
        .enumerate()
        .filter(|(_, (requests, _))| *requests >= REQUESTS_MIN)
        .map(|(place, (requests, failures))| (place, 1.0 - f64::from(failures) / f64::from(requests)))
        .collect();
    if !settings.compare_rates || rates.len() < ENDPOINTS_MIN {
        return Vec::new();
    }
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = rates.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
    let least = mean - (DEVIATIONS * variance.sqrt()).max(DISTANCE_MIN);
    rates.into_iter().filter(|&(_, rate)| rate < least).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::endpoint::{Endpoint, Target};
    use crate::live::{EndpointId, LiveState};
    use crate::service::LiveEndpoint;
    use crate::service::{EndpointSet, LiveService};
    use crate::source::Source;

    const SETTINGS: OutlierSettings = OutlierSettings {
        errors: 3,
        unreached: 2,
        compare_rates: true,
        base: Duration::from_secs(10),
        max: Duration::from_secs(25),
        share_max_percent: 50,
    };

    fn second(number: u64) -> Moment {
        Moment::START + Duration::from_secs(number)
    }

    fn service(endpoints: usize) -> LiveService {
        let name: Arc<str> = "orders".into();
        let endpoint = |number: usize| {
            let source: Source = format!("127.0.0.1:{}", 9000 + number).parse().unwrap();
            let target = Target::new(format!("127.0.0.1:{}", 9000 + number).parse().unwrap());
            let live = Arc::new(LiveState::new(EndpointId(number as u32), Moment::START));
            LiveEndpoint { endpoint: Arc::new(Endpoint::new(&name, &source, &target)), live }
        };
        let service = LiveService::new(name.clone(), tokio::sync::mpsc::channel(1).0);
        service.publish(EndpointSet::new(1, (0..endpoints).map(endpoint).collect(), 0));
        service
    }

    fn met(service: &LiveService, place: usize, met: Met, now: Moment) -> Option<Ejection> {
        let set = service.latest();
        service.record(&set.endpoints()[place].live, &SETTINGS, met, now)
    }

    fn out(service: &LiveService, now: Moment) -> usize {
        service.latest().endpoints().iter().filter(|endpoint| endpoint.live.ejection(now).is_some()).count()
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_forgets_them() {
        let service = service(4);
        let results = [500, 503, 404, 500, 502, 500];
        let ejected =
            results.map(|status| met(&service, 1, Met::Answer(status), second(0)).map(|it| it.cause));
        assert_eq!(ejected, [None, None, None, None, None, Some(Cause::Errors(3))]);
        let live = service.latest().endpoints()[1].live.clone();
        assert!(!live.is_eligible(second(9)) && live.is_eligible(second(10)));
    }

    #[test]
    fn what_cannot_be_reached_is_counted_apart() {
        let service = service(4);
        assert_eq!(met(&service, 0, Met::Answer(500), second(0)), None);
        assert_eq!(met(&service, 0, Met::Answer(500), second(0)), None);
        assert_eq!(met(&service, 0, Met::Nothing, second(0)), None);
        let ejection = met(&service, 0, Met::Nothing, second(0)).unwrap();
        assert_eq!(ejection.cause.to_string(), "not reached 2 times in a row");
    }

    #[test]
    fn ejections_grow_are_bounded_and_are_forgiven() {
        let service = service(4);
        let mut at = 0;
        let mut lengths = Vec::new();
        for _ in 0..4 {
            met(&service, 2, Met::Nothing, second(at));
            let ejection = met(&service, 2, Met::Nothing, second(at)).unwrap();
            lengths.push((ejection.until - second(at)).as_secs());
            at += 30;
        }
        assert_eq!(lengths, [10, 20, 25, 25]);
        for _ in 0..3 {
            service.end_interval(&SETTINGS, second(at));
        }
        met(&service, 2, Met::Nothing, second(at));
        assert_eq!(met(&service, 2, Met::Nothing, second(at)).unwrap().count, 2);
    }

    #[test]
    fn a_fleet_keeps_its_share() {
        for (endpoints, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (9, 4)] {
            let service = service(endpoints);
            for place in (0..endpoints).chain(0..endpoints) {
                met(&service, place, Met::Nothing, second(0));
                met(&service, place, Met::Nothing, second(0));
            }
            assert_eq!(out(&service, second(1)), most, "of {endpoints}");
        }
        let timid = OutlierSettings { share_max_percent: 10, ..SETTINGS };
        let bold = OutlierSettings { share_max_percent: 100, ..SETTINGS };
        assert_eq!([2, 9, 10, 30].map(|count| out_max(&timid, count)), [0, 0, 1, 3]);
        assert_eq!([1, 2, 3].map(|count| out_max(&bold, count)), [0, 1, 2]);
    }

    #[test]
    fn the_odd_one_out_is_found_by_its_rate() {
        let rates = |failing: &[(usize, u32)], requests: u32| {
            let service = service(6);
            for place in 0..6 {
                let failures =
                    failing.iter().find(|(at, _)| *at == place).map_or(0, |(_, failures)| *failures);
                for number in 0..requests {
                    let every = requests.checked_div(failures).unwrap_or(u32::MAX);
                    met(&service, place, Met::Answer(if number % every == 1 { 500 } else { 200 }), second(1));
                }
            }
            service.end_interval(&SETTINGS, second(2)).into_iter().map(|(place, _)| place).collect::<Vec<_>>()
        };
        assert_eq!(rates(&[(3, 100)], 200), [3]);
        assert_eq!(rates(&[], 200), [0; 0], "nothing fails");
        assert_eq!(rates(&[(3, 4)], 200), [0; 0], "one in fifty is nothing out of the ordinary");
        assert_eq!(rates(&[(0, 100), (1, 100), (2, 100), (3, 100), (4, 100), (5, 100)], 200), [0; 0]);
        assert_eq!(rates(&[(3, 25)], 50), [0; 0], "too few to tell");
    }

    #[test]
    fn a_health_check_that_turns_brings_an_endpoint_back() {
        use crate::health::Health;
        let service = service(2);
        met(&service, 0, Met::Nothing, second(0));
        met(&service, 0, Met::Nothing, second(0));
        let live = service.latest().endpoints()[0].live.clone();
        live.judge(second(1), Health::Unhealthy, None, None);
        live.judge(second(2), Health::Healthy, None, None);
        assert!(live.is_eligible(second(2)) && live.ejection(second(2)).is_none());
    }

    #[test]
    fn cores_that_eject_at_the_same_time_keep_the_share() {
        let service = service(8);
        std::thread::scope(|scope| {
            for core in 0..4 {
                let service = &service;
                scope.spawn(move || {
                    for turn in 0..400 {
                        met(service, (turn + core) % 8, Met::Nothing, second(1));
                        assert!(out(service, second(1)) <= 4);
                    }
                });
            }
        });
        assert_eq!(out(&service, second(1)), 4);
    }

    proptest! {
        #[test]
        fn never_more_than_the_share_is_out(
            endpoints in 1..12usize,
            // Place, what it met, seconds until the next.
            steps in prop::collection::vec((0..12usize, 0..3u8, 0..8u64), 1..200),
        ) {
            let service = service(endpoints);
            let mut at = 0;
            for (place, what, pause) in steps {
                let what = [Met::Answer(200), Met::Answer(500), Met::Nothing][usize::from(what)];
                met(&service, place % endpoints, what, second(at));
                if pause == 7 {
                    service.end_interval(&SETTINGS, second(at));
                }
                prop_assert!(out(&service, second(at)) <= out_max(&SETTINGS, endpoints));
                at += pause;
            }
        }
    }
}
