//! What makes two requests the same: whose key it is, and what was asked for. Keeps digests alone, so that no store
//! holds a caller's name, key or body of a request.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use forebay_http::Fields;

use crate::key::read_key;
use crate::refusal::Refusal;
use crate::settings::{Policy, Scope};

/// Bytes of a digest. SHA-256: that two requests share one must not happen, even where somebody wants it to.
const DIGEST_BYTES: usize = 32;
/// Changes when the recipe does, so that old and new digests never meet.
const KEY_RECIPE: &[u8] = b"forebay idempotency key 1";
const REQUEST_RECIPE: &[u8] = b"forebay idempotency request 1";

/// Stands for route, caller and key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; DIGEST_BYTES]);

/// Stands for method, path, query and body.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; DIGEST_BYTES]);

impl Policy {
    /// Whose request this is, or `None` when it goes on without: it has no key, or is neither POST nor PATCH.
    /// `subject` is the authenticated caller. Before the body is read.
    pub fn identify(
        &self,
        method: &str,
        route: &str,
        subject: Option<&[u8]>,
        fields: &impl Fields,
    ) -> Result<Option<KeyId>, Refusal> {
        if !matches!(method, "POST" | "PATCH") {
            return Ok(None);
        }
        let key = match read_key(fields).map_err(Refusal::Malformed)? {
            Some(key) => key,
            None if self.required => return Err(Refusal::Missing),
            None => return Ok(None),
        };
        let (scope, caller) = match &self.scope {
            Scope::Subject => (&b"subject"[..], subject.ok_or(Refusal::NoCaller)?),
            Scope::Header(name) => (name.as_bytes(), fields.only_value(name).ok_or(Refusal::NoCaller)?),
            Scope::Anonymous => (&b""[..], &b""[..]),
        };
        Ok(Some(KeyId(digest(&[KEY_RECIPE, route.as_bytes(), scope, caller, key.as_bytes()]))))
    }
}

impl Fingerprint {
    /// Of the request as the client sent it, before anything is rewritten, with its whole body.
    pub fn of(method: &str, path: &str, query: Option<&str>, body: &[u8]) -> Fingerprint {
        // "/a" and "/a?" are two requests.
        let has_query = [u8::from(query.is_some())];
        let query = query.unwrap_or_default().as_bytes();
        Fingerprint(digest(&[REQUEST_RECIPE, method.as_bytes(), path.as_bytes(), &has_query, query, body]))
    }
}

/// Each part with its length before it, so that no two lists of parts are one text.
fn digest(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; DIGEST_BYTES];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::OnUnknown;

    fn policy(scope: Scope) -> Policy {
        Policy {
            scope,
            required: false,
            ttl: Duration::from_secs(60),
            lease: Duration::from_secs(5),
            on_unknown: OnUnknown::Refuse,
            response_bytes_max: 1024,
            body_bytes_max: 1024,
            release_on: vec![],
        }
    }

    fn fields(pairs: &[(&'static str, &str)]) -> http::HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn callers_never_share_a_key_unless_the_route_says_so() {
        let keyed = fields(&[("idempotency-key", "k"), ("x-api-key", "one")]);
        let other = fields(&[("idempotency-key", "k"), ("x-api-key", "two")]);
        let id = |scope: Scope, route: &str, subject: Option<&[u8]>, fields: &http::HeaderMap| {
            policy(scope).identify("POST", route, subject, fields)
        };
        let anna = id(Scope::Subject, "r", Some(b"anna"), &keyed);
        assert!(matches!(anna, Ok(Some(_))));
        assert_eq!(anna, id(Scope::Subject, "r", Some(b"anna"), &other));
        assert_ne!(anna, id(Scope::Subject, "r", Some(b"bert"), &keyed));
        assert_ne!(anna, id(Scope::Subject, "s", Some(b"anna"), &keyed));
        assert_ne!(anna, id(Scope::Anonymous, "r", Some(b"anna"), &keyed));
        assert_eq!(id(Scope::Subject, "r", None, &keyed), Err(Refusal::NoCaller));
        let header = Scope::Header("x-api-key".into());
        assert_ne!(id(header.clone(), "r", None, &keyed), id(header.clone(), "r", None, &other));
        assert_eq!(id(header, "r", None, &fields(&[("idempotency-key", "k")])), Err(Refusal::NoCaller));
        assert_eq!(id(Scope::Anonymous, "r", None, &keyed), id(Scope::Anonymous, "r", Some(b"x"), &other));
    }

    #[test]
    fn only_post_and_patch_take_keys() {
        let anonymous = Policy { required: true, ..policy(Scope::Anonymous) };
        let none = fields(&[]);
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"] {
            assert_eq!(anonymous.identify(method, "r", None, &none), Ok(None), "{method}");
        }
        for method in ["POST", "PATCH"] {
            assert_eq!(anonymous.identify(method, "r", None, &none), Err(Refusal::Missing), "{method}");
        }
    }

    #[test]
    fn any_difference_makes_another_request() {
        let of = Fingerprint::of;
        let all = [
            of("POST", "/a", None, b""),
            of("PATCH", "/a", None, b""),
            of("POST", "/a", Some(""), b""),
            of("POST", "/a", Some("b"), b""),
            of("POST", "/a", None, b"b"),
            of("POST", "/ab", None, b""),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{at}");
        }
    }
}
