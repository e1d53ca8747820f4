//! What policies answer, on the wire.

use forebay_cors::{Ask, Outcome, Policy, Reason, Verdict};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::written::policy;

pub(crate) fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    map
}

fn ask(method: &str) -> Ask<'_> {
    Ask { method, scheme: "https", authority: "api.example" }
}

fn lines(fields: &HeaderMap) -> String {
    let mut lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    lines.join("\n")
}

/// Outcome, and fields of the response.
fn preflight(policy: &Policy, asked: &[(&str, &str)]) -> (Outcome, String) {
    let asked = fields(asked);
    match policy.decide(&ask("OPTIONS"), &asked) {
        Verdict::Answer(preflight) => {
            let mut response = HeaderMap::new();
            preflight.edits().apply(&mut response);
            (preflight.decision().outcome(), lines(&response))
        }
        Verdict::Pass(decision) => panic!("passed on: {decision:?}"),
    }
}

fn actual(
    policy: &Policy,
    method: &str,
    asked: &[(&str, &str)],
    upstream: &[(&str, &str)],
) -> (Outcome, String) {
    match policy.decide(&ask(method), &fields(asked)) {
        Verdict::Answer(preflight) => panic!("answered: {preflight:?}"),
        Verdict::Pass(decision) => {
            let mut response = fields(upstream);
            policy.edits(&decision).apply(&mut response);
            (decision.outcome(), lines(&response))
        }
    }
}

const STOREFRONT: &str = "origins = [\"https://shop.example\", \"https://*.preview.shop.example\"]\n\
     credentials = true\nmethods = [\"GET\", \"PUT\"]\nheaders = [\"authorization\", \"content-type\"]\nexpose = [\"etag\"]";

const VARY: &str = "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

#[test]
fn a_permitted_preflight_gets_the_whole_policy() {
    let asked = [
        ("origin", "https://a.preview.shop.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type"),
    ];
    let (outcome, answer) = preflight(&policy(STOREFRONT), &asked);
    assert_eq!(outcome, Outcome::Allowed);
    let expected = format!(
        "access-control-allow-credentials: true\n\
         access-control-allow-headers: authorization, content-type\n\
         access-control-allow-methods: GET, PUT\n\
         access-control-allow-origin: https://a.preview.shop.example\n\
         access-control-max-age: 600\n{VARY}"
    );
    assert_eq!(answer, expected);
}

#[test]
fn a_denied_preflight_says_no_more_than_helps_its_author() {
    let storefront = policy(STOREFRONT);
    let check = |asked: &[(&str, &str)], reason, is_told: bool| {
        let (outcome, answer) = preflight(&storefront, asked);
        assert_eq!(outcome, Outcome::Denied(reason), "{asked:?}");
        assert_eq!(answer.contains("access-control-allow-origin"), is_told, "{answer}");
        assert!(!answer.contains("max-age") && answer.contains(VARY), "{answer}");
    };
    let shop = ("origin", "https://shop.example");
    let put = ("access-control-request-method", "PUT");
    check(&[("origin", "https://evil.example"), put], Reason::OriginNotAllowed, false);
    check(&[shop, shop, put], Reason::OriginMalformed, false);
    check(&[("origin", ""), put], Reason::OriginMalformed, false);
    check(&[shop, ("access-control-request-method", "DELETE")], Reason::MethodNotAllowed, true);
    // Browsers use POST without a permission for it, so the answer must not look like any.
    check(&[shop, ("access-control-request-method", "POST")], Reason::MethodNotAllowed, false);
    check(&[shop, put, ("access-control-request-headers", "x-cart")], Reason::HeaderNotAllowed, true);
    check(
        &[shop, put, ("access-control-request-headers", "content-type,authorization")],
        Reason::HeadersMalformed,
        false,
    );
    let network = ("access-control-request-private-network", "true");
    check(&[shop, put, network], Reason::PrivateNetworkNotAllowed, false);
}

#[test]
fn stars_are_spelled_out_with_credentials() {
    let asked = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "PURGE"),
        ("access-control-request-headers", "x-a,x-b"),
    ];
    let any = "methods = [\"*\"]\nheaders = [\"*\"]\norigins = [\"https://a.example\"]";
    let (_, answer) = preflight(&policy(&format!("{any}\ncredentials = true")), &asked);
    assert!(
        answer.contains("allow-headers: x-a,x-b\n") && answer.contains("allow-methods: PURGE\n"),
        "{answer}"
    );
    let (_, answer) = preflight(&policy(any), &asked);
    assert!(answer.contains("allow-headers: *\n") && answer.contains("allow-methods: *\n"), "{answer}");
}

#[test]
fn private_networks_open_when_told_so() {
    let open = policy("origins = [\"https://a.example\"]\nprivate_network = true");
    let asked = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-private-network", "true"),
    ];
    let (outcome, answer) = preflight(&open, &asked);
    assert_eq!(outcome, Outcome::Allowed);
    assert!(answer.contains("access-control-allow-private-network: true"), "{answer}");
    assert!(answer.contains("Access-Control-Request-Private-Network"), "{answer}");
}

#[test]
fn a_response_says_who_may_read_it() {
    let shop = [("origin", "https://shop.example")];
    let upstream = [("access-control-allow-origin", "*"), ("vary", "accept"), ("etag", "1")];
    let (outcome, response) = actual(&policy(STOREFRONT), "GET", &shop, &upstream);
    assert_eq!(outcome, Outcome::Allowed);
    let expected = "access-control-allow-credentials: true\n\
         access-control-allow-origin: https://shop.example\n\
         access-control-expose-headers: etag\n\
         etag: 1\nvary: accept, Origin";
    assert_eq!(response, expected);
    let evil = [("origin", "https://evil.example")];
    let (outcome, response) = actual(&policy(STOREFRONT), "GET", &evil, &upstream);
    assert_eq!(outcome, Outcome::Denied(Reason::OriginNotAllowed));
    assert_eq!(response, "etag: 1\nvary: accept, Origin");
    let (outcome, response) = actual(&policy(STOREFRONT), "GET", &[], &upstream);
    assert_eq!((outcome, response.as_str()), (Outcome::NotCors, "etag: 1\nvary: accept, Origin"));
    let (outcome, _) = actual(&policy(STOREFRONT), "POST", &[("origin", "https://api.example")], &[]);
    assert_eq!(outcome, Outcome::NotCors, "a page of the very origin is no stranger");
}

#[test]
fn an_answer_that_is_the_same_for_all_needs_no_vary() {
    for (table, allowed) in
        [("origins = [\"*\"]", "*"), ("origins = [\"https://shop.example\"]", "https://shop.example")]
    {
        for asked in [&[][..], &[("origin", "https://shop.example")], &[("origin", "https://b.example")]] {
            let (_, response) = actual(&policy(table), "GET", asked, &[]);
            assert_eq!(response, format!("access-control-allow-origin: {allowed}"), "{asked:?}");
        }
    }
    assert!(!policy("origins = [\"https://a.example\"]\ndebug = true").is_static());
    assert!(!policy("origins = [\"https://a.example\", \"https://b.example\"]").is_static());
    assert!(!policy("origins = [\"https://*.a.example\"]").is_static());
}

#[test]
fn options_without_the_marks_of_a_preflight_passes_on() {
    let storefront = policy(STOREFRONT);
    let (outcome, _) = actual(&storefront, "OPTIONS", &[("access-control-request-method", "PUT")], &[]);
    assert_eq!(outcome, Outcome::NotCors);
    let (outcome, _) = actual(&storefront, "OPTIONS", &[("origin", "https://evil.example")], &[]);
    assert_eq!(outcome, Outcome::Denied(Reason::OriginNotAllowed));
}

#[test]
fn shadow_decides_and_touches_nothing() {
    let shadow =
        policy("origins = [\"https://shop.example\", \"https://b.example\"]\nshadow = true\ndebug = true");
    let upstream = [("access-control-allow-origin", "*")];
    let asked = [("origin", "https://evil.example"), ("access-control-request-method", "PUT")];
    for method in ["OPTIONS", "GET"] {
        let (outcome, response) = actual(&shadow, method, &asked, &upstream);
        assert_eq!(outcome, Outcome::Denied(Reason::OriginNotAllowed));
        assert_eq!(response, "access-control-allow-origin: *");
    }
}

#[test]
fn debug_and_the_embedding_headers_are_said_when_asked_for() {
    let table = "origins = [\"https://a.example\", \"https://b.example\"]\ndebug = true\ntiming_allow_origin = true\n\
         resource_policy = \"same-site\"";
    let (_, response) = actual(&policy(table), "GET", &[("origin", "https://a.example")], &[]);
    let expected = "access-control-allow-origin: https://a.example\ncross-origin-resource-policy: same-site\n\
         forebay-cors: allowed\ntiming-allow-origin: https://a.example\nvary: Origin";
    assert_eq!(response, expected);
    let (_, response) = actual(&policy(table), "GET", &[("origin", "https://c.example")], &[]);
    let expected =
        "cross-origin-resource-policy: same-site\nforebay-cors: denied: origin not allowed\nvary: Origin";
    assert_eq!(response, expected);
}

#[test]
fn a_decision_allocates_nothing() {
    let storefront = policy(STOREFRONT);
    let put = ("access-control-request-method", "PUT");
    let headers = ("access-control-request-headers", "authorization,content-type");
    let requests = [
        ("GET", fields(&[("origin", "https://shop.example")])),
        ("GET", fields(&[("origin", "https://a.preview.shop.example")])),
        ("GET", fields(&[("origin", "https://evil.example")])),
        ("OPTIONS", fields(&[("origin", "https://shop.example"), put, headers])),
        (
            "OPTIONS",
            fields(&[("origin", "https://shop.example"), put, ("access-control-request-headers", "x")]),
        ),
    ];
    for (method, request) in &requests {
        let counted = allocation_counter::measure(|| match storefront.decide(&ask(method), request) {
            Verdict::Answer(preflight) => drop(preflight.edits()),
            Verdict::Pass(decision) => drop(storefront.edits(&decision)),
        });
        assert_eq!(counted.count_total, 0, "{method} {request:?}");
    }
    assert!(allocation_counter::measure(|| drop(fields(&[put]))).count_total > 0, "the counter counts");
}

#[test]
fn a_wildcard_is_not_told_to_those_whom_it_does_not_cover() {
    let asked = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization"),
    ];
    let (outcome, answer) = preflight(&policy("origins = [\"*\"]\nheaders = [\"*\", \"x-a\"]"), &asked);
    assert_eq!(outcome, Outcome::Denied(Reason::HeaderNotAllowed));
    // Chromium would take `*` for a permission here.
    assert!(answer.contains("access-control-allow-headers: x-a\n"), "{answer}");
}

#[test]
fn a_second_list_of_headers_is_nobodys_permission() {
    let asked = [
        ("origin", "https://a.preview.shop.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "x-evil"),
        ("access-control-request-headers", "content-type"),
    ];
    let (outcome, answer) = preflight(&policy(STOREFRONT), &asked);
    assert_eq!(outcome, Outcome::Denied(Reason::HeadersMalformed));
    assert_eq!(answer, VARY);
}

#[test]
fn a_private_network_is_spoken_of_only_when_asked_about() {
    let table = format!("{STOREFRONT}\nprivate_network = true");
    let asked = [("origin", "https://shop.example"), ("access-control-request-method", "PUT")];
    let (outcome, answer) = preflight(&policy(&table), &asked);
    assert_eq!(outcome, Outcome::Allowed);
    assert!(!answer.contains("access-control-allow-private-network"), "{answer}");
}

#[test]
fn a_page_of_the_very_origin_is_no_stranger_whatever_it_does() {
    for origins in ["*", "https://api.example", "https://shop.example"] {
        let table = format!("origins = [\"{origins}\"]");
        let own = [("origin", "https://api.example")];
        assert_eq!(actual(&policy(&table), "DELETE", &own, &[]).0, Outcome::NotCors, "{origins}");
    }
}
