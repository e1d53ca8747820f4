//! Tokens that count: by every kind of key, for every kind of policy.

use std::time::{Duration, SystemTime};

use forebay_auth::{Algorithm, Identity, KeySet, Material, Policy, Question, Refusal, Verdict};
use forebay_http::{RequestHead, Scheme};
use forebay_testkit::{Issuer, claims};
use serde_json::{Value, json};

use crate::written::policy;

pub(crate) const JWKS: &str = "jwks = 'https://login.example/jwks'";

pub(crate) fn keys(text: &str) -> Material {
    Material::Keys(KeySet::parse(text.as_bytes(), &Algorithm::ASYMMETRIC).expect("a key set"))
}

/// What a policy says of a request with this `Authorization`.
pub(crate) fn decide(policy: &Policy, material: Option<&Material>, authorization: &str) -> Verdict {
    let mut head = RequestHead::new("GET", Scheme::Http, "shop.example", "/");
    head.fields_mut().append("authorization", authorization.as_bytes());
    policy.decide(head.fields(), material, SystemTime::now())
}

#[track_caller]
fn allowed(policy: &Policy, material: &Material, token: &str) -> Identity {
    match decide(policy, Some(material), &format!("Bearer {token}")) {
        Verdict::Allow(identity) => identity,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(policy: &Policy, material: &Material, token: &str) -> Refusal {
    match decide(policy, Some(material), &format!("Bearer {token}")) {
        Verdict::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[test]
fn every_kind_of_key_verifies_its_tokens() {
    let policy = policy(&format!("jwt = {{ {JWKS}, audience = 'shop', consumer = 'azp' }}"));
    let issuers = [Issuer::es256("ec"), Issuer::rs256("rsa"), Issuer::eddsa("ed")];
    let material = keys(&Issuer::jwks(&[&issuers[0], &issuers[1], &issuers[2]]));
    for issuer in &issuers {
        let identity = allowed(&policy, &material, &issuer.token(&claims("ada")));
        assert_eq!((identity.subject.as_deref(), identity.consumer.as_deref()), (Some("ada"), Some("web")));
    }
    assert!(matches!(
        decide(&policy, Some(&material), &format!("bearer {}", issuers[0].token(&claims("ada")))),
        Verdict::Allow(_)
    ));
}

#[test]
fn a_token_without_a_key_name_counts_where_only_one_key_fits() {
    let policy = policy(&format!("jwt = {{ {JWKS}, audience = 'shop' }}"));
    let (one, other, rsa) = (Issuer::es256("1"), Issuer::es256("2"), Issuer::rs256("3"));
    let token = one.signed("{\"alg\":\"ES256\"}", &claims("ada").to_string());
    allowed(&policy, &keys(&Issuer::jwks(&[&one, &rsa])), &token);
    assert_eq!(refused(&policy, &keys(&Issuer::jwks(&[&one, &other])), &token).outcome(), "unfit key");
}

#[test]
fn claims_decide_who_it_is_and_how_far_it_goes() {
    let policy = policy(&format!(
        "jwt = {{ {JWKS}, issuer = ['https://a.example', 'https://b.example'], audience = ['shop', 'api'], \
         subject = 'email', required = ['tenant'], scopes = ['orders:read', 'orders:write'] }}"
    ));
    let issuer = Issuer::es256("1");
    let material = keys(&Issuer::jwks(&[&issuer]));
    let full = json!({
        "iss": "https://b.example", "aud": ["other", "api"], "email": "ada@shop.example", "tenant": 7,
        "scope": "orders:write openid orders:read", "exp": claims("")["exp"],
    });
    let identity = allowed(&policy, &material, &issuer.token(&full));
    assert_eq!(identity.subject.as_deref(), Some("ada@shop.example"));
    let array = with(with(full.clone(), "scope", Value::Null), "scp", json!(["orders:read", "orders:write"]));
    allowed(&policy, &material, &issuer.token(&array));
    for (name, value, outcome) in [
        ("iss", json!("https://c.example"), "wrong issuer"),
        ("iss", json!(["https://a.example"]), "wrong issuer"),
        ("aud", json!("other"), "wrong audience"),
        ("aud", json!(["api", 7]), "wrong audience"),
        ("aud", json!("shop api"), "wrong audience"),
        ("email", json!(""), "claim missing"),
        ("email", json!(7), "claim missing"),
        ("tenant", json!(""), "claim missing"),
        ("tenant", Value::Null, "claim missing"),
        ("scope", json!("orders:read"), "scope missing"),
        ("scope", json!("orders:reader orders:writer"), "scope missing"),
    ] {
        let token = issuer.token(&with(full.clone(), name, value.clone()));
        assert_eq!(refused(&policy, &material, &token).outcome(), outcome, "{name} = {value}");
    }
    let problem =
        policy.problem(&refused(&policy, &material, &issuer.token(&with(full, "scope", json!("")))));
    assert_eq!(problem.status, 403);
    assert!(problem.challenge.is_some_and(|text| text.contains("error=\"insufficient_scope\"")));
}

#[test]
fn clocks_may_be_a_little_apart() {
    let policy = policy(&format!("jwt = {{ {JWKS}, audience = 'shop', leeway = '30s' }}"));
    let issuer = Issuer::es256("1");
    let material = keys(&Issuer::jwks(&[&issuer]));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    for (name, seconds, outcome) in [
        ("exp", now - 10, None),
        ("exp", now - 40, Some("expired")),
        ("nbf", now + 10, None),
        ("nbf", now + 60, Some("not yet valid")),
        ("iat", now + 10, None),
        ("iat", now + 60, Some("not yet valid")),
    ] {
        let token = issuer.token(&with(claims("ada"), name, json!(seconds)));
        let verdict = decide(&policy, Some(&material), &format!("Bearer {token}"));
        let got = match &verdict {
            Verdict::Refuse(refusal) => Some(refusal.outcome()),
            Verdict::Allow(_) => None,
            Verdict::Ask(_) => Some("asked"),
        };
        assert_eq!(got, outcome, "{name} {seconds}");
    }
    // A NumericDate may have a fraction.
    allowed(&policy, &material, &issuer.token(&with(claims("ada"), "exp", json!(now as f64 + 60.5))));
}

#[test]
fn a_shared_secret_is_taken_where_it_is_configured_and_nowhere_else() {
    let secret = "0123456789abcdef0123456789abcdef";
    let policy = policy(&format!("jwt = {{ secret = '{secret}', audience = 'shop' }}"));
    let sign = |key: &str| {
        let text = format!(
            "{}.{}",
            forebay_testkit::base64url("{\"alg\":\"HS256\"}"),
            forebay_testkit::base64url(claims("ada").to_string())
        );
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
        format!("Bearer {text}.{}", forebay_testkit::base64url(tag))
    };
    assert!(matches!(decide(&policy, None, &sign(secret)), Verdict::Allow(_)));
    assert!(matches!(decide(&policy, None, &sign("another")), Verdict::Refuse(_)));
    let issuer = Issuer::es256("1");
    assert!(matches!(
        decide(&policy, None, &format!("Bearer {}", issuer.token(&claims("ada")))),
        Verdict::Refuse(_)
    ));
}

#[test]
fn a_key_that_is_not_known_is_asked_for() {
    let policy = policy(&format!("jwt = {{ {JWKS}, audience = 'shop' }}"));
    let (old, new) = (Issuer::es256("old"), Issuer::es256("new"));
    let token = format!("Bearer {}", new.token(&claims("ada")));
    let before = keys(&Issuer::jwks(&[&old]));
    assert!(matches!(decide(&policy, Some(&before), &token), Verdict::Ask(Question::Keys)));
    assert_eq!(Policy::without_keys(Some(&before)).outcome(), "unknown key");
    assert!(matches!(decide(&policy, None, &token), Verdict::Ask(Question::Keys)));
    assert_eq!(Policy::without_keys(None).outcome(), "source down", "nobody is let in without keys");
    let after = keys(&Issuer::jwks(&[&old, &new]));
    assert!(matches!(decide(&policy, Some(&after), &token), Verdict::Allow(_)));
}
