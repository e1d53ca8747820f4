//! Answers from a policy instead of a server: which line of the configuration decides, and the smallest change that
//! would let the call through.

use forebay_config::{Origin, Place, Spanned};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::call::{Answer, Call, Credentials, Sent};
use super::checks::Block;
use super::departure::Rules;
use super::report::Report;
use super::verdict::Aspect;
use super::{Inquiry, advice, safelist};
use crate::names;
use crate::origin::OriginPattern;
use crate::origins::Origins;
use crate::policy::{Ask, Policy, Verdict};
use crate::settings::CorsSettings;

/// A policy with its name and the memory of where its settings stand.
#[derive(Clone, Copy)]
pub struct Configured<'a> {
    /// Of `[cors.NAME]`.
    pub name: &'a str,
    /// The table.
    pub settings: &'a CorsSettings,
    /// [`forebay_config::Loaded::place`].
    pub place: &'a dyn Fn(Origin) -> Place,
}

impl Configured<'_> {
    /// What a browser makes of a call to a route with this policy whose service answers 200.
    pub fn explain(&self, call: &Call) -> Report {
        // A shadow would answer like a service without CORS; what is asked is what it will say.
        let policy = Policy::new(&CorsSettings { shadow: false, ..self.settings.clone() });
        let answered = Inquiry::new(call.clone()).run(|sent| Some(answer(&policy, sent)));
        // A policy answers everything; an inquiry that it left open would be one without an answer.
        let mut report = answered.unwrap_or_else(|_| Report::unanswered(call.clone()));
        report.policy = Some(self.name.to_owned());
        report.shadow = self.settings.shadow;
        self.name_lines(&mut report);
        if report.is_blocked() {
            report.fix = self.fix(call);
            report.advice = advice::of_script(call);
        }
        report
    }

    /// Puts the places of settings beside what they decide.
    fn name_lines(&self, report: &mut Report) {
        report.steps_mut().retain(|step| step.aspect != Aspect::Status);
        let (origin, method) = (report.call.origin.clone(), report.call.method.clone());
        let missing = self.missing_headers(&report.call);
        let are = if missing.len() == 1 { "is" } else { "are" };
        let missing = missing.join(", ");
        let wildcard = report.chromium.blocked.as_ref().is_some_and(|(block, _)| {
            matches!(block, Block::WildcardOriginNotAllowed | Block::PreflightWildcardOriginNotAllowed)
        });
        for step in report.steps_mut() {
            let (key, at) = match step.aspect {
                Aspect::Origin => ("origins", self.origin_line(&origin)),
                Aspect::Method => ("methods", self.settings.methods.origin),
                Aspect::Headers => ("headers", self.settings.headers.origin),
                Aspect::Credentials => ("credentials", self.settings.credentials.origin),
                Aspect::MaxAge => ("max_age", self.settings.max_age.origin),
                _ => continue,
            };
            let place = self.line(at);
            match (step.passed, step.aspect) {
                (true, Aspect::Origin) => step.text = format!("{}, {place}", step.text),
                (true, _) => {}
                (false, Aspect::Credentials) => {
                    step.text = format!("cors.{}.credentials is false, {place}", self.name);
                }
                (false, Aspect::Origin) if wildcard => {
                    step.text = format!("cors.{}.origins is \"*\" without `credentials`, {place}", self.name);
                }
                // The origin is right, and the method is what the policy does not let it use.
                (false, Aspect::Origin) if self.lists(&origin) => {
                    let place = self.line(self.settings.methods.origin);
                    step.text = format!("{method} is not in cors.{}.methods, {place}", self.name);
                }
                (false, Aspect::Origin) => {
                    step.text = format!("{origin} is not in cors.{}.{key}, {place}", self.name)
                }
                (false, Aspect::Method) => {
                    step.text = format!("{method} is not in cors.{}.{key}, {place}", self.name)
                }
                (false, _) => step.text = format!("{missing} {are} not in cors.{}.{key}, {place}", self.name),
            }
        }
    }

    fn is_any(&self) -> bool {
        self.settings.origins.iter().any(|origin| **origin == OriginPattern::Any)
    }

    fn lists(&self, origin: &str) -> bool {
        let all = Origins::new(self.settings.origins.iter().map(|origin| &origin.value));
        all.find(origin.as_bytes()).is_some()
    }

    /// The entry that lets an origin in, else the list.
    fn origin_line(&self, origin: &str) -> Origin {
        let covers = |entry: &&Spanned<OriginPattern>| {
            Origins::new([&entry.value].into_iter()).find(origin.as_bytes()).is_some()
        };
        self.settings.origins.iter().find(covers).map_or(self.settings.origins.origin, |entry| entry.origin)
    }

    /// `forebay.toml:55`
    fn line(&self, at: Origin) -> String {
        match (self.place)(at) {
            Place::File { path, line, .. } => format!("{}:{line}", path.display()),
            other => other.to_string(),
        }
    }

    /// Headers that the call needs and the policy does not allow.
    fn missing_headers(&self, call: &Call) -> Vec<String> {
        let sendable: Vec<_> =
            call.headers.iter().filter(|(name, _)| !names::is_forbidden_header(name)).cloned().collect();
        let mut needed = safelist::find_unsafe(Rules::Standard, &sendable, &mut Vec::new()).names;
        let listed = |name: &str| self.settings.headers.iter().any(|listed| listed.as_str() == name);
        let any = self.settings.headers.iter().any(|listed| listed.is_any());
        needed.retain(|name| !listed(name) && (!any || name == "authorization"));
        needed
    }

    /// Lines that have to read like this for the call to succeed; none where no setting could help.
    fn fix(&self, call: &Call) -> Vec<String> {
        let settings = self.settings;
        let include = call.credentials == Credentials::Include;
        let mut lines = Vec::new();
        if advice::of_script(call).is_some() || call.mode != super::Mode::Cors {
            return lines;
        }
        if !self.lists(&call.origin) || (include && self.is_any() && !*settings.credentials) {
            if OriginPattern::parse(&call.origin).is_err() {
                return lines;
            }
            let listed = settings.origins.iter().filter(|origin| ***origin != OriginPattern::Any);
            let listed: Vec<String> = listed.map(|origin| origin.to_string()).collect();
            lines.push(list("origins", &listed, std::slice::from_ref(&call.origin)));
            if call.origin == "null" {
                lines.push("dangerously_allow_null_origin = true".into());
            }
        }
        let policy = Policy::new(settings);
        if !policy.allows_method(&call.method) {
            let listed: Vec<String> = settings.methods.iter().map(|method| method.to_string()).collect();
            lines.push(list("methods", &listed, std::slice::from_ref(&call.method)));
        }
        let missing = self.missing_headers(call);
        if !missing.is_empty() {
            let listed: Vec<String> = settings.headers.iter().map(|header| header.to_string()).collect();
            lines.push(list("headers", &listed, &missing));
        }
        if include && !*settings.credentials {
            lines.push("credentials = true".into());
            // With credentials `*` would be the name of a header.
            if settings.expose.iter().any(|name| name.is_any()) {
                let listed = settings.expose.iter().filter(|name| !name.is_any());
                lines.push(list("expose", &listed.map(|name| name.to_string()).collect::<Vec<_>>(), &[]));
            }
        }
        lines
    }
}

/// `headers = ["authorization", "x-cart"]`
pub(crate) fn list(key: &str, listed: &[String], added: &[String]) -> String {
    let quoted: Vec<String> = listed.iter().chain(added).map(|name| format!("\"{name}\"")).collect();
    format!("{key} = [{}]", quoted.join(", "))
}

fn answer(policy: &Policy, sent: &Sent) -> Answer {
    let mut fields = HeaderMap::new();
    for (name, value) in &sent.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            fields.append(name, value);
        }
    }
    let (scheme, rest) = sent.url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let ask = Ask { method: &sent.method, scheme, authority };
    let (status, headers) = match policy.decide(&ask, &fields) {
        Verdict::Answer(preflight) => (preflight.status(), collect(&preflight.edits())),
        Verdict::Pass(decision) => (200, collect(&policy.edits(&decision))),
    };
    Answer { status, headers }
}

fn collect(edits: &crate::Edits<'_>) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    edits.fields().map(|(name, value)| (name.to_owned(), text(value))).collect()
}
