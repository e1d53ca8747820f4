//! A service that decides: what it is asked, and what its answer means. As Traefik's forwardAuth and nginx's auth_request
//! do it; anything but a clear yes or no counts as no answer.

use std::time::Duration;

use forebay_config::Settings;
use forebay_http::{Fields, RequestHead, ResponseHead, Scheme};

use crate::identity::Identity;
use crate::refusal::{Refusal, Silence};
use crate::remembered::{Digest, digest};
use crate::settings::ForwardSettings;

/// Of an answer's body, which nobody looks at: read so that the connection can be used again.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Of a `WWW-Authenticate` that is passed on.
const CHALLENGE_BYTES_MAX: usize = 2 * 1024;
/// Fields that tell where a request comes from; `http::forwarded` has made them true.
const ORIGIN_FIELDS: [&str; 4] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];

/// What makes a question the same as an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum Per {
    /// Method, host, path and query.
    Request,
    /// The route.
    Route,
    /// Nothing but the fields that are sent.
    Caller,
}

/// A `forward` table, compiled.
#[derive(Debug)]
pub struct ForwardPolicy {
    /// The service's name.
    pub service: Box<str>,
    /// How long it may take.
    pub timeout: Duration,
    /// How long a yes holds, if it does.
    pub cache: Option<Duration>,
    pub(crate) request_headers: Vec<Box<str>>,
    path: String,
    subject: Option<Box<str>>,
    consumer: Option<Box<str>>,
    pub(crate) copy: Vec<Box<str>>,
    per: Per,
}

impl ForwardPolicy {
    pub(crate) fn new(settings: &ForwardSettings) -> ForwardPolicy {
        let name = |name: &crate::settings::FieldName| name.0.clone();
        ForwardPolicy {
            service: settings.service.value.as_str().into(),
            timeout: settings.timeout,
            cache: settings.cache,
            request_headers: settings.request_headers.iter().map(name).collect(),
            path: settings.path.clone(),
            subject: settings.subject.as_ref().map(name),
            consumer: settings.consumer.as_ref().map(name),
            copy: settings.copy.iter().map(name).collect(),
            per: settings.cache_per,
        }
    }

    /// What the service is asked about this request, whose forwarded fields are true already.
    pub fn subrequest(&self, request: &RequestHead) -> RequestHead {
        let mut head = RequestHead::new("GET", Scheme::Http, request.authority(), &self.path);
        let from = request.fields();
        let to = head.fields_mut();
        to.append("x-forwarded-method", request.method_text().as_bytes());
        to.append("x-forwarded-uri", request.target().as_bytes());
        let names = ORIGIN_FIELDS.iter().copied().chain(["traceparent", "tracestate"]);
        for name in names.chain(self.request_headers.iter().map(|name| &**name)) {
            from.each_value(name, &mut |value| {
                to.append(name, value);
                true
            });
        }
        head
    }

    /// What a yes to this question is remembered under, where that is wanted.
    pub fn digest(&self, policy: &Digest, route: &str, request: &RequestHead) -> Option<Digest> {
        self.cache?;
        let mut parts: Vec<&[u8]> = vec![&policy.0];
        for name in &self.request_headers {
            parts.push(name.as_bytes());
            request.fields().each_value(name, &mut |value| {
                // A value is never a name: they alternate with what says so.
                parts.extend([&b"="[..], value]);
                true
            });
        }
        parts.push(b"for");
        match self.per {
            Per::Request => parts.extend([
                request.method_text().as_bytes(),
                request.scheme().text().as_bytes(),
                request.authority().as_bytes(),
                request.target().as_bytes(),
                // The service may look at it.
                request.fields().value("x-forwarded-for").unwrap_or_default(),
            ]),
            Per::Route => parts.push(route.as_bytes()),
            Per::Caller => {}
        }
        Some(digest(parts))
    }

    /// What its answer means.
    pub fn answer(&self, answer: &ResponseHead) -> Result<Identity, Refusal> {
        match answer.status() {
            200..=299 => self.identity(answer),
            status @ (401 | 403) => {
                let mut challenge = Vec::new();
                answer.fields().each_value("www-authenticate", &mut |value| {
                    if !challenge.is_empty() {
                        challenge.extend_from_slice(b", ");
                    }
                    challenge.extend_from_slice(value);
                    true
                });
                let challenge = String::from_utf8(challenge).ok();
                let challenge =
                    challenge.filter(|text| !text.is_empty() && text.len() <= CHALLENGE_BYTES_MAX);
                Err(Refusal::Denied { status, challenge: challenge.map(Into::into) })
            }
            500..=599 => Err(Silence::Failed.into()),
            _ => Err(Silence::Unclear.into()),
        }
    }

    fn identity(&self, answer: &ResponseHead) -> Result<Identity, Refusal> {
        let fields = answer.fields();
        let read = |name: &Option<Box<str>>| -> Result<Option<&str>, Refusal> {
            let Some(name) = name.as_deref().filter(|name| fields.has(name)) else { return Ok(None) };
            // Two names for one caller, or one that is no text, are no answer.
            let value = fields.only_value(name).ok_or(Silence::Unclear)?;
            std::str::from_utf8(value).map(Some).map_err(|_| Silence::Unclear.into())
        };
        let named = Identity::new(read(&self.subject)?, read(&self.consumer)?);
        let mut identity = named.ok_or(Silence::Unclear)?;
        for name in &self.copy {
            fields.each_value(name, &mut |value| {
                identity.copied.push((name.clone(), value.into()));
                true
            });
        }
        Ok(identity)
    }
}
