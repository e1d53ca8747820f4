//! What `explain` prints.

use forebay_cors::explain::{Answer, Block, Call, Credentials, Inquiry, Mode, Next, Report, har};

use crate::written::explain;

const STOREFRONT: &str = "origins = [\"https://shop.example\", \"https://*.preview.shop.example\"]\n\
     credentials = true\nmethods = [\"GET\", \"PUT\"]\nheaders = [\"authorization\", \"content-type\"]";
const URL: &str = "https://api.shop.example/api/orders/7";

fn call(method: &str, headers: &[&str]) -> Call {
    let call = Call::new("https://shop.example", URL).expect("a call").method(method).expect("a method");
    headers.iter().fold(call, |call, line| call.header(line).expect("a header"))
}

#[track_caller]
fn check(table: &str, call: &Call, expected: &str) {
    assert_eq!(explain(table, call).to_string(), expected.trim_start_matches('\n'));
}

#[test]
fn a_header_that_is_not_allowed_is_named_with_its_line_and_the_fix() {
    check(
        STOREFRONT,
        &call("PUT", &["x-cart"]),
        r#"
blocked: HeaderDisallowedByPreflightResponse (x-cart)
  preflight needed   PUT is not a simple method; x-cart is not a safelisted header
  1 origin           pass   https://shop.example, forebay.toml:2
  2 method           pass   PUT
  3 headers          FAIL   x-cart is not in cors.shop.headers, forebay.toml:5
fix: headers = ["authorization", "content-type", "x-cart"]
"#,
    );
}

#[test]
fn all_headers_that_are_not_allowed_are_named() {
    let put = || call("PUT", &["x-cart: 1", "x-b: 2", "content-type: text/plain"]);
    check(
        STOREFRONT,
        &put(),
        r#"
blocked: HeaderDisallowedByPreflightResponse (x-b, x-cart)
  preflight needed   PUT is not a simple method; x-cart is not a safelisted header; x-b is not a safelisted header
  1 origin           pass   https://shop.example, forebay.toml:2
  2 method           pass   PUT
  3 headers          FAIL   x-b, x-cart are not in cors.shop.headers, forebay.toml:5
fix: headers = ["authorization", "content-type", "x-b", "x-cart"]
"#,
    );
    let shop: &[_] = &[OPEN, ("Access-Control-Allow-Methods", "PUT")];
    let report = live(put(), &[(204, shop), (200, shop)]).to_string();
    assert!(
        report.contains("has no Access-Control-Allow-Headers, and x-b, x-cart need to be in it"),
        "{report}"
    );
    assert!(report.contains("fix: add x-b, x-cart to Access-Control-Allow-Headers"), "{report}");
}

#[test]
fn a_redirect_to_a_url_with_a_user_is_told_apart_by_mode_and_browser() {
    let here = || Call::new("https://shop.example", "https://shop.example/a").expect("a call");
    let here_again: &[_] = &[("Location", "https://u:p@shop.example/b")];
    let same = live(here(), &[(302, here_again), (200, &[])]).to_string();
    assert!(same.starts_with("blocked: RedirectContainsCredentials\nby the standard allowed"), "{same}");
    let mode = Call { mode: Mode::SameOrigin, ..here() };
    let elsewhere: &[_] = &[("Location", "https://u:p@b.example/")];
    let left = live(mode, &[(302, elsewhere), (200, &[])]).to_string();
    assert!(left.starts_with("blocked: DisallowedByMode (https://b.example)\n"), "{left}");
}

#[test]
fn a_shadow_is_explained_by_what_it_would_say() {
    let allowed = explain(&format!("{STOREFRONT}\nshadow = true"), &call("PUT", &["authorization"]));
    assert!(!allowed.is_blocked() && allowed.shadow, "{allowed}");
    let blocked = explain(&format!("{STOREFRONT}\nshadow = true"), &call("DELETE", &[]));
    let note = "  shadow             the policy blocks nothing yet: until then the service decides, ask with --live\n";
    assert!(blocked.is_blocked() && blocked.to_string().contains(note), "{blocked}");
    assert_eq!(blocked.to_json()["shadow"], true);
}

#[test]
fn a_call_that_works_says_what_can_be_read() {
    check(
        STOREFRONT,
        &Call { credentials: Credentials::Include, ..call("PUT", &["content-type: application/json"]) },
        r#"
allowed
  preflight needed   PUT is not a simple method; content-type application/json is not one of a form
  1 origin           pass   https://shop.example, forebay.toml:2
  2 credentials      pass   include
  3 method           pass   PUT
  4 headers          pass   content-type
  5 max-age          pass   remembered for 600 s
  6 origin           pass   response: https://shop.example, forebay.toml:2
  7 credentials      pass   include
  readable           status, body, the seven usual headers
"#,
    );
}

#[test]
fn every_setting_that_blocks_is_named() {
    check(
        "origins = [\"https://a.example\"]\nexpose = [\"etag\"]",
        &Call { credentials: Credentials::Include, ..call("DELETE", &["Authorization: x"]) },
        r#"
blocked: PreflightMissingAllowOriginHeader
  preflight needed   DELETE is not a simple method; authorization is not a safelisted header
  1 origin           FAIL   https://shop.example is not in cors.shop.origins, forebay.toml:2
fix: origins = ["https://a.example", "https://shop.example"]
fix: methods = ["GET", "HEAD", "POST", "DELETE"]
fix: headers = ["authorization"]
fix: credentials = true
"#,
    );
    check(
        "origins = [\"*\"]",
        &Call { credentials: Credentials::Include, ..call("GET", &[]) },
        r#"
blocked: WildcardOriginNotAllowed (*)
  no preflight       method and headers are those of a form
  1 origin           FAIL   cors.shop.origins is "*" without `credentials`, forebay.toml:2
fix: origins = ["https://shop.example"]
fix: credentials = true
"#,
    );
    check(
        "origins = [\"https://shop.example\"]",
        &Call { credentials: Credentials::Include, ..call("GET", &[]) },
        r#"
blocked: InvalidAllowCredentials
  no preflight       method and headers are those of a form
  1 origin           pass   https://shop.example, forebay.toml:2
  2 credentials      FAIL   cors.shop.credentials is false, the default
fix: credentials = true
"#,
    );
    check(
        STOREFRONT,
        &call("POST", &[]),
        r#"
blocked: MissingAllowOriginHeader
  no preflight       method and headers are those of a form
  1 origin           FAIL   POST is not in cors.shop.methods, forebay.toml:4
fix: methods = ["GET", "PUT", "POST"]
"#,
    );
}

#[test]
fn modes_and_forbidden_things_are_explained() {
    let blocked = |call: &Call| explain(STOREFRONT, call).chromium.blocked.map(|(block, _)| block);
    assert_eq!(blocked(&call("TRACE", &[])), Some(Block::ForbiddenMethod));
    assert_eq!(blocked(&Call { mode: Mode::SameOrigin, ..call("GET", &[]) }), Some(Block::DisallowedByMode));
    assert_eq!(blocked(&Call { mode: Mode::NoCors, ..call("PUT", &[]) }), Some(Block::NoCorsMethod));
    assert_eq!(blocked(&Call { mode: Mode::NoCors, ..call("GET", &["x-cart"]) }), None);
    assert_eq!(blocked(&call("GET", &["cookie: a=b"])), None);
    let report = explain(STOREFRONT, &call("GET", &["cookie: a=b"]));
    assert_eq!(report.chromium.dropped, ["cookie"]);
    let same = Call::new("https://api.shop.example", URL).expect("a call");
    assert!(explain(STOREFRONT, &same).to_string().starts_with("allowed: the same origin"));
}

/// Answers each request in turn.
pub(crate) fn live(call: Call, answers: &[(u16, &[(&str, &str)])]) -> Report {
    let mut inquiry = Inquiry::new(call);
    let mut answers = answers.iter();
    loop {
        match inquiry.next() {
            Next::Done(report) => return *report,
            Next::Send(sent) => {
                let (status, headers) = answers.next().unwrap_or_else(|| panic!("no answer for {sent:?}"));
                let headers =
                    headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
                inquiry.answer(sent, Answer { status: *status, headers });
            }
        }
    }
}

pub(crate) const OPEN: (&str, &str) = ("Access-Control-Allow-Origin", "*");

#[track_caller]
fn check_live(call: Call, answers: &[(u16, &[(&str, &str)])], expected: Option<Block>) {
    let report = live(call, answers);
    assert_eq!(report.chromium.blocked.as_ref().map(|(block, _)| *block), expected, "{report}");
}

#[test]
fn misbehaviour_of_servers_has_chromiums_names() {
    let methods = |value: &'static str| ("Access-Control-Allow-Methods", value);
    let headers = |value: &'static str| ("Access-Control-Allow-Headers", value);
    let put = || call("PUT", &[]);
    check_live(put(), &[(204, &[])], Some(Block::PreflightMissingAllowOriginHeader));
    check_live(put(), &[(404, &[])], Some(Block::PreflightMissingAllowOriginHeader));
    check_live(put(), &[(401, &[OPEN])], Some(Block::PreflightInvalidStatus));
    check_live(put(), &[(204, &[OPEN])], Some(Block::MethodDisallowedByPreflightResponse));
    check_live(put(), &[(204, &[OPEN, methods("P UT")])], Some(Block::InvalidAllowMethodsPreflightResponse));
    check_live(
        put(),
        &[(204, &[OPEN, methods("*"), headers("a b")])],
        Some(Block::InvalidAllowHeadersPreflightResponse),
    );
    check_live(put(), &[(301, &[OPEN, ("Location", "/")])], Some(Block::PreflightDisallowedRedirect));
    check_live(put(), &[(302, &[OPEN])], Some(Block::PreflightInvalidStatus));
    check_live(put(), &[(204, &[OPEN, methods("*")]), (500, &[])], Some(Block::MissingAllowOriginHeader));
    check_live(put(), &[(204, &[OPEN, methods("*")]), (500, &[OPEN])], None);
    check_live(
        call("patch", &[]),
        &[(204, &[OPEN, methods("PATCH")])],
        Some(Block::MethodDisallowedByPreflightResponse),
    );
    check_live(call("GET", &[]), &[(200, &[OPEN, OPEN])], Some(Block::MultipleAllowOriginValues));
    check_live(
        call("GET", &[]),
        &[(200, &[("Access-Control-Allow-Origin", "null")])],
        Some(Block::AllowOriginMismatch),
    );
}

#[test]
fn redirects_are_followed_with_the_origin_that_is_left() {
    let to = |url: &'static str| ("Location", url);
    let get = || call("GET", &[]);
    check_live(get(), &[(302, &[OPEN, to("/b")]), (200, &[OPEN])], None);
    check_live(get(), &[(302, &[to("/b")])], Some(Block::MissingAllowOriginHeader));
    check_live(
        get(),
        &[(302, &[OPEN, to("https://u:p@b.example/")])],
        Some(Block::RedirectContainsCredentials),
    );
    let shop = ("Access-Control-Allow-Origin", "https://shop.example");
    check_live(
        get(),
        &[(302, &[shop, to("https://b.example/")]), (200, &[shop])],
        Some(Block::AllowOriginMismatch),
    );
    let null = ("Access-Control-Allow-Origin", "null");
    check_live(get(), &[(302, &[shop, to("https://b.example/")]), (200, &[null])], None);
    let own = Call::new("https://shop.example", "https://shop.example/a").expect("a call");
    check_live(own, &[(302, &[to("https://b.example/")]), (200, &[shop])], None);
    // Each URL is asked once: a circle is one answer given again and again.
    let round = Call { url: "https://api.example/b".into(), ..get() };
    check_live(round, &[(302, &[OPEN, to("/b")])], Some(Block::TooManyRedirects));
}

#[test]
fn where_chromium_departs_both_verdicts_are_given() {
    let answers: &[(u16, &[(&str, &str)])] =
        &[(204, &[OPEN, ("Access-Control-Allow-Headers", "*")]), (200, &[OPEN, ("X-Total", "7")])];
    let report = live(call("GET", &["authorization: x"]), answers);
    let expected = r#"
allowed
by the standard blocked: HeaderDisallowedByPreflightResponse (authorization)
  preflight needed   authorization is not a safelisted header
  1 origin           pass   https://shop.example
  2 status           pass   204
  3 method           pass   GET
  4 headers          FAIL   `*` in Access-Control-Allow-Headers does not cover authorization
  readable           status, body, the seven usual headers
  hidden             x-total
  departure          Chromium lets `*` in Access-Control-Allow-Headers cover authorization; the standard does not
fix: add authorization to Access-Control-Allow-Headers
"#;
    assert_eq!(report.to_string(), expected.trim_start());
    assert_eq!(report.exit_code(), 1);
    let json = report.to_json();
    assert_eq!(json["chromium"]["blocked"], serde_json::Value::Null);
    assert_eq!(json["standard"]["blocked"], "HeaderDisallowedByPreflightResponse");
    assert_eq!(json["standard"]["steps"][3]["passed"], false);
    let report = live(call("GET", &["save-data: on"]), &[(200, &[OPEN]), (204, &[])]);
    assert!(report.differs() && report.chromium.causes.is_empty(), "{report}");
}

#[test]
fn a_recording_is_explained_call_by_call() {
    let text = include_str!("recording.har");
    let told = har::explain(text, Credentials::SameOrigin).expect("a recording");
    let reports: Vec<String> = told
        .iter()
        .map(|told| match told {
            har::Told::Report(report) => report.to_string().lines().next().unwrap_or_default().to_owned(),
            har::Told::Unanswered(_, sent) => format!("unanswered: {} {}", sent.method, sent.url),
        })
        .collect();
    let expected = [
        "blocked: HeaderDisallowedByPreflightResponse (x-cart)",
        "allowed",
        "unanswered: OPTIONS https://api.example/c",
    ];
    assert_eq!(reports, expected);
    assert!(matches!(har::explain("{}", Credentials::Omit), Err(har::HarError::NoEntries)));
    assert!(matches!(har::explain("{", Credentials::Omit), Err(har::HarError::Json(_))));
}
