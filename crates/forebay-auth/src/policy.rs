//! A policy, compiled: asked once for each request of the routes that name it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use forebay_config::{FilePath, HttpUrl};
use forebay_http::Fields;
use forebay_http::problem::Problem;

use crate::api_key_policy::ApiKeyPolicy;
use crate::basic::{BasicPolicy, PasswordCheck};
use crate::forward::ForwardPolicy;
use crate::identity::Identity;
use crate::jwt::{Judged, JwtPolicy};
use crate::jwt_settings::Jwks;
use crate::material::Material;
use crate::refusal::{Challenge, Flaw, Refusal};
use crate::remembered::{Digest, digest};
use crate::settings::AuthSettings;

/// How often a file is looked at: how soon a revoked key is one.
const FILE_REFRESH: Duration = Duration::from_secs(2);

/// Who may call, and how Forebay knows.
pub struct Policy {
    /// Of `[auth.NAME]`.
    pub name: Arc<str>,
    /// Whether the service gets the credentials too.
    pub forward_credentials: bool,
    /// Whether the access log names the subject.
    pub log_subject: bool,
    method: Method,
    source: Option<Source>,
    refresh: Duration,
    keep: Duration,
    fingerprint: Digest,
    source_fingerprint: Digest,
}

/// By what callers are known.
pub enum Method {
    /// Tokens.
    Jwt(Box<JwtPolicy>),
    /// Keys that Forebay issued.
    ApiKeys(ApiKeyPolicy),
    /// What a service says.
    Forward(Box<ForwardPolicy>),
    /// Names and passwords.
    Basic(BasicPolicy),
}

/// Where a policy's material comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A server.
    Url(HttpUrl),
    /// A file.
    File(FilePath),
}

/// What a policy says of a request.
#[derive(Debug)]
pub enum Verdict {
    /// It is this caller's.
    Allow(Identity),
    /// It goes no further.
    Refuse(Refusal),
    /// Something has to be asked first.
    Ask(Question),
}

/// What a policy cannot tell by itself.
#[derive(Debug)]
pub enum Question {
    /// Whether there are newer keys: the one that is needed is not among those at hand, or there are none.
    Keys,
    /// Whether a password is right.
    Password(PasswordCheck),
    /// What the service says.
    Service,
}

impl Policy {
    /// Compiles settings, which are valid by having been loaded; `None` only for those that were not.
    pub fn new(name: &str, settings: &AuthSettings) -> Option<Policy> {
        let method = if let Some(jwt) = &settings.jwt {
            Method::Jwt(Box::new(jwt.policy()))
        } else if let Some(keys) = &settings.api_keys {
            Method::ApiKeys(ApiKeyPolicy { header: keys.header.0.clone() })
        } else if let Some(forward) = &settings.forward {
            Method::Forward(Box::new(ForwardPolicy::new(forward)))
        } else {
            Method::Basic(BasicPolicy { cache: settings.basic.as_ref()?.cache })
        };
        let file = |path: &FilePath| Some(Source::File(path.clone()));
        let source = match settings {
            AuthSettings { jwt: Some(jwt), .. } => jwt.jwks.as_ref().map(|jwks| match &jwks.value {
                Jwks::Url(url) => Source::Url(url.clone()),
                Jwks::File(path) => Source::File(path.clone()),
            }),
            AuthSettings { api_keys: Some(keys), .. } => file(&keys.file),
            AuthSettings { basic: Some(basic), .. } => file(&basic.file),
            _ => None,
        };
        let jwt = settings.jwt.as_ref();
        let is_url = matches!(source, Some(Source::Url(_)));
        let algorithms = jwt.map(|jwt| jwt.algorithms());
        let described = [format!("{settings:?}"), format!("{source:?} {algorithms:?}")];
        let [fingerprint, source_fingerprint] =
            described.map(|text| digest([name.as_bytes(), text.as_bytes()]));
        Some(Policy {
            name: name.into(),
            forward_credentials: settings.forward_credentials,
            log_subject: settings.log_subject,
            method,
            source,
            refresh: jwt.filter(|_| is_url).map_or(FILE_REFRESH, |jwt| jwt.refresh),
            // A file is at hand or broken, never unreachable: the last good one holds.
            keep: jwt.filter(|_| is_url).map_or(Duration::MAX, |jwt| jwt.keep),
            fingerprint,
            source_fingerprint,
        })
    }

    /// Whether the access log names the consumer: an application, unless callers are known by name and password.
    pub fn logs_consumer(&self) -> bool {
        self.log_subject || !matches!(self.method, Method::Basic(_))
    }

    /// By what callers are known.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Where its material comes from, if it needs any.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// How old material may be before it is fetched again, and before it is used no more.
    pub fn ages(&self) -> (Duration, Duration) {
        (self.refresh, self.keep)
    }

    /// Changes with the settings: what was remembered under others counts no more.
    pub fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// Changes with what the material is and where it comes from.
    pub fn source_fingerprint(&self) -> &Digest {
        &self.source_fingerprint
    }

    /// How long a password that was right need not be checked again.
    pub fn password_cache(&self) -> Duration {
        match &self.method {
            Method::Basic(basic) => basic.cache,
            _ => Duration::ZERO,
        }
    }

    /// Decides about one request by the material there is; `None` stands for none, or for one that is too old.
    pub fn decide(
        &self,
        fields: &(impl Fields + ?Sized),
        material: Option<&Material>,
        now: SystemTime,
    ) -> Verdict {
        let judged = match (&self.method, material) {
            (Method::Jwt(jwt), material) => {
                let keys = match material {
                    Some(Material::Keys(keys)) => Some(keys),
                    _ => None,
                };
                match jwt.judge(fields, keys, now) {
                    Judged::Known(identity) => Ok(identity),
                    Judged::Refused(refusal) => Err(refusal),
                    Judged::NeedsKeys => return Verdict::Ask(Question::Keys),
                }
            }
            (Method::ApiKeys(keys), Some(Material::Ring(ring))) => keys.judge(fields, ring, now),
            (Method::Basic(_), Some(Material::Users(users))) => match users.check(fields) {
                Ok(check) => return Verdict::Ask(Question::Password(check)),
                Err(refusal) => Err(refusal),
            },
            (Method::Forward(_), _) => return Verdict::Ask(Question::Service),
            (Method::ApiKeys(_) | Method::Basic(_), _) => Err(Refusal::SourceDown),
        };
        judged.map_or_else(Verdict::Refuse, Verdict::Allow)
    }

    /// The refusal of a token whose key could not be found, by what is known now.
    pub fn without_keys(material: Option<&Material>) -> Refusal {
        if material.is_some() { Flaw::UnknownKey.into() } else { Refusal::SourceDown }
    }

    /// As the client is told.
    pub fn problem(&self, refusal: &Refusal) -> Problem {
        let field = |header: &str| match header {
            "authorization" => Challenge::Bearer,
            other => Challenge::ApiKey(other.into()),
        };
        let challenge = match &self.method {
            // Whatever field it is in, it is a bearer token.
            Method::Jwt(_) => Challenge::Bearer,
            Method::ApiKeys(keys) => field(&keys.header),
            Method::Basic(_) => Challenge::Basic,
            Method::Forward(_) => Challenge::None,
        };
        refusal.problem(&self.name, &challenge)
    }

    /// The fields that carry credentials.
    pub fn credentials(&self) -> Vec<&str> {
        match &self.method {
            Method::Jwt(jwt) => vec![&jwt.header],
            Method::ApiKeys(keys) => vec![&keys.header],
            Method::Basic(_) => vec!["authorization"],
            Method::Forward(forward) => forward.request_headers.iter().map(|name| &**name).collect(),
        }
    }

    /// The fields that a service is told who calls with, besides those that every policy has.
    pub fn copied(&self) -> &[Box<str>] {
        match &self.method {
            Method::Forward(forward) => &forward.copy,
            _ => &[],
        }
    }

    /// In a few words, for people.
    pub fn describe(&self) -> String {
        let by = match &self.method {
            Method::Jwt(_) => "a token".to_owned(),
            Method::ApiKeys(keys) => format!("a key in {}", keys.header),
            Method::Basic(_) => "name and password".to_owned(),
            Method::Forward(forward) => return format!("what service {} says", forward.service),
        };
        match &self.source {
            Some(Source::Url(url)) => format!("{by}, keys of {url}"),
            Some(Source::File(path)) => format!("{by}, {path}"),
            None => format!("{by}, a shared secret"),
        }
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Policy({}: {})", self.name, self.describe())
    }
}
