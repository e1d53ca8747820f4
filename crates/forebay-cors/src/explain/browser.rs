//! The browser's way through one call (Fetch, "HTTP fetch", "CORS-preflight fetch", "HTTP-redirect fetch"). Pure: it is
//! given the answers so far and says what it would send next, or how it ends.

use super::call::{Answer, Call, Credentials, Mode, Sent};
use super::checks::{self, Block, Failure};
use super::departure::{Departure, Rules};
use super::safelist::{self, Cause};
use super::url::Url;
use super::verdict::{Aspect, READABLE, Reads, Step, Verdict};
use crate::names::{self, SAFELISTED_METHODS};

/// Redirects that a browser follows (Fetch, "HTTP-redirect fetch").
const REDIRECTS_MAX: usize = 20;

/// How far the browser gets with the answers there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// It sends this and waits.
    Ask(Sent),
    /// It is done.
    Done(Verdict),
}

/// Walks as far as the answers lead.
pub fn walk(rules: Rules, call: &Call, answers: &[(Sent, Answer)]) -> Walk {
    let mut walker = Walker {
        rules,
        answers,
        credentials: call.credentials,
        method: call.method.clone(),
        headers: Vec::new(),
        verdict: Verdict {
            blocked: None,
            causes: Vec::new(),
            steps: Vec::new(),
            reads: Reads::Nothing,
            dropped: Vec::new(),
            departures: Vec::new(),
        },
    };
    match walker.run(call) {
        Ok(reads) => {
            walker.verdict.reads = reads;
            Walk::Done(walker.verdict)
        }
        Err(Stop::Ask(sent)) => Walk::Ask(sent),
        Err(Stop::Failed) => Walk::Done(walker.verdict),
    }
}

struct Walker<'a> {
    rules: Rules,
    answers: &'a [(Sent, Answer)],
    credentials: Credentials,
    method: String,
    headers: Vec<(String, String)>,
    verdict: Verdict,
}

enum Stop {
    Ask(Sent),
    /// The verdict says why.
    Failed,
}

impl Walker<'_> {
    fn run(&mut self, call: &Call) -> Result<Reads, Stop> {
        self.admit(call)?;
        let mut url = Url::parse(&call.url).ok_or(Stop::Failed)?;
        let mut origin = call.origin.clone();
        let mut is_foreign = false;
        for _ in 0..=REDIRECTS_MAX {
            let here = url.origin();
            is_foreign |= here != origin;
            let is_cors = is_foreign && call.mode == Mode::Cors;
            if is_foreign {
                self.enter(call, &origin, &url)?;
            }
            let answer = self.send(self.actual(&origin, &url))?;
            let next = self.leads_to(&url, &answer)?;
            if is_cors {
                self.cors_check(&origin, &answer, false)?;
            }
            let Some(next) = next else {
                return Ok(match is_foreign {
                    true if is_cors => self.readable(&answer),
                    true => Reads::Opaque,
                    false => Reads::Everything,
                });
            };
            self.follow(call, &origin, is_cors, &next)?;
            self.pass_or(Aspect::Redirect, false, Ok(()), format!("{} to {next}", answer.status))?;
            self.change(&answer, next.origin() != here, next.origin() != call.origin);
            // Whoever was redirected through a stranger is nobody in particular (Fetch, "redirect-taint").
            if next.origin() != here && here != origin {
                origin = "null".into();
            }
            url = next;
        }
        let failure = Failure::new(Block::TooManyRedirects, "", "more than 20 redirects");
        Err(self.fail(Aspect::Redirect, false, failure))
    }

    /// What the browser checks before it sends anything.
    fn admit(&mut self, call: &Call) -> Result<(), Stop> {
        if names::is_forbidden_method(&call.method) {
            let text = format!("{} is a method that no script may use", call.method);
            let failure = Failure::new(Block::ForbiddenMethod, &*call.method, text);
            return Err(self.fail(Aspect::Call, false, failure));
        }
        let no_cors = call.mode == Mode::NoCors;
        if no_cors && !SAFELISTED_METHODS.contains(&&*call.method) {
            let text = format!("mode no-cors knows GET, HEAD and POST alone, not {}", call.method);
            let failure = Failure::new(Block::NoCorsMethod, &*call.method, text);
            return Err(self.fail(Aspect::Call, false, failure));
        }
        let rules = self.rules;
        let drops = |header: &(String, String)| {
            let (name, value) = header;
            names::is_forbidden_header(name)
                || (rules == Rules::Chromium && name == "user-agent")
                || is_method_override(name, value)
                || (no_cors && !is_safe_without_cors(rules, header))
        };
        if call.headers.iter().any(|(name, _)| name == "user-agent") {
            Departure::note(Departure::UserAgent, &mut self.verdict.departures);
        }
        let (dropped, kept): (Vec<_>, Vec<_>) = call.headers.iter().cloned().partition(drops);
        self.verdict.dropped = dropped.into_iter().map(|(name, _)| name).collect();
        self.headers = kept;
        Ok(())
    }

    /// What has to hold before a request goes to another origin.
    fn enter(&mut self, call: &Call, origin: &str, url: &Url) -> Result<(), Stop> {
        if call.mode == Mode::SameOrigin {
            let text = "another origin, and the call's mode is same-origin";
            let failure = Failure::new(Block::DisallowedByMode, url.origin(), text);
            return Err(self.fail(Aspect::Call, false, failure));
        }
        if !url.is_http() {
            let text = "only http and https reach other origins";
            let failure = Failure::new(Block::CorsDisabledScheme, url.to_string(), text);
            return Err(self.fail(Aspect::Call, false, failure));
        }
        if call.mode == Mode::Cors { self.preflight(call, origin, &url.to_string()) } else { Ok(()) }
    }

    fn preflight(&mut self, call: &Call, origin: &str, url: &str) -> Result<(), Stop> {
        let found = safelist::find_unsafe(self.rules, &self.headers, &mut self.verdict.departures);
        let mut causes = found.causes;
        if !SAFELISTED_METHODS.contains(&&*self.method) {
            causes.insert(0, Cause::Method(self.method.clone()));
        }
        if call.forces_preflight {
            causes.push(Cause::Forced);
        }
        if causes.is_empty() {
            return Ok(());
        }
        self.verdict.causes = causes;
        let mut headers = vec![
            ("origin".to_owned(), origin.to_owned()),
            ("access-control-request-method".to_owned(), self.method.clone()),
        ];
        if !found.names.is_empty() {
            headers.push(("access-control-request-headers".to_owned(), found.names.join(",")));
        }
        let sent = Sent { method: "OPTIONS".into(), url: url.into(), headers, is_preflight: true };
        let answer = self.send(sent)?;
        if self.location(&answer).is_some() {
            let text = format!("the preflight was redirected ({})", answer.status);
            let failure = Failure::new(Block::PreflightDisallowedRedirect, answer.status.to_string(), text);
            return Err(self.fail(Aspect::Redirect, true, failure));
        }
        self.cors_check(origin, &answer, true)?;
        self.pass_or(Aspect::Status, true, checks::check_status(&answer), answer.status.to_string())?;
        if let Err(failure) = checks::check_lists(&answer) {
            let methods = failure.block == Block::InvalidAllowMethodsPreflightResponse;
            return Err(self.fail(if methods { Aspect::Method } else { Aspect::Headers }, true, failure));
        }
        let method = checks::check_method(&self.method, self.credentials, &answer);
        self.pass_or(Aspect::Method, true, method, self.method.clone())?;
        let departures = &mut self.verdict.departures;
        let headers = checks::check_headers(self.rules, &found.names, self.credentials, &answer, departures);
        let asked = if found.names.is_empty() { "none asked for".to_owned() } else { found.names.join(", ") };
        self.pass_or(Aspect::Headers, true, headers, asked)?;
        let age = checks::max_age_s(self.rules, &answer, &mut self.verdict.departures);
        self.pass_or(Aspect::MaxAge, true, Ok(()), format!("remembered for {age} s"))
    }

    fn cors_check(&mut self, origin: &str, answer: &Answer, is_preflight: bool) -> Result<(), Stop> {
        let of = |failure: Failure| match is_preflight {
            true => Failure { block: failure.block.of_preflight(), ..failure },
            false => failure,
        };
        let checked = checks::check_origin(origin, self.credentials, answer).map_err(of);
        self.pass_or(Aspect::Origin, is_preflight, checked, origin.to_owned())?;
        if self.credentials == Credentials::Include {
            let checked = checks::check_credentials(answer).map_err(of);
            self.pass_or(Aspect::Credentials, is_preflight, checked, "include".to_owned())?;
        }
        Ok(())
    }

    fn actual(&self, origin: &str, url: &Url) -> Sent {
        let mut headers = vec![("origin".to_owned(), origin.to_owned())];
        headers.extend(self.headers.iter().cloned());
        Sent { method: self.method.clone(), url: url.to_string(), headers, is_preflight: false }
    }

    fn send(&self, sent: Sent) -> Result<Answer, Stop> {
        match self.answers.iter().find(|(asked, _)| *asked == sent) {
            Some((_, answer)) => Ok(answer.clone()),
            None => Err(Stop::Ask(sent)),
        }
    }

    /// The next URL, if the answer is a redirect.
    fn leads_to(&mut self, url: &Url, answer: &Answer) -> Result<Option<Url>, Stop> {
        let Some(location) = self.location(answer) else { return Ok(None) };
        let next = url.join(&location);
        if next.is_none() {
            let text = format!("the redirect leads to \"{location}\", which is no URL");
            return Err(self.fail(
                Aspect::Redirect,
                false,
                Failure::new(Block::InvalidRedirect, location, text),
            ));
        }
        Ok(next)
    }

    /// Where the answer redirects to (RFC 9110 §15.4), as it is written.
    fn location(&mut self, answer: &Answer) -> Option<String> {
        let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        let location = answer.get("location").filter(|_| redirects)?;
        if location.is_empty() {
            Departure::note(Departure::EmptyLocation, &mut self.verdict.departures);
        }
        (!location.is_empty() || self.rules == Rules::Standard).then_some(location)
    }

    /// Whether a redirect may be followed (Fetch, "HTTP-redirect fetch").
    fn follow(&mut self, call: &Call, origin: &str, is_cors: bool, next: &Url) -> Result<(), Stop> {
        if !next.is_http() {
            let text = format!("the redirect leads to {next}, and only http and https are followed");
            let block = match call.mode == Mode::Cors && !next.is_unsafe() {
                true => Block::CorsDisabledScheme,
                false => Block::InvalidRedirect,
            };
            let failure = Failure::new(block, next.to_string(), text);
            return Err(self.fail(Aspect::Redirect, false, failure));
        }
        // What leaves the page's origin where the mode forbids that is stopped for that.
        if !next.has_user() || call.mode == Mode::SameOrigin && next.origin() != origin {
            return Ok(());
        }
        let is_followed = call.mode != Mode::Cors || !is_cors && next.origin() == origin;
        if is_followed {
            Departure::note(Departure::RedirectedUser, &mut self.verdict.departures);
        }
        if !is_followed || self.rules == Rules::Chromium {
            let text = "the redirect leads to a URL with a user in it";
            let failure = Failure::new(Block::RedirectContainsCredentials, "", text);
            return Err(self.fail(Aspect::Redirect, false, failure));
        }
        Ok(())
    }

    /// What a redirect makes of the request.
    fn change(&mut self, answer: &Answer, leaves_origin: bool, leaves_page: bool) {
        let becomes_get = match answer.status {
            301 | 302 => self.method == "POST",
            303 => !matches!(self.method.as_str(), "GET" | "HEAD"),
            _ => false,
        };
        if becomes_get {
            self.method = "GET".into();
            let of_body = ["content-encoding", "content-language", "content-location", "content-type"];
            self.headers.retain(|(name, _)| !of_body.contains(&&**name));
        }
        if leaves_origin {
            // What was meant for one origin is not for the next.
            self.headers.retain(|(name, _)| name != "authorization");
        }
        if leaves_page && self.headers.iter().any(|(name, _)| safelist::is_hint(name)) {
            Departure::note(Departure::RedirectedHint, &mut self.verdict.departures);
            let keeps = self.rules == Rules::Standard;
            self.headers.retain(|(name, _)| keeps || !safelist::is_hint(name));
        }
    }

    fn readable(&self, answer: &Answer) -> Reads {
        let exposed = checks::tokens(answer, "access-control-expose-headers").unwrap_or_default();
        let include = self.credentials == Credentials::Include;
        let all = !include && exposed.iter().any(|name| name == "*");
        let hidden_always = |name: &str| matches!(name, "set-cookie" | "set-cookie2");
        let mut readable: Vec<String> = exposed.iter().map(|name| name.to_ascii_lowercase()).collect();
        readable.retain(|name| !hidden_always(name) && (!all || name != "*"));
        readable.extend(READABLE.map(str::to_owned));
        let mut had: Vec<String> = answer.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        had.sort();
        had.dedup();
        let shown = |name: &String| !hidden_always(name) && (all || readable.contains(name));
        let (shown, hidden): (Vec<_>, Vec<_>) = had.into_iter().partition(shown);
        readable.extend(shown);
        readable.sort();
        readable.dedup();
        Reads::Headers { readable, hidden, all }
    }

    fn pass_or(
        &mut self,
        aspect: Aspect,
        is_preflight: bool,
        checked: Result<(), Failure>,
        text: String,
    ) -> Result<(), Stop> {
        match checked {
            Ok(()) => {
                self.verdict.steps.push(Step { aspect, is_preflight, passed: true, text });
                Ok(())
            }
            Err(failure) => Err(self.fail(aspect, is_preflight, failure)),
        }
    }

    fn fail(&mut self, aspect: Aspect, is_preflight: bool, failure: Failure) -> Stop {
        self.verdict.steps.push(Step { aspect, is_preflight, passed: false, text: failure.text });
        self.verdict.blocked = Some((failure.block, failure.detail));
        Stop::Failed
    }
}

/// Fetch, "no-CORS-safelisted request-header".
fn is_safe_without_cors(rules: Rules, header: &(String, String)) -> bool {
    let known = ["accept", "accept-language", "content-language", "content-type"];
    let found = safelist::find_unsafe(rules, std::slice::from_ref(header), &mut Vec::new());
    known.contains(&&*header.0) && found.names.is_empty()
}

/// Headers by which a forbidden method could be smuggled (Fetch, "forbidden request-header").
fn is_method_override(name: &str, value: &str) -> bool {
    matches!(name, "x-http-method" | "x-http-method-override" | "x-method-override")
        && value.split(',').any(|method| names::is_forbidden_method(method.trim()))
}
