//! Why a request is refused, as its client is told: status, problem document, `WWW-Authenticate` (RFC 9110 §11.6.1,
//! RFC 6750 §3, RFC 7617 §2). Names no secret and nothing of the token but what its owner can read there.

use std::fmt;

use forebay_http::problem::{Fault, Problem};

/// What is wrong with credentials that were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Not of the form that it has to be of.
    Malformed,
    /// Larger than any token needs to be.
    TooLarge,
    /// It has extensions that nobody here understands.
    Extension,
    /// Signed by an algorithm that is not allowed here.
    Algorithm,
    /// It is of another type.
    Type,
    /// Its key cannot be used with its algorithm, or it does not say which key it is.
    Key,
    /// Signed by a key that the issuer does not have.
    UnknownKey,
    /// The signature is not that of its key.
    Signature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    TooEarly,
    /// Somebody else issued it.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// This claim is missing, or not of the kind that it has to be.
    Claim(Box<str>),
    /// Nobody has these credentials.
    Unknown,
}

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no credentials of the kind that is asked for.
    Missing,
    /// It has them twice.
    Repeated,
    /// They do not count.
    Flawed(Flaw),
    /// They count, and do not go as far.
    Scope {
        /// What they lack.
        missing: Box<str>,
    },
    /// The service that decides says no.
    Denied {
        /// 401 or 403.
        status: u16,
        /// Its `WWW-Authenticate`.
        challenge: Option<Box<str>>,
    },
    /// There is nothing to decide by: no keys, no file.
    SourceDown,
    /// The service that decides gave no answer that counts.
    Unanswered(Silence),
    /// Too many wait to be checked.
    Busy,
}

/// Why a service that decides gave no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It has no endpoint that could be asked.
    NoEndpoint,
    /// No connection to it could be made.
    NotReached,
    /// It took longer than it may.
    TimedOut,
    /// The connection broke while it was asked.
    BrokeOff,
    /// It answered with a 5xx.
    Failed,
    /// What it answered is neither a yes nor a no, or no HTTP.
    Unclear,
}

impl Silence {
    /// Every one.
    pub const ALL: [Silence; 6] = [
        Silence::NoEndpoint,
        Silence::NotReached,
        Silence::TimedOut,
        Silence::BrokeOff,
        Silence::Failed,
        Silence::Unclear,
    ];

    /// For metrics and logs.
    pub const fn outcome(self) -> &'static str {
        match self {
            Silence::NoEndpoint => "service without endpoint",
            Silence::NotReached => "service not reached",
            Silence::TimedOut => "service timed out",
            Silence::BrokeOff => "service broke off",
            Silence::Failed => "service failed",
            Silence::Unclear => "service unclear",
        }
    }
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Refusal {
        Refusal::Flawed(flaw)
    }
}

impl From<Silence> for Refusal {
    fn from(silence: Silence) -> Refusal {
        Refusal::Unanswered(silence)
    }
}

/// By what credentials a policy knows callers, as its challenges say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Bearer,
    Basic,
    /// By a key in this field. There is no registered scheme for that.
    ApiKey(Box<str>),
    /// The service that decides knows.
    None,
}

/// Every outcome there is, for metrics.
pub(crate) const OUTCOMES: [&str; 28] = [
    ALLOWED,
    "no credentials",
    "repeated credentials",
    "scope missing",
    "denied by service",
    "source down",
    Silence::NoEndpoint.outcome(),
    Silence::NotReached.outcome(),
    Silence::TimedOut.outcome(),
    Silence::BrokeOff.outcome(),
    Silence::Failed.outcome(),
    Silence::Unclear.outcome(),
    "busy",
    "malformed",
    "too large",
    "unknown extension",
    "algorithm not allowed",
    "wrong type",
    "unfit key",
    "unknown key",
    "bad signature",
    "expired",
    "not yet valid",
    "wrong issuer",
    "wrong audience",
    "claim missing",
    "unknown credentials",
    "other",
];

/// The outcome of a request that was let in.
pub(crate) const ALLOWED: &str = "allowed";

impl Flaw {
    const fn outcome(&self) -> &'static str {
        match self {
            Flaw::Malformed => "malformed",
            Flaw::TooLarge => "too large",
            Flaw::Extension => "unknown extension",
            Flaw::Algorithm => "algorithm not allowed",
            Flaw::Type => "wrong type",
            Flaw::Key => "unfit key",
            Flaw::UnknownKey => "unknown key",
            Flaw::Signature => "bad signature",
            Flaw::Expired => "expired",
            Flaw::TooEarly => "not yet valid",
            Flaw::Issuer => "wrong issuer",
            Flaw::Audience => "wrong audience",
            Flaw::Claim(_) => "claim missing",
            Flaw::Unknown => "unknown credentials",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Malformed => "the credentials are malformed",
            Flaw::TooLarge => "the token is too large",
            Flaw::Extension => "the token has extensions that are not understood here",
            Flaw::Algorithm => "the token is signed by an algorithm that is not allowed here",
            Flaw::Type => "the token is of another type",
            Flaw::Key => "the token does not name a key that fits its algorithm",
            Flaw::UnknownKey => "the token is signed by a key that its issuer does not publish",
            Flaw::Signature => "the signature is not valid",
            Flaw::Expired => "the credentials have expired",
            Flaw::TooEarly => "the token is not valid yet",
            Flaw::Issuer => "the token is of another issuer",
            Flaw::Audience => "the token is for another audience",
            Flaw::Claim(name) => return write!(f, "the token has no valid claim {name}"),
            Flaw::Unknown => "the credentials are not known",
        })
    }
}

impl Refusal {
    /// For metrics and logs: one of a fixed few.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Refusal::Missing => "no credentials",
            Refusal::Repeated => "repeated credentials",
            Refusal::Flawed(flaw) => flaw.outcome(),
            Refusal::Scope { .. } => "scope missing",
            Refusal::Denied { .. } => "denied by service",
            Refusal::SourceDown => "source down",
            Refusal::Unanswered(silence) => silence.outcome(),
            Refusal::Busy => "busy",
        }
    }

    /// As the client of the policy `realm` is told.
    pub(crate) fn problem(&self, realm: &str, challenge: &Challenge) -> Problem {
        /// What a client waits for when nobody can be asked at the moment.
        const RETRY_AFTER_S: u32 = 1;
        let client = |status, kind, detail: String| Problem::new(status, kind, Fault::Client, detail);
        let down = |kind, detail: &str| Problem {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Problem::new(503, kind, Fault::Forebay, detail)
        };
        let (problem, error) = match self {
            Refusal::Missing => (
                client(401, "credentials-missing", "this needs credentials, and the request has none".into()),
                None,
            ),
            // RFC 6750 §3.1 has 400 for it; with 401 a browser would ask its user for a password.
            Refusal::Repeated => (
                client(400, "credentials-repeated", "the request has its credentials more than once".into()),
                Some("invalid_request"),
            ),
            Refusal::Flawed(flaw) => {
                (client(401, "credentials-invalid", flaw.to_string()), Some("invalid_token"))
            }
            Refusal::Scope { missing } => (
                client(403, "scope-missing", format!("the token does not have the scope {missing}")),
                Some("insufficient_scope"),
            ),
            Refusal::Denied { status: 403, .. } => {
                (client(403, "denied", "the caller may not do this".into()), None)
            }
            Refusal::Denied { .. } => (
                client(401, "credentials-invalid", "the credentials are missing or do not count".into()),
                None,
            ),
            // Why is for those who run it: its caller can do nothing about it but wait.
            Refusal::SourceDown | Refusal::Unanswered(_) => {
                return down("identity-source-down", "at the moment nobody can say who calls");
            }
            Refusal::Busy => return down("authentication-busy", "too many callers wait to be recognised"),
        };
        let text = match self {
            Refusal::Denied { challenge: given, .. } => given.as_deref().map(str::to_owned),
            _ => challenge.text(realm, error, &problem.detail, self),
        };
        Problem { challenge: text, ..problem }
    }
}

impl Challenge {
    fn text(&self, realm: &str, error: Option<&str>, detail: &str, refusal: &Refusal) -> Option<String> {
        Some(match self {
            Challenge::Bearer => {
                let mut text = format!("Bearer realm=\"{realm}\"");
                if let Some(error) = error {
                    // A claim's name comes from the configuration: it may have what a quoted string may not.
                    let plain = |c: char| c == ' ' || (c.is_ascii_graphic() && c != '"' && c != '\\');
                    let detail: String = detail.chars().filter(|c| plain(*c)).collect();
                    text.push_str(&format!(", error=\"{error}\", error_description=\"{detail}\""));
                }
                if let Refusal::Scope { missing } = refusal {
                    text.push_str(&format!(", scope=\"{missing}\""));
                }
                text
            }
            Challenge::Basic => format!("Basic realm=\"{realm}\", charset=\"UTF-8\""),
            Challenge::ApiKey(header) => format!("ApiKey realm=\"{realm}\", header=\"{header}\""),
            Challenge::None => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_say_what_their_standards_ask_for() {
        let bearer = |refusal: Refusal| refusal.problem("shop", &Challenge::Bearer);
        let missing = bearer(Refusal::Missing);
        assert_eq!((missing.status, missing.challenge.as_deref()), (401, Some("Bearer realm=\"shop\"")));
        let expired = bearer(Flaw::Expired.into()).challenge.unwrap();
        assert_eq!(
            expired,
            "Bearer realm=\"shop\", error=\"invalid_token\", error_description=\"the credentials have expired\""
        );
        let scope = bearer(Refusal::Scope { missing: "orders:write".into() });
        assert_eq!(scope.status, 403);
        assert!(scope.challenge.unwrap().ends_with(", scope=\"orders:write\""));
        let basic = Refusal::Missing.problem("tools", &Challenge::Basic).challenge.unwrap();
        assert_eq!(basic, "Basic realm=\"tools\", charset=\"UTF-8\"");
    }

    #[test]
    fn what_is_down_is_no_fault_of_the_client() {
        let problem = Refusal::SourceDown.problem("shop", &Challenge::Bearer);
        assert_eq!((problem.status, problem.fault, problem.retryable), (503, Fault::Forebay, true));
        assert_eq!(problem.challenge, None);
    }
}
