//! The browser's way through one call (Fetch, "HTTP fetch", "CORS-preflight fetch", "HTTP-redirect fetch"). Pure: it is
//! given the answers so far and says what it would send next, or how it ends.

use super::call::{Answer, Call, Credentials, Mode, Sent, origin_of, resolve};
use super::checks::{self, Block, Failure};
use super::departure::{Departure, Rules};
use super::safelist::{self, Cause};
use crate::names::{self, SAFELISTED_METHODS};

/// Redirects that a browser follows (Fetch, "HTTP-redirect fetch").
const REDIRECTS_MAX: usize = 20;
/// Response headers that a script may always read (Fetch, "CORS-safelisted response-header name").
pub(super) const READABLE: [&str; 7] = [
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
];

/// What one browser makes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is blocked, if it is, and what about: a header's name, a value.
    pub blocked: Option<(Block, String)>,
    /// Why permission is asked for; empty when it is not.
    pub causes: Vec<Cause>,
    /// What was looked at, in order, up to the first failure.
    pub steps: Vec<Step>,
    /// What the script gets to see.
    pub reads: Reads,
    /// Headers that the browser does not let a script set, and drops.
    pub dropped: Vec<String>,
    pub(super) departures: Vec<Departure>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about.
    pub aspect: Aspect,
    /// Whether it is a preflight's.
    pub is_preflight: bool,
    /// Whether it passed.
    pub passed: bool,
    /// What was seen.
    pub text: String,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Whether the call can be made at all.
    Call,
    /// Who may read.
    Origin,
    /// Whether cookies and the like may go along.
    Credentials,
    /// A preflight's status.
    Status,
    /// The method.
    Method,
    /// The request's headers.
    Headers,
    /// How long the permission is remembered.
    MaxAge,
    /// Where the response leads.
    Redirect,
}

impl Aspect {
    /// As a fixed text.
    pub const fn text(self) -> &'static str {
        match self {
            Aspect::Call => "call",
            Aspect::Origin => "origin",
            Aspect::Credentials => "credentials",
            Aspect::Status => "status",
            Aspect::Method => "method",
            Aspect::Headers => "headers",
            Aspect::MaxAge => "max-age",
            Aspect::Redirect => "redirect",
        }
    }
}

/// What a script may read of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing: the promise is rejected.
    Nothing,
    /// Nothing: the response is opaque, and that is what `no-cors` asked for.
    Opaque,
    /// All: no other origin is involved.
    Everything,
    /// Status, body and some headers.
    Headers {
        /// Readable ones, in lower case; those of the usual seven, and what is exposed.
        readable: Vec<String>,
        /// Headers of the response that stay hidden.
        hidden: Vec<String>,
        /// Whether every header is exposed.
        all: bool,
    },
}

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
        let mut url = call.url.clone();
        let mut origin = call.origin.clone();
        let mut is_cors = false;
        for _ in 0..=REDIRECTS_MAX {
            let here = origin_of(&url).unwrap_or_default();
            is_cors |= here != origin;
            if is_cors {
                self.check_scheme(&url)?;
                match call.mode {
                    Mode::Cors => self.preflight(call, &origin, &url)?,
                    Mode::NoCors => return Ok(Reads::Opaque),
                    Mode::SameOrigin => {
                        let text = "another origin, and the call's mode is same-origin";
                        return Err(self.fail(
                            Aspect::Call,
                            false,
                            Failure::new(Block::DisallowedByMode, here, text),
                        ));
                    }
                }
            }
            let answer = self.send(self.actual(&origin, &url))?;
            if is_cors {
                self.cors_check(&origin, &answer, false)?;
            }
            let Some(next) = self.redirect(&url, &answer, is_cors)? else {
                return Ok(if is_cors { self.readable(&answer) } else { Reads::Everything });
            };
            // Whoever was redirected through a stranger is nobody in particular (Fetch, "redirect-taint").
            if origin_of(&next).unwrap_or_default() != here && here != origin {
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
        let drops = |header: &(String, String)| {
            let (name, value) = header;
            names::is_forbidden_header(name)
                || is_method_override(name, value)
                || (no_cors
                    && (name == "range"
                        || !safelist::find_unsafe(self.rules, std::slice::from_ref(header), &mut Vec::new())
                            .names
                            .is_empty()))
        };
        let (dropped, kept): (Vec<_>, Vec<_>) = call.headers.iter().cloned().partition(drops);
        self.verdict.dropped = dropped.into_iter().map(|(name, _)| name).collect();
        self.headers = kept;
        Ok(())
    }

    fn check_scheme(&mut self, url: &str) -> Result<(), Stop> {
        if url.starts_with("http://") || url.starts_with("https://") {
            return Ok(());
        }
        let text = "only http and https reach other origins";
        Err(self.fail(Aspect::Call, false, Failure::new(Block::CorsDisabledScheme, url, text)))
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
        if location(&answer).is_some() {
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

    fn actual(&self, origin: &str, url: &str) -> Sent {
        let mut headers = vec![("origin".to_owned(), origin.to_owned())];
        headers.extend(self.headers.iter().cloned());
        Sent { method: self.method.clone(), url: url.into(), headers, is_preflight: false }
    }

    fn send(&self, sent: Sent) -> Result<Answer, Stop> {
        match self.answers.iter().find(|(asked, _)| *asked == sent) {
            Some((_, answer)) => Ok(answer.clone()),
            None => Err(Stop::Ask(sent)),
        }
    }

    /// The next URL, if the answer is a redirect.
    fn redirect(&mut self, url: &str, answer: &Answer, is_cors: bool) -> Result<Option<String>, Stop> {
        let Some(location) = location(answer) else { return Ok(None) };
        let next = resolve(url, &location);
        let Some(there) = origin_of(&next) else {
            let text = format!("the redirect leads to \"{location}\"");
            let failure = Failure::new(Block::InvalidRedirect, location, text);
            return Err(self.fail(Aspect::Redirect, false, failure));
        };
        let authority = next.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
        let has_user = authority.is_some_and(|authority| authority.contains('@'));
        if has_user && (is_cors || origin_of(url).is_none_or(|here| here != there)) {
            let text = "the redirect leads to a URL with a user in it";
            let failure = Failure::new(Block::RedirectContainsCredentials, "", text);
            return Err(self.fail(Aspect::Redirect, false, failure));
        }
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
        // Fetch, "HTTP-redirect fetch": what was meant for one origin is not for the next.
        if origin_of(url).is_none_or(|here| here != there) {
            self.headers.retain(|(name, _)| name != "authorization");
        }
        self.pass_or(Aspect::Redirect, false, Ok(()), format!("{} to {next}", answer.status))?;
        Ok(Some(next))
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

/// Where a redirect leads (RFC 9110 §15.4).
fn location(answer: &Answer) -> Option<String> {
    let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
    answer.get("location").filter(|location| redirects && !location.is_empty())
}

/// Headers by which a forbidden method could be smuggled (Fetch, "forbidden request-header").
fn is_method_override(name: &str, value: &str) -> bool {
    matches!(name, "x-http-method" | "x-http-method-override" | "x-method-override")
        && value.split(',').any(|method| names::is_forbidden_method(method.trim()))
}
