//! A compact JWS (RFC 7515 §7.1) taken apart, before anybody believes it. Refuses what two readers could read in two
//! ways: other alphabets, padding, stray bits, repeated members, extensions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::json;
use crate::refusal::Flaw;

/// Of a whole token: what fits into a request's head next to everything else. Tokens of identity providers are 1 to 3 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Of a token's own name for its key.
const KID_BYTES_MAX: usize = 256;

/// A token whose signature nobody has looked at.
#[derive(Debug)]
pub(crate) struct Token<'t> {
    /// What the signature is over.
    pub(crate) signed: &'t [u8],
    pub(crate) signature: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
    claims: &'t [u8],
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    pub(crate) fn parse(text: &'t [u8]) -> Result<Token<'t>, Flaw> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Flaw::TooLarge);
        }
        let mut parts = text.split(|&byte| byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Flaw::Malformed);
        };
        let members = json::object(&decode(header)?).ok_or(Flaw::Malformed)?;
        // An extension that must be understood is one that nobody here does (RFC 7515 §4.1.11). `b64` changes what is
        // signed, and by its own rules has to be listed there (RFC 7797 §6).
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(Flaw::Extension);
        }
        let algorithm = match members.get("alg") {
            Some(Value::String(name)) => Algorithm::of(name).ok_or(Flaw::Algorithm)?,
            _ => return Err(Flaw::Malformed),
        };
        let signature = decode(signature)?;
        if claims.is_empty() || signature.is_empty() {
            return Err(Flaw::Malformed);
        }
        let kid = text_member(&members, "kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            return Err(Flaw::Malformed);
        }
        Ok(Token {
            signed: &text[..header.len() + 1 + claims.len()],
            signature,
            algorithm,
            kid,
            typ: text_member(&members, "typ")?,
            claims,
        })
    }

    /// What it says. To be asked for behind the signature alone.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Flaw> {
        json::object(&decode(self.claims)?).ok_or(Flaw::Malformed)
    }
}

fn text_member(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Flaw> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Flaw::Malformed),
    }
}

/// base64url without padding (RFC 7515 §2), and with no bits left over that could be anything.
fn decode(part: &[u8]) -> Result<Vec<u8>, Flaw> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Malformed)
}
