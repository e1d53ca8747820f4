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
use crate::services;
use crate::state::{AdminState, GenerationStatus, Verdict};

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
    use std::time::UNIX_EPOCH;

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
