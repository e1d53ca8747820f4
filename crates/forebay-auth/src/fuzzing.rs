//! What the target of `fuzz/` claims of any bytes that are sent as a token or a key. Compiled for it and for the tests
//! alone.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api_key::ApiKey;
use crate::claims::Claims;
use crate::jwt::JwtPolicy;
use crate::token::{TOKEN_BYTES_MAX, Token};
use crate::{Algorithm, KeySet};

/// Takes the bytes for a token, a key set, and the claims of a token whose signature was right.
pub fn hostile(data: &[u8]) {
    if let Ok(token) = Token::parse(data) {
        assert!(data.len() <= TOKEN_BYTES_MAX, "nobody asked for so much");
        assert!(token.signed.len() < data.len(), "the signature is not signed");
        // One text, one meaning: what was decoded encodes to what was sent.
        let parts: Vec<&[u8]> = data.split(|&byte| byte == b'.').collect();
        assert_eq!(parts.len(), 3, "a compact token has three parts");
        assert_eq!(URL_SAFE_NO_PAD.encode(&token.signature).as_bytes(), parts[2]);
    }
    let policy = policy();
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    assert!(!matches!(policy.verify(data, None, now), Ok(Some(_))), "nobody knows that secret");
    if let Ok(keys) = KeySet::parse(data, &Algorithm::ASYMMETRIC) {
        assert!(!keys.is_empty(), "a set without keys is none");
    }
    if let Some(claims) = crate::json::object(data) {
        check_claims(&policy, &claims, now);
    }
    let _ = ApiKey::parse(data);
}

/// Whoever is let in has a name that a header can carry.
fn check_claims(policy: &JwtPolicy, claims: &Claims, now: std::time::SystemTime) {
    if let Ok(identity) = policy.identify(claims, now) {
        let subject = identity.subject.unwrap_or_default();
        assert!(!subject.is_empty() && subject.bytes().all(|byte| byte.is_ascii_graphic()), "{subject:?}");
        assert!(claims.contains_key("exp"), "a token without an end");
    }
}

fn policy() -> JwtPolicy {
    JwtPolicy {
        header: "authorization".into(),
        algorithms: Algorithm::SYMMETRIC.to_vec(),
        issuers: vec!["https://login.example".into()],
        audiences: vec!["shop".into()],
        leeway: Duration::from_secs(30),
        subject: "sub".into(),
        consumer: None,
        required: Vec::new(),
        scopes: Vec::new(),
        typ: None,
        secret: Some(b"a secret that no input can know by chance".as_slice().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/token");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).expect("a corpus") {
            hostile(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
            count += 1;
        }
        assert!(count >= 10, "the corpus has only {count} inputs");
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_token(data in vec(any::<u8>(), 0..400)) {
            hostile(&data);
        }

        #[test]
        fn no_header_and_no_claims_break_a_token(header in "\\{[\"a-z:,{}\\[\\]0-9]{0,60}\\}", claims in ".{0,60}") {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            hostile(format!("{}.{}.{}", part(&header), part(&claims), part("x")).as_bytes());
            hostile(header.as_bytes());
        }
    }
}
