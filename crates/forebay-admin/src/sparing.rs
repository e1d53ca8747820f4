//! How a service is spared, as `/services` shows it: its breaker, its limit of requests in flight, its budget of retries.

use forebay_clock::Moment;
use forebay_retry::BreakerStanding;
use serde_json::{Value, json};

use crate::services::age;
use crate::state::Sparing;

/// It at one moment.
#[derive(Debug)]
pub(crate) struct SparingView {
    /// What it is and how it stands.
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) document: Value,
    /// Why no request goes to the service, if none does.
    pub(crate) trouble: Option<String>,
}

impl SparingView {
    pub(crate) fn of(sparing: &Sparing, now: Moment) -> SparingView {
        let Sparing { breaker, concurrency, retries, .. } = sparing;
        let (left, of, window) = *retries;
        let mut rows = Vec::new();
        let mut row = |what: &str, standing: String| rows.push(vec![what.to_owned(), standing]);
        if let Some(breaker) = breaker {
            row("breaker", breaker_text(breaker, now));
        }
        if let Some((in_flight, limit)) = concurrency {
            row("concurrency", format!("{in_flight} in flight, {limit} may be"));
        }
        row("retries", format!("{left} of {of} left in {}", age(window)));
        let document = json!({
            "breaker": breaker.as_ref().map(|breaker| breaker_document(breaker, now)),
            "concurrency": concurrency.map(|(in_flight, limit)| json!({ "in_flight": in_flight, "limit": limit })),
            "retries": { "left": left, "of": of, "window_seconds": window.as_secs_f64() },
        });
        let trouble = match breaker {
            Some(BreakerStanding::Open { until, .. }) if now < *until => {
                Some(format!("left alone for {} more: too many requests failed", age(now.until(*until))))
            }
            _ => None,
        };
        SparingView { rows, document, trouble }
    }
}

fn breaker_text(breaker: &BreakerStanding, now: Moment) -> String {
    match *breaker {
        BreakerStanding::Closed { calls, failures, window } => {
            format!("closed: {failures} of {calls} requests failed in {}", age(window))
        }
        BreakerStanding::Open { since, until, times } => {
            let rest = match until <= now {
                true => "the next request is on trial".to_owned(),
                false => format!("{} more to go", age(now.until(until))),
            };
            let times = if times > 1 { format!(", the {times}. time in a row") } else { String::new() };
            format!("open for {}, {rest}{times}", age(now.since(since)))
        }
        BreakerStanding::HalfOpen { since, sent, good, needed, .. } => {
            format!(
                "half-open for {}: {sent} of {needed} requests on trial, {good} did well",
                age(now.since(since))
            )
        }
    }
}

fn breaker_document(breaker: &BreakerStanding, now: Moment) -> Value {
    let seconds = |since: Moment, until: Moment| (now.since(since).as_secs(), now.until(until).as_secs());
    match *breaker {
        BreakerStanding::Closed { calls, failures, window } => json!({
            "state": "closed",
            "calls": calls,
            "failures": failures,
            "window_seconds": window.as_secs_f64(),
        }),
        BreakerStanding::Open { since, until, times } => {
            let (since, until) = seconds(since, until);
            json!({ "state": "open", "for_seconds": since, "until_seconds": until, "times": times })
        }
        BreakerStanding::HalfOpen { since, until, sent, good, needed } => {
            let (since, until) = seconds(since, until);
            json!({
                "state": "half-open",
                "for_seconds": since,
                "until_seconds": until,
                "sent": sent,
                "good": good,
                "needed": needed,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(breaker: BreakerStanding, expected: &str, state: &str, trouble: Option<&str>) {
        let sparing = Sparing {
            service: "orders".to_owned(),
            breaker: Some(breaker),
            concurrency: Some((12, 40)),
            retries: (7, 10, Duration::from_secs(1)),
        };
        let view = SparingView::of(&sparing, at(10));
        let rows: Vec<String> = view.rows.iter().map(|row| row.join(" ")).collect();
        assert_eq!(
            rows,
            [
                &format!("breaker {expected}"),
                "concurrency 12 in flight, 40 may be",
                "retries 7 of 10 left in 1s"
            ]
        );
        assert_eq!(view.document["breaker"]["state"], state);
        assert_eq!(view.document["concurrency"], json!({ "in_flight": 12, "limit": 40 }));
        assert_eq!(view.document["retries"], json!({ "left": 7, "of": 10, "window_seconds": 1.0 }));
        assert_eq!(view.trouble.as_deref(), trouble);
    }

    #[test]
    fn a_breaker_is_shown_with_its_times() {
        let window = Duration::from_secs(10);
        let closed = BreakerStanding::Closed { calls: 120, failures: 3, window };
        check(closed, "closed: 3 of 120 requests failed in 10s", "closed", None);
        let open = |until, times| BreakerStanding::Open { since: at(8), until: at(until), times };
        let trouble = Some("left alone for 3s more: too many requests failed");
        check(open(13, 1), "open for 2s, 3s more to go", "open", trouble);
        check(open(13, 2), "open for 2s, 3s more to go, the 2. time in a row", "open", trouble);
        check(open(10, 1), "open for 2s, the next request is on trial", "open", None);
        let half = BreakerStanding::HalfOpen { since: at(9), until: at(14), sent: 2, good: 1, needed: 3 };
        check(half, "half-open for 1s: 2 of 3 requests on trial, 1 did well", "half-open", None);
    }

    #[test]
    fn what_is_not_configured_is_not_shown() {
        let retries = (10, 10, Duration::from_secs(1));
        let sparing = Sparing { service: "a".to_owned(), breaker: None, concurrency: None, retries };
        let view = SparingView::of(&sparing, at(10));
        assert_eq!(view.rows.len(), 1);
        assert_eq!((&view.document["breaker"], &view.document["concurrency"]), (&Value::Null, &Value::Null));
    }
}
