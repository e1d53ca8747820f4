//! Tokens: how a request carries one, and whether it counts. The signature comes before everything that the token says.

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use forebay_http::Fields;

use crate::algorithm::{Algorithm, Scheme};
use crate::identity::Identity;
use crate::jwk::{Found, KeySet};
use crate::refusal::{Flaw, Refusal};
use crate::token::Token;

/// A `jwt` table, compiled.
pub struct JwtPolicy {
    pub(crate) header: Box<str>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) leeway: Duration,
    pub(crate) subject: Box<str>,
    pub(crate) consumer: Option<Box<str>>,
    pub(crate) required: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) typ: Option<String>,
    /// Shared with the issuer, instead of a key set.
    pub(crate) secret: Option<Box<[u8]>>,
}

/// What a policy says of a token.
#[derive(Debug)]
pub(crate) enum Judged {
    Known(Identity),
    Refused(Refusal),
    /// By a key that the set does not have, or there is no set.
    NeedsKeys,
}

impl JwtPolicy {
    /// Judges a request by the keys there are.
    pub(crate) fn judge(
        &self,
        fields: &(impl Fields + ?Sized),
        keys: Option<&KeySet>,
        now: SystemTime,
    ) -> Judged {
        let text = match bearer(fields, &self.header) {
            Ok(text) => text,
            Err(refusal) => return Judged::Refused(refusal),
        };
        match self.verify(text, keys, now) {
            Ok(Some(identity)) => Judged::Known(identity),
            Ok(None) => Judged::NeedsKeys,
            Err(refusal) => Judged::Refused(refusal),
        }
    }

    /// Whom a token names; `None` when it is by a key that is not known.
    pub fn verify(
        &self,
        text: &[u8],
        keys: Option<&KeySet>,
        now: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        let token = Token::parse(text)?;
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Flaw::Algorithm.into());
        }
        if let Some(wanted) = &self.typ
            && !token.typ.as_deref().is_some_and(|typ| is_type(typ, wanted))
        {
            return Err(Flaw::Type.into());
        }
        match (&self.secret, keys) {
            (Some(secret), _) => check_secret(secret, &token)?,
            (None, None) => return Ok(None),
            (None, Some(keys)) => match keys.find(token.kid.as_deref(), token.algorithm) {
                Found::Unknown => return Ok(None),
                Found::Unfit => return Err(Flaw::Key.into()),
                Found::Keys(keys) => {
                    let verifies = |key: &&aws_lc_rs::signature::ParsedPublicKey| {
                        key.verify_sig(token.signed, &token.signature).is_ok()
                    };
                    keys.iter().any(verifies).then_some(()).ok_or(Flaw::Signature)?;
                }
            },
        }
        self.identify(&token.claims()?, now).map(Some)
    }
}

/// In constant time, by the library.
fn check_secret(secret: &[u8], token: &Token<'_>) -> Result<(), Flaw> {
    let Scheme::Hmac(algorithm) = token.algorithm.scheme() else { return Err(Flaw::Algorithm) };
    let key = hmac::Key::new(algorithm, secret);
    hmac::verify(&key, token.signed, &token.signature).map_err(|_| Flaw::Signature)
}

/// A media type whose `application/` may be left out, compared without case (RFC 7515 §4.1.9).
fn is_type(typ: &str, wanted: &str) -> bool {
    let bare = |text: &'_ str| text.to_ascii_lowercase().trim_start_matches("application/").to_owned();
    bare(typ) == bare(wanted)
}

/// The token of `Authorization: Bearer` (RFC 6750 §2.1), or the whole value of another field.
pub(crate) fn bearer<'f>(fields: &'f (impl Fields + ?Sized), header: &str) -> Result<&'f [u8], Refusal> {
    let value = only(fields, header)?;
    if header != "authorization" {
        return Ok(value);
    }
    scheme(value, "bearer").ok_or(Refusal::Missing)
}

/// The value of a field that carries credentials: once, or they contradict each other.
pub(crate) fn only<'f>(fields: &'f (impl Fields + ?Sized), header: &str) -> Result<&'f [u8], Refusal> {
    if !fields.has(header) {
        return Err(Refusal::Missing);
    }
    fields.only_value(header).ok_or(Refusal::Repeated)
}

/// What stands behind a scheme's name and its spaces (RFC 9110 §11.4).
pub(crate) fn scheme<'v>(value: &'v [u8], name: &str) -> Option<&'v [u8]> {
    let (scheme, rest) = value.split_at_checked(name.len())?;
    let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
    (spaces > 0).then(|| &rest[spaces..]).filter(|_| scheme.eq_ignore_ascii_case(name.as_bytes()))
}
