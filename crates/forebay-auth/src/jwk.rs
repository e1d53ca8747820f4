//! Key sets (RFC 7517): the public keys that tokens are verified with. Takes those that a policy's algorithms can use and
//! leaves the others out: for encryption, too small, with other algorithms, shared secrets.

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, Scheme};
use crate::json;
use crate::material::MaterialError;

/// Of a key set's text.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// Keys of one set. An issuer has a few; a hundred leave room for one that keeps a set for all its tenants.
pub const KEYS_MAX: usize = 100;
/// Smaller RSA keys can be broken (RFC 8725 §3.5, NIST SP 800-131A).
const RSA_BITS_MIN: usize = 2048;
/// Larger ones cost a core a millisecond for each request.
const RSA_BITS_MAX: usize = 8192;

/// The keys of one issuer.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    /// How many of the text's keys are not among them.
    pub left_out: usize,
}

#[derive(Debug)]
struct Key {
    kid: Option<Box<str>>,
    /// One for each algorithm that the key may be used with.
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

/// What a set has for a token.
pub(crate) enum Found<'k> {
    /// Keys to try, a few at most.
    Keys(Vec<&'k ParsedPublicKey>),
    /// A key that the set does not have; it may have changed.
    Unknown,
    /// Keys of that name, and none for the algorithm; or no name, where one is needed.
    Unfit,
}

impl KeySet {
    /// Reads a set's text for a policy that allows these algorithms.
    pub fn parse(text: &[u8], allowed: &[Algorithm]) -> Result<KeySet, MaterialError> {
        if text.len() > JWKS_BYTES_MAX {
            return Err(MaterialError::new("the key set is too large"));
        }
        let set = json::object(text).ok_or_else(|| MaterialError::new("the key set is no JSON object"))?;
        let Some(Value::Array(listed)) = set.get("keys") else {
            return Err(MaterialError::new("the key set has no `keys`"));
        };
        if listed.len() > KEYS_MAX {
            return Err(MaterialError::new("the key set has too many keys"));
        }
        let read = |key: &Value| key.as_object().and_then(|members| Key::read(members, allowed));
        let keys: Vec<Key> = listed.iter().filter_map(read).collect();
        if keys.is_empty() {
            return Err(MaterialError::new("the key set has no key that these algorithms can use"));
        }
        Ok(KeySet { left_out: listed.len() - keys.len(), keys })
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: a set without keys is an error.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        /// Keys of one name that are tried; only a mistake makes more than one.
        const TRIED_MAX: usize = 4;
        let fit = |key: &'_ Key| key.verifiers.iter().any(|(known, _)| *known == algorithm);
        let named: Vec<&Key> = match kid {
            Some(kid) => self.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)).collect(),
            None => self.keys.iter().filter(|key| fit(key)).collect(),
        };
        match (kid, named.len()) {
            (Some(_), 0) => return Found::Unknown,
            // Trying all would make every stranger's token cost as many signatures as there are keys.
            (None, count) if count != 1 => return Found::Unfit,
            _ => {}
        }
        let verifiers = named.iter().flat_map(|key| &key.verifiers);
        let fitting = verifiers.filter(|(known, _)| *known == algorithm).map(|(_, verifier)| verifier);
        let fitting: Vec<_> = fitting.take(TRIED_MAX).collect();
        if fitting.is_empty() { Found::Unfit } else { Found::Keys(fitting) }
    }
}

impl Key {
    fn read(members: &Map<String, Value>, allowed: &[Algorithm]) -> Option<Key> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        // A private key that somebody published is nobody's any more.
        if members.contains_key("d") || text("use").is_some_and(|used| used != "sig") {
            return None;
        }
        if let Some(operations) = members.get("key_ops") {
            operations.as_array()?.iter().find(|operation| operation.as_str() == Some("verify"))?;
        }
        let own = match members.get("alg") {
            Some(name) => Some(Algorithm::of(name.as_str()?)?),
            None => None,
        };
        let may = |algorithm: &Algorithm| own.is_none_or(|own| own == *algorithm);
        let read = |&algorithm: &Algorithm| Some((algorithm, verifier(members, algorithm)?));
        let verifiers: Vec<_> = allowed.iter().filter(|algorithm| may(algorithm)).filter_map(read).collect();
        let kid = match members.get("kid") {
            Some(kid) => Some(kid.as_str()?.into()),
            None => None,
        };
        (!verifiers.is_empty()).then_some(Key { kid, verifiers })
    }
}

/// The key for one algorithm, where it is of that kind (RFC 7518 §6, RFC 8037 §2).
fn verifier(members: &Map<String, Value>, algorithm: Algorithm) -> Option<ParsedPublicKey> {
    let kind = members.get("kty")?.as_str()?;
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(members.get(name)?.as_str()?).ok();
    match (algorithm.scheme(), kind) {
        (Scheme::Rsa(parameters), "RSA") => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            let bits = (n.len() * 8).saturating_sub(n.first()?.leading_zeros() as usize);
            if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) || n.first() == Some(&0) {
                return None;
            }
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()
        }
        (Scheme::Curve(curve, scheme), "EC" | "OKP") if members.get("crv")?.as_str()? == curve => {
            if (kind == "OKP") != (algorithm == Algorithm::EdDsa) {
                return None;
            }
            let mut point = bytes("x")?;
            if kind == "EC" {
                let y = bytes("y")?;
                if y.len() != point.len() {
                    return None;
                }
                // Uncompressed (SEC 1 §2.3.3).
                point.insert(0, 4);
                point.extend(y);
            }
            ParsedPublicKey::new(scheme, point).ok()
        }
        _ => None,
    }
}
