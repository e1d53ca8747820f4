//! What the claims of a token have to say (RFC 7519 §4.1, RFC 8725 §3): who issued it, for whom, from when until when,
//! and what a policy asks for besides.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::identity::Identity;
use crate::jwt::JwtPolicy;
use crate::refusal::{Flaw, Refusal};

/// The last moment that counts as one, in seconds: the end of the year 9999.
const LATEST_S: f64 = 253_402_300_799.0;

pub(crate) type Claims = Map<String, Value>;

impl JwtPolicy {
    /// Whom the claims name, if they are what the policy asks for at this time.
    pub(crate) fn identify(&self, claims: &Claims, now: SystemTime) -> Result<Identity, Refusal> {
        self.check_dates(claims, now)?;
        if !self.issuers.is_empty() {
            let issuer = claims.get("iss").and_then(Value::as_str).ok_or(Flaw::Issuer)?;
            if !self.issuers.iter().any(|known| known == issuer) {
                return Err(Flaw::Issuer.into());
            }
        }
        if !self.audiences.is_empty() && !self.is_meant(claims) {
            return Err(Flaw::Audience.into());
        }
        if let Some(missing) = self.required.iter().find(|name| is_empty(claims.get(name.as_str()))) {
            return Err(Flaw::Claim(missing.clone().into()).into());
        }
        let subject = text_claim(claims, &self.subject)?.ok_or_else(|| Flaw::Claim(self.subject.clone()))?;
        let consumer = match &self.consumer {
            Some(name) => Some(text_claim(claims, name)?.ok_or_else(|| Flaw::Claim(name.clone()))?),
            None => None,
        };
        if let Some(missing) = self.scopes.iter().find(|scope| !has_scope(claims, scope)) {
            return Err(Refusal::Scope { missing: missing.clone().into() });
        }
        Identity::new(Some(subject), consumer).ok_or_else(|| Flaw::Claim(self.subject.clone()).into())
    }

    fn check_dates(&self, claims: &Claims, now: SystemTime) -> Result<(), Flaw> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let leeway = self.leeway.as_secs_f64();
        let expires = date(claims, "exp")?.ok_or_else(|| Flaw::Claim("exp".into()))?;
        if now >= expires + leeway {
            return Err(Flaw::Expired);
        }
        for name in ["nbf", "iat"] {
            if date(claims, name)?.is_some_and(|date| date > now + leeway) {
                return Err(Flaw::TooEarly);
            }
        }
        Ok(())
    }

    fn is_meant(&self, claims: &Claims) -> bool {
        let known = |audience: &Value| {
            audience.as_str().is_some_and(|audience| self.audiences.iter().any(|known| known == audience))
        };
        match claims.get("aud") {
            Some(Value::Array(audiences)) => {
                audiences.iter().all(Value::is_string) && audiences.iter().any(known)
            }
            Some(audience) => known(audience),
            None => false,
        }
    }
}

/// A NumericDate: a number, never a text that looks like one.
fn date(claims: &Claims, name: &str) -> Result<Option<f64>, Flaw> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number.as_f64().filter(|seconds| (0.0..=LATEST_S).contains(seconds));
            seconds.map(Some).ok_or(Flaw::Malformed)
        }
        Some(_) => Err(Flaw::Malformed),
    }
}

fn text_claim<'c>(claims: &'c Claims, name: &str) -> Result<Option<&'c str>, Flaw> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(Flaw::Claim(name.into())),
    }
}

fn is_empty(claim: Option<&Value>) -> bool {
    match claim {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

/// `scope` is a list with spaces (RFC 8693 §4.2); some issuers call it `scp`, or write an array.
fn has_scope(claims: &Claims, wanted: &str) -> bool {
    ["scope", "scp"].iter().any(|name| match claims.get(*name) {
        Some(Value::String(list)) => list.split(' ').any(|scope| scope == wanted),
        Some(Value::Array(list)) => list.iter().any(|scope| scope.as_str() == Some(wanted)),
        _ => false,
    })
}
