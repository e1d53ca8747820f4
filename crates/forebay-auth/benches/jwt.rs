//! What a token costs beside its signature alone: `cargo xtask bench jwt`. Bar: with a cached key, little more.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::SystemTime;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use forebay_auth::{Algorithm, AuthSettings, KeySet, Material, Policy, Verdict};
use forebay_config::{Inputs, Name, Settings, load};
use forebay_http::{RequestHead, Scheme};
use forebay_testkit::{Issuer, claims};

/// The whole file.
#[derive(Debug, Settings)]
struct Root {
    /// Policies.
    auth: BTreeMap<Name, AuthSettings>,
}

fn policy() -> Policy {
    let text = "[auth.customers]\njwt = { jwks = 'https://login.example/jwks', audience = 'shop', consumer = 'azp' }\n";
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
    let loaded = load::<Root>(inputs).expect("a valid policy");
    Policy::new("customers", &loaded.value.auth["customers"]).expect("a policy")
}

/// A token of the usual size, on a request of the usual size.
fn head(token: &str) -> RequestHead {
    let mut head = RequestHead::new("GET", Scheme::Https, "api.example", "/orders/7");
    for (name, value) in [
        ("accept", "*/*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
    ] {
        head.fields_mut().append(name, value.as_bytes());
    }
    head.fields_mut().append("authorization", format!("Bearer {token}").as_bytes());
    head
}

fn measure(c: &mut Criterion, issuer: &Issuer, algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) {
    let mut claims = claims("auth0|5f7c8ec7c33c6c004bbafe82");
    claims["exp"] = serde_json::json!(4_000_000_000_u64);
    claims["scope"] = serde_json::json!("openid profile email orders:read orders:write");
    claims["email"] = serde_json::json!("ada@shop.example");
    let token = issuer.token(&claims);
    let policy = policy();
    let keys = Issuer::jwks(&[issuer, &Issuer::es256("2"), &Issuer::eddsa("3")]);
    let material = Material::Keys(KeySet::parse(keys.as_bytes(), &Algorithm::ASYMMETRIC).expect("keys"));
    let head = head(&token);
    let now = SystemTime::now();
    assert!(matches!(policy.decide(head.fields(), Some(&material), now), Verdict::Allow(_)));
    c.bench_function(&format!("{}/token", issuer.alg()), |b| {
        b.iter(|| black_box(policy.decide(black_box(head.fields()), Some(&material), now)))
    });
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("a signature");
    let key = ParsedPublicKey::new(algorithm, key).expect("a key");
    c.bench_function(&format!("{}/signature alone", issuer.alg()), |b| {
        b.iter(|| key.verify_sig(black_box(signed.as_bytes()), black_box(&signature)).expect("it is right"))
    });
}

fn tokens(c: &mut Criterion) {
    let (ec, ed, rsa) = (Issuer::es256("1"), Issuer::eddsa("1"), Issuer::rs256("1"));
    measure(c, &ec, &ECDSA_P256_SHA256_FIXED, &ec.public_der());
    measure(c, &ed, &ED25519, &ed.public_der());
    measure(c, &rsa, &RSA_PKCS1_2048_8192_SHA256, &rsa.public_der());
}

criterion_group!(benches, tokens);
criterion_main!(benches);
