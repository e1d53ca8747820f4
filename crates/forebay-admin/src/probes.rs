//! `/livez` and `/readyz`, in the form Kubernetes' own components answer.
//!
//! A service without an eligible endpoint warns and never makes the process unready: one dead service must not take the
//! whole gateway, with all the others, out of rotation.

use std::fmt;

use forebay_http::problem::Problem;
use forebay_shutdown::Phase;

use crate::asked::Asked;
use crate::plain::plain;
use crate::reply::Reply;
use crate::services::{self, age};
use crate::state::{AdminState, AuthMaterial, GenerationStatus, Verdict};

/// The process answers, so it lives: a liveness probe that looks further restarts what a restart does not mend.
pub(crate) fn livez(_state: &AdminState, _asked: Asked<'_>) -> Result<Reply, Problem> {
    Ok(Reply::text("ok\n"))
}

pub(crate) fn readyz(state: &AdminState, asked: Asked<'_>) -> Result<Reply, Problem> {
    let readiness = readiness(state);
    let status = if readiness.is_ready() { 200 } else { 503 };
    let text = match (asked.has("verbose"), readiness.is_ready()) {
        (true, _) => readiness.to_string(),
        (false, true) => "ok\n".to_owned(),
        (false, false) => "not ready\n".to_owned(),
    };
    Ok(Reply::text(text).with_status(status))
}

fn readiness(state: &AdminState) -> Readiness {
    let mut findings = vec![
        Finding::new("accepting", accepting(state.shutdown.phase())),
        Finding::new("configuration", configuration(&(state.generation)())),
    ];
    findings.extend(state.checks.iter().map(|(name, check)| Finding::new(*name, check())));
    findings.extend(services::views(state).iter().map(|service| {
        let verdict = service.trouble().map_or(Verdict::Ok(String::new()), Verdict::Warning);
        Finding::new(format!("service {}", service.name), verdict)
    }));
    findings.extend(
        (state.auth)()
            .iter()
            .map(|material| Finding::new(format!("auth {}", material.policy), auth(material))),
    );
    Readiness(findings)
}

fn accepting(phase: Phase) -> Verdict {
    let stopping = |how: &str| Verdict::Failed(format!("stopping; {how}"));
    match phase {
        Phase::Running => Verdict::Ok(String::new()),
        Phase::LameDuck => stopping("requests are still served, and new ones should go elsewhere"),
        Phase::Draining => stopping("no new connection is accepted, and requests in flight finish"),
        Phase::Stopped => stopping("what is left is cut off"),
    }
}

fn configuration(status: &GenerationStatus) -> Verdict {
    let number = status.number;
    match &status.last_reload {
        _ if number == 0 => Verdict::Failed("none is in force yet".to_owned()),
        Some(reload) if reload.outcome.is_err() => Verdict::Warning(format!(
            "the last reload was rejected and generation {number} stays in force; GET /generation says why"
        )),
        _ => Verdict::Ok(format!("generation {number}")),
    }
}

/// Without keys a policy refuses everybody it is asked about, and others may well be in order.
fn auth(material: &AuthMaterial) -> Verdict {
    let since = material.failing.as_ref().map(|(since, why)| format!("{why} (for {})", age(*since)));
    let old = material.age.map(age);
    match (old, material.is_usable, since) {
        (Some(old), true, None) => Verdict::Ok(format!("{old} old")),
        (Some(old), true, Some(since)) => Verdict::Warning(format!("{old} old, still counts: {since}")),
        (Some(old), false, since) => {
            let since = since.map_or_else(String::new, |since| format!(": {since}"));
            Verdict::Warning(format!(
                "refuses everybody, what it knows is {old} old, too old to count{since}"
            ))
        }
        (None, _, Some(since)) => {
            Verdict::Warning(format!("refuses everybody, it never had anything to decide by: {since}"))
        }
        (None, _, None) => Verdict::Ok("waits for its first keys".to_owned()),
    }
}

/// Everything that was looked at, in the order shown. Displays as Kubernetes' `?verbose` does.
struct Readiness(Vec<Finding>);

struct Finding {
    name: String,
    verdict: Verdict,
}

impl Finding {
    fn new(name: impl Into<String>, verdict: Verdict) -> Finding {
        Finding { name: name.into(), verdict }
    }
}

impl Readiness {
    fn is_ready(&self) -> bool {
        !self.0.iter().any(|finding| matches!(finding.verdict, Verdict::Failed(_)))
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { name, verdict } in &self.0 {
            let (mark, word, words) = match verdict {
                Verdict::Ok(words) => ('+', "ok", words),
                Verdict::Warning(words) => ('!', "warning", words),
                Verdict::Failed(words) => ('-', "failed", words),
            };
            let colon = if words.is_empty() { "" } else { ": " };
            writeln!(f, "[{mark}]{name} {word}{colon}{}", plain(words))?;
        }
        writeln!(f, "readyz check {}", if self.is_ready() { "passed" } else { "failed" })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::state::Reload;

    #[track_caller]
    fn check(verdicts: Vec<(&str, Verdict)>, expected: &str) {
        let findings = verdicts.into_iter().map(|(name, verdict)| Finding::new(name, verdict));
        assert_eq!(Readiness(findings.collect()).to_string(), expected);
    }

    #[test]
    fn a_warning_leaves_it_ready_and_a_failure_does_not() {
        let ok = || Verdict::Ok(String::new());
        let warning = || Verdict::Warning("no endpoint".to_owned());
        let failed = || Verdict::Failed("disk full".to_owned());
        check(vec![("a", ok())], "[+]a ok\nreadyz check passed\n");
        check(
            vec![("a", Verdict::Ok("held".to_owned())), ("b", warning())],
            "[+]a ok: held\n[!]b warning: no endpoint\nreadyz check passed\n",
        );
        let hostile = Verdict::Warning("\u{1b}[2J\n[+]b".to_owned());
        check(vec![("a", hostile)], "[!]a warning: ?[2J?[+]b\nreadyz check passed\n");
        check(
            vec![("a", failed()), ("b", warning())],
            "[-]a failed: disk full\n[!]b warning: no endpoint\nreadyz check failed\n",
        );
    }

    #[test]
    fn a_policy_without_keys_says_since_when_and_why() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let check = |age: Option<u64>, is_usable, failing: Option<u64>, expected: (&str, &str)| {
            let failing = failing.map(|since| (hours(since), "the issuer answers 503".to_owned()));
            let policy = "customers".to_owned();
            let verdict = auth(&AuthMaterial { policy, age: age.map(hours), is_usable, failing });
            let told = match &verdict {
                Verdict::Ok(words) => ("ok", &**words),
                Verdict::Warning(words) => ("warning", &**words),
                Verdict::Failed(words) => ("failed", &**words),
            };
            assert_eq!(told, expected);
        };
        check(None, false, None, ("ok", "waits for its first keys"));
        check(Some(0), true, None, ("ok", "0s old"));
        let still = "3h 0m old, still counts: the issuer answers 503 (for 2h 0m)";
        check(Some(3), true, Some(2), ("warning", still));
        let over = "refuses everybody, what it knows is 1d 1h old, too old to count: the issuer answers 503 (for 1d 0h)";
        check(Some(25), false, Some(24), ("warning", over));
        let never =
            "refuses everybody, it never had anything to decide by: the issuer answers 503 (for 1h 0m)";
        check(None, false, Some(1), ("warning", never));
    }

    #[test]
    fn only_a_running_process_is_accepting() {
        assert!(matches!(accepting(Phase::Running), Verdict::Ok(_)));
        for phase in [Phase::LameDuck, Phase::Draining, Phase::Stopped] {
            assert!(matches!(accepting(phase), Verdict::Failed(_)), "{phase:?}");
        }
    }

    #[test]
    fn a_rejected_reload_warns_while_the_former_configuration_serves() {
        let status = |number, outcome| GenerationStatus {
            number,
            since: UNIX_EPOCH,
            last_reload: Some(Reload { at: UNIX_EPOCH, outcome }),
        };
        let rejected = || Err("error: unknown key".to_owned());
        assert!(matches!(configuration(&status(0, Ok(()))), Verdict::Failed(_)));
        assert!(matches!(configuration(&status(1, rejected())), Verdict::Warning(_)));
        assert!(matches!(configuration(&status(2, Ok(()))), Verdict::Ok(_)));
    }
}
