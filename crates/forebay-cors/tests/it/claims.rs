//! Claims for any policy, any call and any bytes.

use std::collections::HashMap;

use forebay_cors::explain::{Call, Credentials, Rules, Walk, walk};
use forebay_cors::{Ask, Decision, Kind, Outcome, Policy, Verdict};
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
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (lists, flags).prop_map(
        |((origins, methods, headers, expose), (credentials, debug, network, override_all))| {
            let mut table = format!(
                "origins = [{}]\nmethods = [{}]\nheaders = [{}]\nexpose = [{}]\ncredentials = {credentials}\n\
             debug = {debug}\nprivate_network = {network}\n",
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
    let mut response = HeaderMap::new();
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
        "https://*.a.example" => origin
            .strip_prefix("https://")
            .is_some_and(|host| host.ends_with(".a.example") && host.len() > 10),
        "https://*.github.io" => origin.starts_with("https://") && origin.ends_with(".github.io"),
        "https://*.example.com:*" => {
            let host = origin.strip_prefix("https://").unwrap_or_default();
            host.split(':').next().is_some_and(|host| host.ends_with(".example.com"))
        }
        "http://localhost:*" => origin == "http://localhost" || origin.starts_with("http://localhost:"),
        "http://[::1]:*" => origin == "http://[::1]" || origin.starts_with("http://[::1]:"),
        exact => exact == origin,
    })
}

proptest! {
    #[test]
    fn no_policy_reflects_an_origin_that_it_does_not_list(
        table in table(),
        origin in prop_oneof![
            select(ORIGINS).prop_map(str::to_owned),
            "(https?://)?[a-z*.\\[\\]:/@0-9]{0,24}",
            "https://[a-zA-Z\\-./\u{0}\u{7f}\" ]{0,8}\\.a\\.example(:[0-9]{0,6})?",
        ],
        method in select(CALLED),
        preflight in any::<bool>(),
    ) {
        let (Some(policy), Ok(value)) = (policy(&table), http::HeaderValue::from_str(&origin)) else {
            return Ok(());
        };
        let mut request = HeaderMap::new();
        request.insert("origin", value);
        if preflight {
            request.insert("access-control-request-method", "PUT".parse().expect("a value"));
        }
        let (.., response) = respond(&policy, if preflight { "OPTIONS" } else { method }, &request);
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
            prop_assert_eq!(
                verdict.blocked.is_some(),
                denied.is_some() || include_refused || forbidden,
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
        requests in vec((select(&["GET", "HEAD", "POST"][..]), option::of(select(ORIGINS)), any::<bool>()), 1..12),
    ) {
        let Some(policy) = policy(&table) else { return Ok(()) };
        let mut cache = VaryCache::default();
        for (method, origin, upstream_varies) in requests {
            let mut request = HeaderMap::new();
            if let Some(origin) = origin {
                request.insert("origin", origin.parse().expect("a value"));
            }
            let fresh = || {
                let mut response = HeaderMap::new();
                if upstream_varies {
                    response.insert("vary", "accept-encoding".parse().expect("a value"));
                }
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
}

fn grants(response: &HeaderMap) -> Vec<String> {
    let mut grants: Vec<String> = response
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("access-control-") || name.as_str() == "forebay-cors")
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
