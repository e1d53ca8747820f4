//! What is done to tokens by those who want in: every one refused, each for its own reason.

use forebay_auth::{KeySet, Material, Policy, TOKEN_BYTES_MAX, Verdict};
use forebay_testkit::{Issuer, base64url, claims};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::tokens::{JWKS, decide, keys};
use crate::written::policy;

fn customers() -> Policy {
    policy(&format!("jwt = {{ {JWKS}, issuer = 'https://login.example', audience = 'shop', typ = 'JWT' }}"))
}

fn good() -> Value {
    let mut claims = claims("ada");
    claims["iss"] = json!("https://login.example");
    claims
}

/// How a policy answers: the outcome of a refusal, `allowed`, or `asks` for keys.
fn outcome(policy: &Policy, material: &Material, authorization: &str) -> &'static str {
    match decide(policy, Some(material), authorization) {
        Verdict::Allow(_) => "allowed",
        Verdict::Refuse(refusal) => refusal.outcome(),
        Verdict::Ask(_) => "asks",
    }
}

fn hmac(header: &str, claims: &str, key: &[u8]) -> String {
    let text = format!("{}.{}", base64url(header), base64url(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    format!("{text}.{}", base64url(aws_lc_rs::hmac::sign(&key, text.as_bytes())))
}

/// Name, `Authorization`, expected outcome.
type Attack = (&'static str, String, &'static str);

fn headers(issuer: &Issuer, good: &str) -> Vec<Attack> {
    let header = |text: &str| format!("Bearer {}", issuer.signed(text, good));
    let with = |name: &str, value: Value| {
        let mut changed = issuer.header();
        changed[name] = value;
        header(&changed.to_string())
    };
    vec![
        ("alg none", with("alg", json!("none")), "algorithm not allowed"),
        ("alg None", with("alg", json!("None")), "algorithm not allowed"),
        ("alg in lower case", with("alg", json!("es256")), "algorithm not allowed"),
        ("alg empty", with("alg", json!("")), "algorithm not allowed"),
        ("alg a number", with("alg", json!(256)), "malformed"),
        ("alg a list", with("alg", json!(["ES256"])), "malformed"),
        ("no alg", header("{\"kid\":\"1\",\"typ\":\"JWT\"}"), "malformed"),
        ("alg of another kind of key", with("alg", json!("RS256")), "unfit key"),
        ("alg of another curve", with("alg", json!("ES384")), "unfit key"),
        ("kid of nobody", with("kid", json!("2")), "asks"),
        ("kid that looks like a file", with("kid", json!("../../dev/null")), "asks"),
        ("kid empty", with("kid", json!("")), "asks"),
        ("kid a number", with("kid", json!(1)), "malformed"),
        ("kid without end", with("kid", json!("k".repeat(300))), "malformed"),
        ("crit", with("crit", json!(["exp"])), "unknown extension"),
        ("crit empty", with("crit", json!([])), "unknown extension"),
        ("b64 false", with("b64", json!(false)), "unknown extension"),
        ("typ of another token", with("typ", json!("at+jwt")), "wrong type"),
        ("no typ", header("{\"alg\":\"ES256\",\"kid\":\"1\"}"), "wrong type"),
        ("typ a number", with("typ", json!(1)), "malformed"),
        (
            "header member twice",
            header("{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"1\",\"typ\":\"JWT\"}"),
            "malformed",
        ),
        (
            "header member twice, escaped",
            header("{\"alg\":\"ES256\",\"\\u0061lg\":\"none\",\"kid\":\"1\",\"typ\":\"JWT\"}"),
            "malformed",
        ),
        ("header no object", header("[\"ES256\"]"), "malformed"),
        ("header with more behind it", header(&format!("{} {{}}", issuer.header())), "malformed"),
    ]
}

fn claimed(issuer: &Issuer, good: &Value) -> Vec<Attack> {
    let text = |claims: &str| format!("Bearer {}", issuer.signed(&issuer.header().to_string(), claims));
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        text(&changed.to_string())
    };
    let now = good["iat"].as_u64().unwrap_or_default();
    let plain = good.to_string();
    let twice = |member: &str| text(&format!("{},{member}}}", &plain[..plain.len() - 1]));
    let mut endless = good.clone();
    endless.as_object_mut().map(|members| members.remove("exp"));
    vec![
        ("expired", with("exp", json!(now - 3600)), "expired"),
        ("no exp", text(&endless.to_string()), "claim missing"),
        ("exp a text", with("exp", json!((now + 300).to_string())), "malformed"),
        (
            "exp without end",
            text(&plain.replace(&format!("\"exp\":{}", now + 300), "\"exp\":1e308")),
            "malformed",
        ),
        ("exp negative", with("exp", json!(-1)), "malformed"),
        ("exp null", with("exp", Value::Null), "malformed"),
        ("nbf later", with("nbf", json!(now + 3600)), "not yet valid"),
        ("nbf a text", with("nbf", json!("0")), "malformed"),
        ("issued in the future", with("iat", json!(now + 3600)), "not yet valid"),
        ("of another issuer", with("iss", json!("https://evil.example")), "wrong issuer"),
        ("for another audience", with("aud", json!("shop.evil.example")), "wrong audience"),
        ("exp twice", twice(&format!("\"exp\":{}", now + 900)), "malformed"),
        ("sub twice", twice("\"sub\":\"root\""), "malformed"),
        ("sub twice, escaped", twice("\"s\\u0075b\":\"root\""), "malformed"),
        ("sub twice, deeper", text(&plain.replace("\"web\"", "{\"a\":1,\"a\":2}")), "malformed"),
        ("sub a list", with("sub", json!(["ada"])), "claim missing"),
        ("sub without end", with("sub", json!("a".repeat(300))), "claim missing"),
        ("claims no object", text("\"ada\""), "malformed"),
        (
            "claims no UTF-8",
            format!(
                "Bearer {}",
                issuer.sign(&format!(
                    "{}.{}",
                    base64url(issuer.header().to_string()),
                    base64url(b"{\"sub\":\"\xff\"}")
                ))
            ),
            "malformed",
        ),
        ("oversized", with("x", json!("x".repeat(TOKEN_BYTES_MAX))), "too large"),
    ]
}

fn texts(issuer: &Issuer, good: &Value) -> Vec<Attack> {
    let token = issuer.token(good);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("no token: {token}") };
    let raw = issuer.signature(&format!("{header}.{claims}"));
    let signed = |signature: &[u8]| format!("Bearer {header}.{claims}.{}", base64url(signature));
    let mut longer = raw.clone();
    longer.push(0);
    // The last character has bits that stand for nothing.
    let stray = |text: &str| {
        let (rest, last) = text.split_at(text.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.find(last).unwrap_or_default();
        format!("{rest}{}", &alphabet[at + 1..at + 2])
    };
    let root = base64url(good.to_string().replace("ada", "root"));
    vec![
        ("another's claims", format!("Bearer {header}.{root}.{signature}"), "bad signature"),
        ("signature empty", format!("Bearer {header}.{claims}."), "malformed"),
        ("no signature", format!("Bearer {header}.{claims}"), "malformed"),
        ("signature cut off", signed(&raw[..63]), "bad signature"),
        ("signature one byte long", signed(&raw[..1]), "bad signature"),
        ("signature longer", signed(&longer), "bad signature"),
        ("signature of zeros", signed(&[0; 64]), "bad signature"),
        (
            "signature as DER",
            signed(&[&[0x30, 0x44, 2, 32], &raw[..32], &[2, 32], &raw[32..]].concat()),
            "bad signature",
        ),
        ("claims empty", format!("Bearer {header}..{signature}"), "malformed"),
        ("four parts", format!("Bearer {token}.x"), "malformed"),
        ("five parts", format!("Bearer {header}.x.x.x.x"), "malformed"),
        ("padding", format!("Bearer {header}.{claims}.{signature}=="), "malformed"),
        ("the other alphabet", format!("Bearer {header}.{claims}.{}", "+/".repeat(43)), "malformed"),
        (
            "bits that stand for nothing",
            format!("Bearer {header}.{claims}.{}", stray(signature)),
            "malformed",
        ),
        ("a space inside", format!("Bearer {header}. {claims}.{signature}"), "bad signature"),
        (
            "a space inside, signed",
            format!("Bearer {}", issuer.sign(&format!("{header}. {claims}"))),
            "malformed",
        ),
        (
            "padding inside, signed",
            format!("Bearer {}", issuer.sign(&format!("{header}.{claims}="))),
            "malformed",
        ),
        ("a space behind", format!("Bearer {token} "), "malformed"),
        ("a tab before", format!("Bearer \t{token}"), "malformed"),
        ("two tokens", format!("Bearer {token}, {token}"), "malformed"),
        ("another scheme", format!("Basic {token}"), "no credentials"),
        ("no scheme", token.clone(), "no credentials"),
        ("nothing", "Bearer ".into(), "malformed"),
        ("scheme alone", "Bearer".into(), "no credentials"),
    ]
}

#[test]
fn every_attack_is_refused() {
    let (policy, issuer, good) = (customers(), Issuer::es256("1"), good());
    let material = keys(&Issuer::jwks(&[&issuer]));
    for spaces in [" ", "   "] {
        let text = format!("Bearer{spaces}{}", issuer.token(&good));
        assert_eq!(outcome(&policy, &material, &text), "allowed");
    }
    let attacks =
        [headers(&issuer, &good.to_string()), claimed(&issuer, &good), texts(&issuer, &good)].concat();
    let wrong: Vec<String> = attacks
        .iter()
        .map(|(name, authorization, expected)| (name, outcome(&policy, &material, authorization), expected))
        .filter(|(_, got, expected)| got != *expected)
        .map(|(name, got, expected)| format!("{name}: {got} instead of {expected}"))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert!(attacks.len() >= 60, "only {} attacks", attacks.len());
}

#[test]
fn a_key_in_the_token_is_not_looked_at() {
    let (policy, issuer, thief) = (customers(), Issuer::es256("1"), Issuer::es256("1"));
    let material = keys(&Issuer::jwks(&[&issuer]));
    for name in ["jwk", "jku", "x5u", "x5c"] {
        let mut header = thief.header();
        header[name] = if name == "jwk" { thief.jwk() } else { json!("https://evil.example/keys") };
        let token = thief.signed(&header.to_string(), &good().to_string());
        assert_eq!(outcome(&policy, &material, &format!("Bearer {token}")), "bad signature", "{name}");
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let issuer = Issuer::rs256("1");
    let (good, material) = (good().to_string(), keys(&Issuer::jwks(&[&issuer])));
    let header = "{\"alg\":\"HS256\",\"kid\":\"1\",\"typ\":\"JWT\"}";
    let jwk = issuer.jwk().to_string();
    for key in [&issuer.public_der()[..], jwk.as_bytes(), b""] {
        let token = hmac(header, &good, key);
        assert_eq!(outcome(&customers(), &material, &format!("Bearer {token}")), "algorithm not allowed");
    }
}

#[test]
fn keys_are_used_for_what_they_are_for() {
    let (policy, issuer) = (customers(), Issuer::es256("1"));
    let other = Issuer::es256("2");
    let token = format!("Bearer {}", issuer.token(&good()));
    let with = |changes: &[(&str, Value)]| {
        let mut jwk = issuer.jwk();
        for (name, value) in changes {
            jwk[*name] = value.clone();
        }
        keys(&json!({ "keys": [jwk, other.jwk()] }).to_string())
    };
    assert_eq!(outcome(&policy, &with(&[]), &token), "allowed");
    assert_eq!(outcome(&policy, &with(&[("key_ops", json!(["verify"]))]), &token), "allowed");
    for changes in [
        ("use", json!("enc")),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
        ("alg", json!("none")),
        ("key_ops", json!(["sign"])),
        ("kty", json!("RSA")),
        ("kty", json!("oct")),
        ("crv", json!("P-384")),
        ("x", json!("AAAA")),
        ("d", json!("AAAA")),
        ("kid", json!(1)),
    ] {
        assert_eq!(outcome(&policy, &with(std::slice::from_ref(&changes)), &token), "asks", "{changes:?}");
    }
}

#[test]
fn a_small_key_a_shared_secret_and_an_empty_set_are_no_keys() {
    let refused = |text: Value| {
        KeySet::parse(text.to_string().as_bytes(), &forebay_auth::Algorithm::ASYMMETRIC).is_err()
    };
    let small = |bytes: usize| {
        let n = [&[0xff][..], &vec![1; bytes - 1]].concat();
        json!({ "keys": [{ "kty": "RSA", "n": base64url(n), "e": "AQAB" }] })
    };
    assert!(refused(small(128)), "1024 bits");
    assert!(refused(small(255)), "2040 bits");
    assert!(!refused(small(256)));
    assert!(refused(small(1025)), "more than 8192 bits");
    assert!(refused(json!({ "keys": [{ "kty": "oct", "k": base64url([7; 32]), "kid": "1" }] })));
    assert!(refused(json!({ "keys": [] })));
    assert!(refused(json!({})));
    assert!(refused(json!({ "keys": vec![Issuer::es256("1").jwk(); 101] })));
    let twice = format!("{{\"keys\":[],\"keys\":[{}]}}", Issuer::es256("1").jwk());
    assert!(KeySet::parse(twice.as_bytes(), &forebay_auth::Algorithm::ASYMMETRIC).is_err());
}

#[test]
fn after_a_rotation_old_tokens_and_swapped_keys_are_refused() {
    let policy = customers();
    let (old, new) = (Issuer::es256("1"), Issuer::es256("2"));
    let token = format!("Bearer {}", old.token(&good()));
    assert_eq!(outcome(&policy, &keys(&Issuer::jwks(&[&old, &new])), &token), "allowed");
    assert_eq!(outcome(&policy, &keys(&Issuer::jwks(&[&new])), &token), "asks", "its key is gone");
    // The same name for another key.
    let swapped = Issuer::es256("1");
    assert_eq!(outcome(&policy, &keys(&Issuer::jwks(&[&swapped])), &token), "bad signature");
}

#[test]
fn credentials_stand_once() {
    let (policy, issuer) = (customers(), Issuer::es256("1"));
    let material = keys(&Issuer::jwks(&[&issuer]));
    let mut head = forebay_http::RequestHead::new("GET", forebay_http::Scheme::Http, "a", "/");
    for _ in 0..2 {
        let value = format!("Bearer {}", issuer.token(&good()));
        head.fields_mut().append("authorization", value.as_bytes());
    }
    let verdict = policy.decide(head.fields(), Some(&material), std::time::SystemTime::now());
    let Verdict::Refuse(refusal) = verdict else { panic!("{verdict:?}") };
    assert_eq!(policy.problem(&refusal).status, 400);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_character_is_let_in(at in any::<prop::sample::Index>(), by in 1_u8..64) {
        let (policy, issuer) = (customers(), Issuer::es256("1"));
        let token = issuer.token(&good());
        let mut changed = token.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = changed[at].wrapping_add(by) & 0x7f;
        prop_assume!(changed[at] >= b' ' && changed[at] != 0x7f);
        let changed = String::from_utf8(changed).expect("ASCII");
        prop_assume!(changed != token);
        let material = keys(&Issuer::jwks(&[&issuer]));
        prop_assert_ne!(outcome(&policy, &material, &format!("Bearer {changed}")), "allowed");
    }
}
