//! Claims for any policy, any call and any bytes.

use std::collections::HashMap;

use forebay_cors::explain::{Call, Credentials, Rules, Walk, walk};
use forebay_cors::{Ask, Decision, Kind, Outcome, Policy, Reason, Verdict};
use http::HeaderMap;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::answers::fields;
use crate::written::{explain_loaded, try_load};

const PATTERNS: &[&str] = &[
    "*",
    "null",
    "https://a.example",
    "https://b.example:8443",
    "https://*.a.example",
    "https://*.example.com:*",
    "http://localhost:*",
    "http://[::1]:*",
    "http://c.example",
    "https://*.github.io",
];
const ORIGINS: &[&str] = &[
    "null",
    "https://a.example",
    "https://b.example:8443",
    "https://x.a.example",
    "https://y.x.a.example",
    "https://xa.example",
    "https://a.example.evil.test",
    "https://deep.example.com:99",
    "http://localhost",
    "http://localhost:3000",
    "http://[::1]:1",
    "http://c.example",
    "https://evil.test",
    "https://octo.github.io",
    "https://api.test",
];
/// What a service may say of CORS by itself.
const SERVICES: &[(&str, &str)] = &[
    ("access-control-allow-origin", "*"),
    ("access-control-allow-origin", "https://evil.test"),
    ("access-control-allow-credentials", "true"),
    ("access-control-allow-methods", "*"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-private-network", "true"),
    ("vary", "accept-encoding"),
    ("vary", "cookie"),
];
const METHODS: &[&str] = &["*", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "PURGE"];
const HEADERS: &[&str] = &["*", "authorization", "content-type", "x-a", "x-b"];
const CALLED: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "patch", "PURGE", "OPTIONS", "TRACE"];
const LINES: &[&str] = &[
    "authorization: x",
    "content-type: application/json",
    "content-type: text/plain",
    "x-a: 1",
    "x-b: 2",
    "x-c: 3",
    "accept: (",
    "range: bytes=0-1",
    "save-data: on",
];

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Tables of every kind; those that do not load are skipped by the claims.
fn table() -> impl Strategy<Value = String> {
    let lists = (
        subsequence(PATTERNS, 1..4),
        subsequence(METHODS, 1..4),
        subsequence(HEADERS, 0..4),
        subsequence(&["etag", "*"][..], 0..2),
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (lists, flags).prop_map(
        |((origins, methods, headers, expose), (credentials, debug, network, timing, override_all))| {
            let mut table = format!(
                "origins = [{}]\nmethods = [{}]\nheaders = [{}]\nexpose = [{}]\ncredentials = {credentials}\n\
             debug = {debug}\nprivate_network = {network}\ntiming_allow_origin = {timing}\n",
                quoted(&origins),
                quoted(&methods),
                quoted(&headers),
                quoted(&expose)
            );
            for danger in [
                "any_origin_with_credentials",
                "null_origin",
                "insecure_origins",
                "public_suffix_wildcards",
                "any_origin_to_private_network",
            ] {
                table += &format!("dangerously_allow_{danger} = {override_all}\n");
            }
            table
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let credentials = select(&[Credentials::Omit, Credentials::SameOrigin, Credentials::Include][..]);
    (select(ORIGINS), select(CALLED), subsequence(LINES, 0..4), credentials).prop_map(
        |(origin, method, lines, credentials)| {
            let call = Call::new(origin, "https://api.test/x").and_then(|call| call.method(method));
            let call =
                lines.iter().fold(call.expect("a call"), |call, line| call.header(line).expect("a header"));
            Call { credentials, ..call }
        },
    )
}

fn policy(table: &str) -> Option<Policy> {
    try_load(table).ok().map(|loaded| Policy::new(&loaded.value.cors["shop"]))
}

fn ask(method: &str) -> Ask<'_> {
    Ask { method, scheme: "https", authority: "api.test" }
}

/// What was decided, and the response's fields.
fn respond(policy: &Policy, method: &str, request: &HeaderMap) -> (Outcome, Kind, HeaderMap) {
    respond_to(policy, method, request, HeaderMap::new())
}

/// The same where a service said something already.
fn respond_to(
    policy: &Policy,
    method: &str,
    request: &HeaderMap,
    mut response: HeaderMap,
) -> (Outcome, Kind, HeaderMap) {
    let decision: Decision = match policy.decide(&ask(method), request) {
        Verdict::Answer(preflight) => {
            preflight.edits().apply(&mut response);
            preflight.decision()
        }
        Verdict::Pass(decision) => {
            policy.edits(&decision).apply(&mut response);
            decision
        }
    };
    (decision.outcome(), decision.kind(), response)
}

/// The entries of the table, by the plain meaning of the words.
fn is_listed(table: &str, origin: &str) -> bool {
    let list = table.lines().next().unwrap_or_default();
    let patterns = list.split('"').skip(1).step_by(2);
    patterns.into_iter().any(|pattern| match pattern {
        "*" => true,
        "https://*.a.example" => is_below(origin, ".a.example", false),
        "https://*.github.io" => is_below(origin, ".github.io", false),
        "https://*.example.com:*" => is_below(origin, ".example.com", true),
        "http://localhost:*" => origin.strip_prefix("http://localhost").is_some_and(is_port),
        "http://[::1]:*" => origin.strip_prefix("http://[::1]").is_some_and(is_port),
        exact => exact == origin,
    })
}

/// Whether this is a subdomain with TLS, spelled as browsers spell it.
fn is_below(origin: &str, domain: &str, any_port: bool) -> bool {
    let Some(rest) = origin.strip_prefix("https://") else { return false };
    let (host, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    let names = host.strip_suffix(domain).is_some_and(|below| below.split('.').all(label));
    names && if any_port { is_port(port) } else { port.is_empty() }
}

/// Nothing, or a colon and a number.
fn is_port(text: &str) -> bool {
    let number = |digits: &str| digits.parse::<u16>().is_ok_and(|port| port.to_string() == digits);
    text.is_empty() || text.strip_prefix(':').is_some_and(number)
}

proptest! {
    #[test]
    fn no_policy_reflects_an_origin_that_it_does_not_list(
        table in table(),
        origin in prop_oneof![
            select(ORIGINS).prop_map(str::to_owned),
            "(https?://)?[a-z*.\\[\\]:/@0-9]{0,24}",
            "https://[a-zA-Z\\-./\u{0}\u{7f}\" ]{0,8}\\.a\\.example(:[0-9]{0,6})?",
            "https://[a-z]{0,2}\\.example\\.com(:[0-9a]{0,6})?",
            "http://localhost(:[0-9a]{0,6}|[.a-z]{0,3})?",
        ],
        method in select(CALLED),
        preflight in any::<bool>(),
        said in subsequence(SERVICES, 0..4),
    ) {
        let (Some(policy), Ok(value)) = (policy(&table), http::HeaderValue::from_str(&origin)) else {
            return Ok(());
        };
        let mut request = HeaderMap::new();
        request.insert("origin", value);
        if preflight {
            request.insert("access-control-request-method", "PUT".parse().expect("a value"));
        }
        let sent = if preflight { "OPTIONS" } else { method };
        let (outcome, _, response) = respond_to(&policy, sent, &request, fields(&said));
        // Every way of saying yes to somebody who was denied, whatever the service behind says.
        let denied = matches!(outcome, Outcome::Denied(Reason::OriginNotAllowed | Reason::OriginMalformed));
        // `*` covers whoever has a name.
        let covered = ORIGINS.contains(&&*origin) && (origin != "null" || table.contains("\"null\""));
        prop_assert!(!covered || denied != is_listed(&table, &origin) || outcome == Outcome::NotCors, "{origin}: {outcome} by {table}");
        if denied {
            // What is said to all alike, and so by caches, names another origin, or `*` to one that is none.
            let open = policy.is_static() && !preflight;
            let allowed = response.get("access-control-allow-origin");
            prop_assert!(allowed.is_none_or(|allowed| open && *allowed != *origin), "{origin}: {allowed:?} by {table}");
            prop_assert!(open || response.get("access-control-allow-credentials").is_none());
            prop_assert!(response.get("access-control-allow-private-network").is_none());
        }
        for name in ["access-control-allow-origin", "timing-allow-origin"] {
            if response.get(name).is_some_and(|allowed| allowed.as_bytes() == origin.as_bytes()) {
                prop_assert!(is_listed(&table, &origin), "{origin} by {table}");
            }
        }
    }

    #[test]
    fn what_is_denied_is_blocked_and_what_is_allowed_works(table in table(), call in call()) {
        let Some(policy) = policy(&table) else { return Ok(()) };
        for rules in [Rules::Standard, Rules::Chromium] {
            let mut answers = Vec::new();
            let mut denied = None;
            let verdict = loop {
                let sent = match walk(rules, &call, &answers) {
                    Walk::Done(verdict) => break verdict,
                    Walk::Ask(sent) => sent,
                };
                let lines: Vec<_> = sent.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                let (outcome, _, response) = respond(&policy, &sent.method, &fields(&lines));
                denied = denied.or(outcome.reason());
                let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                let headers = response.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
                answers.push((sent, forebay_cors::explain::Answer { status: 200, headers }));
            };
            let include_refused = call.credentials == Credentials::Include && !table.contains("\ncredentials = true");
            let forbidden = call.method == "TRACE";
            // Whatever a policy says, a page reads what its own origin answers.
            let own = call.origin == "https://api.test";
            prop_assert_eq!(
                verdict.blocked.is_some(),
                forbidden || (!own && (denied.is_some() || include_refused)),
                "{:?}: {:?} by {}\n{:?}", denied, call, table, verdict
            );
        }
    }

    #[test]
    fn the_fix_fixes(table in table(), call in call()) {
        let Ok(loaded) = try_load(&table) else { return Ok(()) };
        let report = explain_loaded(&loaded, &call);
        if !report.is_blocked() || report.fix.is_empty() {
            return Ok(());
        }
        let key = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
        let kept = table.lines().filter(|line| !report.fix.iter().any(|fix| key(fix) == key(line)));
        let mended: Vec<&str> = kept.chain(report.fix.iter().map(|fix| &**fix)).collect();
        match try_load(&mended.join("\n")) {
            Ok(loaded) => {
                let after = explain_loaded(&loaded, &call);
                prop_assert!(!after.is_blocked(), "{table}\n{report}\nafter:\n{after}");
            }
            // What would let the call through is a danger of its own, and the messages say which.
            Err(problems) => prop_assert!(problems.to_string().contains("dangerously_allow"), "{problems}"),
        }
    }

    #[test]
    fn a_cache_that_honours_vary_serves_nobody_anothers_answer(
        table in table(),
        said in subsequence(SERVICES, 0..4),
        requests in vec((select(&["GET", "HEAD", "POST"][..]), option::of(select(ORIGINS))), 1..12),
    ) {
        let Some(policy) = policy(&table) else { return Ok(()) };
        let mut cache = VaryCache::default();
        for (method, origin) in requests {
            let mut request = HeaderMap::new();
            if let Some(origin) = origin {
                request.insert("origin", origin.parse().expect("a value"));
            }
            let fresh = || {
                let mut response = fields(&said);
                match policy.decide(&ask(method), &request) {
                    Verdict::Answer(_) => unreachable!("no preflight was sent"),
                    Verdict::Pass(decision) => policy.edits(&decision).apply(&mut response),
                };
                response
            };
            let expected = grants(&fresh());
            let served = cache.serve(method, &request, fresh);
            prop_assert_eq!(grants(&served), expected, "{} {:?} by {}", method, origin, table);
        }
    }

    #[test]
    fn what_varies_says_so_and_what_does_not_is_silent(
        table in table(),
        method in select(&["GET", "HEAD", "POST", "PUT"][..]),
        origins in (option::of(select(ORIGINS)), option::of(select(ORIGINS))),
    ) {
        let Some(policy) = policy(&table) else { return Ok(()) };
        let answer = |origin: Option<&str>| {
            let lines: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
            respond(&policy, method, &fields(&lines)).2
        };
        let (one, other) = (answer(origins.0), answer(origins.1));
        let varies = |answer: &HeaderMap| answer.get("vary").is_some_and(|value| value == "Origin");
        prop_assert_eq!(varies(&one), varies(&other), "by {}", table);
        prop_assert!(grants(&one) == grants(&other) || varies(&one) || !matches!(method, "GET" | "HEAD"), "{table}");
        prop_assert_eq!(varies(&one), !policy.is_static());
    }

    #[test]
    fn a_private_network_opens_to_those_alone_whom_the_policy_names(
        table in table(),
        origin in select(ORIGINS),
        method in select(CALLED),
        headers in subsequence(&["authorization", "content-type", "x-a", "x-c"][..], 0..3),
    ) {
        let Some(policy) = policy(&table) else { return Ok(()) };
        let listed = headers.join(",");
        let mut lines = vec![
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-private-network", "true"),
        ];
        lines.extend((!headers.is_empty()).then_some(("access-control-request-headers", &*listed)));
        let (outcome, kind, response) = respond(&policy, "OPTIONS", &fields(&lines));
        prop_assert_eq!(kind, Kind::Preflight);
        let opened = response.get("access-control-allow-private-network").is_some();
        prop_assert_eq!(opened, outcome == Outcome::Allowed, "{} by {}", origin, table);
        prop_assert!(!opened || (table.contains("private_network = true\n") && is_listed(&table, origin)));
    }
}

fn grants(response: &HeaderMap) -> Vec<String> {
    let mut grants: Vec<String> = response
        .iter()
        .filter(|(name, _)| {
            name.as_str().starts_with("access-control-")
                || matches!(name.as_str(), "forebay-cors" | "timing-allow-origin")
        })
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    grants.sort();
    grants
}

/// A shared cache for one URL (RFC 9111 §4.1): keeps what GET and HEAD got, and gives it to requests whose fields that
/// `Vary` names are the same.
#[derive(Default)]
struct VaryCache {
    kept: Vec<(Key, HeaderMap)>,
}

/// The request's values of the fields that a response varies by.
type Key = HashMap<String, Option<Vec<u8>>>;

impl VaryCache {
    fn serve(&mut self, method: &str, request: &HeaderMap, fresh: impl Fn() -> HeaderMap) -> HeaderMap {
        if !matches!(method, "GET" | "HEAD") {
            return fresh();
        }
        let value = |name: &str| request.get(name).map(|value| value.as_bytes().to_vec());
        let fits = |key: &Key| key.iter().all(|(name, had)| value(name) == *had);
        if let Some((_, response)) = self.kept.iter().find(|(key, _)| fits(key)) {
            return response.clone();
        }
        let response = fresh();
        let varies =
            response.get_all("vary").iter().flat_map(|value| forebay_http::fields::list(value.as_bytes()));
        let key = varies
            .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
            .map(|name| (name.clone(), value(&name)))
            .collect();
        self.kept.push((key, response.clone()));
        response
    }
}
