//! A verdict as text for people and as JSON for scripts.

use std::fmt;

use serde_json::{Value, json};

use super::advice;
use super::call::Call;
use super::departure::Departure;
use super::verdict::{READABLE, Reads, Step, Verdict};

/// Width of the column with the names of the checks.
const NAME_WIDTH: usize = 16;

/// What a browser makes of a call, by Chromium's rules and by the standard's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was asked about.
    pub call: Call,
    /// By Chromium's rules: what users will see.
    pub chromium: Verdict,
    /// By the standard's.
    pub standard: Verdict,
    /// Where they differ, and it matters here.
    pub departures: Vec<Departure>,
    /// Of `[cors.NAME]`, when a policy answered.
    pub policy: Option<String>,
    /// Whether that policy only watches: the verdict is what it would come to without `shadow`.
    pub shadow: bool,
    /// Lines of that table that would let the call through.
    pub fix: Vec<String>,
    /// What to change in the script, or at a server that is not ours.
    pub advice: Option<String>,
}

impl Report {
    pub(super) fn new(call: Call, chromium: Verdict, standard: Verdict) -> Report {
        let mut departures = chromium.departures.clone();
        for departure in &standard.departures {
            Departure::note(*departure, &mut departures);
        }
        let blocked = chromium.blocked.as_ref().or(standard.blocked.as_ref());
        let advice = blocked.map(|(block, detail)| advice::of_server(&call, *block, detail));
        Report { call, chromium, standard, departures, policy: None, shadow: false, fix: Vec::new(), advice }
    }

    pub(super) fn unanswered(call: Call) -> Report {
        let verdict = Verdict {
            blocked: None,
            causes: Vec::new(),
            steps: Vec::new(),
            reads: Reads::Nothing,
            dropped: Vec::new(),
            departures: Vec::new(),
        };
        Report::new(call, verdict.clone(), verdict)
    }

    /// Whether some browser blocks it.
    pub fn is_blocked(&self) -> bool {
        self.chromium.blocked.is_some() || self.standard.blocked.is_some()
    }

    /// Whether the two differ in their outcome or in whether they ask.
    pub fn differs(&self) -> bool {
        self.chromium.blocked != self.standard.blocked
            || self.chromium.causes.is_empty() != self.standard.causes.is_empty()
    }

    /// 0 when every browser lets it through, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.is_blocked())
    }

    pub(super) fn steps_mut(&mut self) -> &mut Vec<Step> {
        // The standard's steps are shown only where they differ, and then by its own words.
        &mut self.chromium.steps
    }

    /// The report for scripts. `verdict` and `standard` have the same shape.
    pub fn to_json(&self) -> Value {
        json!({
            "origin": self.call.origin,
            "method": self.call.method,
            "url": self.call.url,
            "policy": self.policy,
            "shadow": self.shadow,
            "blocked": self.is_blocked(),
            "chromium": verdict_json(&self.chromium),
            "standard": verdict_json(&self.standard),
            "departures": self.departures.iter().map(|departure| departure.text()).collect::<Vec<_>>(),
            "fix": self.fix,
            "advice": self.advice,
        })
    }
}

fn verdict_json(verdict: &Verdict) -> Value {
    let steps: Vec<Value> = verdict
        .steps
        .iter()
        .map(|step| {
            json!({
                "check": step.aspect.text(),
                "of": if step.is_preflight { "preflight" } else { "response" },
                "passed": step.passed,
                "text": step.text,
            })
        })
        .collect();
    let (readable, hidden) = match &verdict.reads {
        Reads::Headers { readable, hidden, all: false } => (json!(readable), json!(hidden)),
        Reads::Headers { hidden, all: true, .. } => (json!("all"), json!(hidden)),
        Reads::Everything => (json!("all"), json!([])),
        Reads::Nothing | Reads::Opaque => (json!([]), Value::Null),
    };
    json!({
        "blocked": verdict.blocked.as_ref().map(|(block, _)| block.name()),
        "detail": verdict.blocked.as_ref().map(|(_, detail)| detail),
        "preflight": verdict.causes.iter().map(|cause| cause.to_string()).collect::<Vec<_>>(),
        "steps": steps,
        "readable_headers": readable,
        "hidden_headers": hidden,
        "dropped_headers": verdict.dropped,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.chromium;
        writeln!(f, "{}", headline(shown))?;
        if self.differs() {
            writeln!(f, "by the standard {}", headline(&self.standard))?;
        }
        line(f, preflight_name(shown), &preflight_text(shown))?;
        if self.differs() && preflight_text(shown) != preflight_text(&self.standard) {
            line(f, "by the standard", &preflight_text(&self.standard))?;
        }
        for name in &shown.dropped {
            line(f, "dropped", &format!("{name}: browsers do not let scripts set it"))?;
        }
        let steps = if shown.blocked.is_none() && self.standard.blocked.is_some() {
            &self.standard.steps
        } else {
            &shown.steps
        };
        let mut was_preflight = true;
        for (number, step) in steps.iter().enumerate() {
            let word = if step.passed { "pass" } else { "FAIL" };
            let response = was_preflight && !step.is_preflight && !shown.causes.is_empty();
            was_preflight = step.is_preflight;
            let note = if response { "response: " } else { "" };
            let name = format!("{} {}", number + 1, step.aspect.text());
            writeln!(f, "  {name:NAME_WIDTH$}   {word}   {note}{}", step.text)?;
        }
        if let Some(text) = reads_text(&shown.reads) {
            line(f, "readable", &text)?;
        }
        if let Reads::Headers { hidden, .. } = &shown.reads
            && hidden.iter().any(|name| is_telling(name))
        {
            let hidden: Vec<&str> =
                hidden.iter().filter(|name| is_telling(name)).map(|name| &**name).collect();
            line(f, "hidden", &hidden.join(", "))?;
        }
        if self.shadow {
            line(
                f,
                "shadow",
                "the policy blocks nothing yet: until then the service decides, ask with --live",
            )?;
        }
        for departure in &self.departures {
            line(f, "departure", departure.text())?;
        }
        for fix in self.fix.iter().chain(&self.advice) {
            writeln!(f, "fix: {fix}")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {name:NAME_WIDTH$}   {text}")
}

fn headline(verdict: &Verdict) -> String {
    match &verdict.blocked {
        None => match verdict.reads {
            Reads::Opaque => "sent, and nothing to read: mode is no-cors".into(),
            Reads::Everything => "allowed: the same origin, so CORS has no part in it".into(),
            _ => "allowed".into(),
        },
        Some((block, detail)) if detail.is_empty() => format!("blocked: {block}"),
        Some((block, detail)) => format!("blocked: {block} ({detail})"),
    }
}

fn preflight_name(verdict: &Verdict) -> &'static str {
    if verdict.causes.is_empty() { "no preflight" } else { "preflight needed" }
}

fn preflight_text(verdict: &Verdict) -> String {
    let causes: Vec<String> = verdict.causes.iter().map(|cause| cause.to_string()).collect();
    match (causes.is_empty(), &verdict.reads) {
        (false, _) => causes.join("; "),
        (true, Reads::Everything) => "nobody's permission is needed".into(),
        (true, _) => "method and headers are those of a form".into(),
    }
}

fn reads_text(reads: &Reads) -> Option<String> {
    match reads {
        Reads::Nothing => None,
        Reads::Opaque => Some("nothing, not even the status".into()),
        Reads::Everything => Some("everything".into()),
        Reads::Headers { all: true, .. } => Some("status, body, every header but set-cookie".into()),
        Reads::Headers { readable, .. } => {
            let more: Vec<&str> =
                readable.iter().map(|name| &**name).filter(|name| !READABLE.contains(name)).collect();
            Some(match more.is_empty() {
                true => "status, body, the seven usual headers".into(),
                false => format!("status, body, the seven usual headers, {}", more.join(", ")),
            })
        }
    }
}

/// Headers whose absence a script's author would notice.
fn is_telling(name: &str) -> bool {
    !name.starts_with("access-control-")
        && !matches!(
            name,
            "vary"
                | "date"
                | "connection"
                | "timing-allow-origin"
                | "cross-origin-resource-policy"
                | "server"
                | "via"
        )
}
