//! An identity provider's signing key, and tokens by it, right or wrong in every way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// One key, by its name.
pub struct Issuer {
    kid: String,
    key: Key,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// base64url without padding.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    /// With a key for ES256.
    ///
    /// # Panics
    /// When no key can be made; so do the others.
    pub fn es256(kid: &str) -> Issuer {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Issuer { kid: kid.to_owned(), key: Key::Ec(key) }
    }

    /// With a key for RS256, of 2048 bits.
    pub fn rs256(kid: &str) -> Issuer {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Issuer { kid: kid.to_owned(), key: Key::Rsa(Box::new(key)) }
    }

    /// With a key for EdDSA.
    pub fn eddsa(kid: &str) -> Issuer {
        Issuer { kid: kid.to_owned(), key: Key::Ed(Ed25519KeyPair::generate().expect("a key")) }
    }

    /// Its algorithm, as `alg` has it.
    pub fn alg(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => "RS256",
            Key::Ec(_) => "ES256",
            Key::Ed(_) => "EdDSA",
        }
    }

    /// Its public key, as a member of a key set.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Rsa(key) => {
                let (n, e) = rsa_numbers(key.public_key().as_ref());
                json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) })
            }
            Key::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..]) })
            }
            Key::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_key().as_ref()) })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.alg());
        jwk
    }

    /// The public key as files hold it, DER.
    pub fn public_der(&self) -> Vec<u8> {
        match &self.key {
            Key::Rsa(key) => key.public_key().as_ref().to_vec(),
            Key::Ec(key) => key.public_key().as_ref().to_vec(),
            Key::Ed(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// A set of these issuers' keys.
    pub fn jwks(issuers: &[&Issuer]) -> String {
        let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
        json!({ "keys": keys }).to_string()
    }

    /// The header that its tokens have.
    pub fn header(&self) -> Value {
        json!({ "alg": self.alg(), "kid": self.kid, "typ": "JWT" })
    }

    /// A token that says this.
    pub fn token(&self, claims: &Value) -> String {
        self.signed(&self.header().to_string(), &claims.to_string())
    }

    /// A token of these two texts, whatever they are, rightly signed.
    pub fn signed(&self, header: &str, claims: &str) -> String {
        self.sign(&format!("{}.{}", base64url(header), base64url(claims)))
    }

    /// Signs a text and puts the signature behind it.
    pub fn sign(&self, text: &str) -> String {
        format!("{text}.{}", base64url(self.signature(text)))
    }

    /// The signature alone.
    ///
    /// # Panics
    /// When the key does not sign.
    pub fn signature(&self, text: &str) -> Vec<u8> {
        let rng = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let mut signed = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &rng, text.as_bytes(), &mut signed)
                    .expect("a signature");
                signed
            }
            Key::Ec(key) => key.sign(&rng, text.as_bytes()).expect("a signature").as_ref().to_vec(),
            Key::Ed(key) => key.sign(text.as_bytes()).as_ref().to_vec(),
        }
    }
}

/// Claims of `subject` for the audience `shop`, good for five minutes from now on.
pub fn claims(subject: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    json!({ "sub": subject, "aud": "shop", "azp": "web", "iat": now, "exp": now + 300 })
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017 appendix A.1.1).
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    let (sequence, _) = element(der);
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    (n.strip_prefix(&[0]).unwrap_or(n), e)
}

/// The contents of the first element, and what stands behind it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match der[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let count = usize::from(long & 0x7f);
            (der[2..2 + count].iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), 2 + count)
        }
    };
    (&der[start..start + length], &der[start + length..])
}
