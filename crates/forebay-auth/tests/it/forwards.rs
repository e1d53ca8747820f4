//! What a service that decides is asked, and what its answers mean.

use forebay_auth::{ForwardPolicy, Method, Policy};
use forebay_http::{Fields, RequestHead, ResponseHead, Scheme};

use crate::written::policy;

fn login(more: &str) -> Policy {
    policy(&format!(
        "forward = {{ service = 'login', path = '/auth', subject = 'x-auth-user', consumer = 'x-auth-client', \
         copy = ['x-auth-roles'], {more} }}"
    ))
}

fn forward(policy: &Policy) -> &ForwardPolicy {
    match policy.method() {
        Method::Forward(forward) => forward,
        _ => panic!("another method"),
    }
}

fn request(target: &str, fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::new("DELETE", Scheme::Https, "shop.example", target);
    for (name, value) in fields {
        head.fields_mut().append(name, value.as_bytes());
    }
    head
}

fn answer(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    for (name, value) in fields {
        head.fields_mut().append(name, value.as_bytes());
    }
    head
}

#[test]
fn the_service_is_told_what_was_asked_and_by_whom() {
    let policy = login("");
    let asked = forward(&policy).subrequest(&request(
        "/orders/7?x=1",
        &[
            ("authorization", "Bearer x"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
            ("content-length", "5"),
            ("x-other", "1"),
        ],
    ));
    assert_eq!((asked.method_text(), asked.target(), asked.authority()), ("GET", "/auth", "shop.example"));
    let names: Vec<String> =
        asked.fields().iter().map(|(_, name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    assert_eq!(
        names,
        [
            "host",
            "x-forwarded-method",
            "x-forwarded-uri",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "authorization",
            "cookie",
            "cookie"
        ]
    );
    let value =
        |name: &str| asked.fields().value(name).map(|value| String::from_utf8_lossy(value).into_owned());
    assert_eq!(value("x-forwarded-method").as_deref(), Some("DELETE"));
    assert_eq!(value("x-forwarded-uri").as_deref(), Some("/orders/7?x=1"));
}

#[test]
fn only_a_clear_answer_counts() {
    let policy = login("");
    let forward = forward(&policy);
    let yes = forward.answer(&answer(
        204,
        &[
            ("x-auth-user", "ada lovelace"),
            ("x-auth-client", "web"),
            ("x-auth-roles", "a, b"),
            ("x-more", "1"),
        ],
    ));
    let yes = yes.expect("a yes");
    assert_eq!((yes.subject.as_deref(), yes.consumer.as_deref()), (Some("ada%20lovelace"), Some("web")));
    assert_eq!(yes.copied.len(), 1, "what is not named is not passed on");
    assert_eq!(forward.answer(&answer(200, &[])).expect("a yes").subject, None);
    let twice = answer(200, &[("x-auth-user", "ada"), ("x-auth-user", "root")]);
    assert_eq!(forward.answer(&twice).expect_err("two names").outcome(), "service unclear");
    for status in [100, 302, 307, 400, 404, 429, 500, 503, 599] {
        let refusal = forward.answer(&answer(status, &[])).expect_err("no yes");
        let outcome = if status < 500 { "service unclear" } else { "service failed" };
        let problem = policy.problem(&refusal);
        assert_eq!((refusal.outcome(), problem.status), (outcome, 503), "{status}");
        assert_eq!(
            (problem.kind, problem.detail.as_ref()),
            ("identity-source-down", "at the moment nobody can say who calls")
        );
    }
    let no = answer(401, &[("www-authenticate", "Bearer"), ("www-authenticate", "Basic realm=\"x\"")]);
    let no = policy.problem(&forward.answer(&no).expect_err("a no"));
    assert_eq!((no.status, no.challenge.as_deref()), (401, Some("Bearer, Basic realm=\"x\"")));
    assert_eq!(policy.problem(&forward.answer(&answer(403, &[])).expect_err("a no")).status, 403);
}

#[test]
fn a_yes_holds_for_the_same_question_alone() {
    let ada = [("authorization", "Bearer ada"), ("x-forwarded-for", "192.0.2.1")];
    let bob = [("authorization", "Bearer bob"), ("x-forwarded-for", "192.0.2.1")];
    let digest = |policy: &Policy, route: &str, target: &str, fields: &[(&str, &str)]| {
        forward(policy).digest(policy.fingerprint(), route, &request(target, fields))
    };
    assert_eq!(digest(&login(""), "a", "/a", &ada), None, "nothing is remembered unless that is wanted");
    for (per, same_path, same_route) in
        [("request", false, false), ("route", true, false), ("caller", true, true)]
    {
        let policy = login(&format!("cache = '5s', cache_per = '{per}'"));
        let first = digest(&policy, "a", "/a", &ada);
        assert!(first.is_some());
        assert_eq!(first, digest(&policy, "a", "/a", &ada), "{per}");
        assert_ne!(first, digest(&policy, "a", "/a", &bob), "{per}: never another caller's");
        assert_ne!(first, digest(&policy, "a", "/a", &[("cookie", "Bearer ada")]), "{per}: another field");
        assert_eq!(first == digest(&policy, "a", "/b", &ada), same_path, "{per}");
        assert_eq!(first == digest(&policy, "b", "/b", &ada), same_route, "{per}");
    }
    let (five, six) = (login("cache = '5s'"), login("cache = '6s'"));
    assert_ne!(
        digest(&five, "a", "/a", &ada),
        digest(&six, "a", "/a", &ada),
        "other settings, other answers"
    );
}
