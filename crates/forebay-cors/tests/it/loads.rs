//! Which policies load, and what the others are told.

use forebay_config::check_declarations;

use crate::written::{Root, loaded, try_load};

#[track_caller]
fn check(table: &str, expected: &str) {
    let problems = try_load(table).err().map(|problems| problems.to_string()).unwrap_or_default();
    assert_eq!(problems, expected.trim_matches('\n'), "{table}");
}

/// The first lines of each message.
#[track_caller]
fn check_messages(table: &str, expected: &[&str]) {
    let problems = try_load(table).err();
    let messages: Vec<String> =
        problems.iter().flat_map(|problems| problems.iter()).map(|one| one.message().to_owned()).collect();
    assert_eq!(messages, expected, "{table}");
}

#[test]
fn declarations_hold() {
    check_declarations::<Root>();
}

#[test]
fn the_example_loads() {
    let loaded = loaded(
        "origins = [\"https://shop.example\", \"https://*.preview.shop.example\"]\n\
         credentials = true\nheaders = [\"authorization\", \"content-type\"]",
    );
    assert!(loaded.warnings.is_empty());
}

#[test]
fn a_message_points_at_the_value_and_says_why_and_what_next() {
    check(
        "origins = [\"https://shop.example/\"]",
        r#"
error: origin "https://shop.example/" has a path
  --> forebay.toml:2:12
   |
2  | origins = ["https://shop.example/"]
   |            ^^^^^^^^^^^^^^^^^^^^^^^
   = note: browsers send origins without one, so this would never match
   = help: remove the trailing slash
"#,
    );
    check(
        "origins = [\"*\"]\ncredentials = true",
        r#"
error: origin "*" with `credentials`
  --> forebay.toml:2:12
   |
2  | origins = ["*"]
   |            ^^^
   = note: any page could act and read with the cookies of whoever visits it
   = help: list the origins, or set `credentials = false`
   = help: if this is meant: `dangerously_allow_any_origin_with_credentials = true`
"#,
    );
}

#[test]
fn dangers_are_refused() {
    let with = |lines: &str| format!("credentials = true\n{lines}");
    check_messages("origins = [\"null\"]", &["origin \"null\" is nobody in particular"]);
    check_messages(
        &with("origins = [\"http://shop.example\"]"),
        &["origin \"http://shop.example\" is insecure, with `credentials`"],
    );
    check_messages(
        "private_network = true\norigins = [\"http://shop.example\"]",
        &["origin \"http://shop.example\" is insecure, with `private_network`"],
    );
    check_messages(
        &with("origins = [\"https://*.github.io\"]"),
        &["origin \"https://*.github.io\" covers a public suffix, with `credentials`"],
    );
    check_messages("private_network = true\norigins = [\"*\"]", &["origin \"*\" with `private_network`"]);
    check_messages(
        &with("origins = [\"https://a.example\"]\nexpose = [\"*\"]"),
        &["`expose` has \"*\" with `credentials`"],
    );
    check_messages("origins = [\"*\"]\nmax_age = \"3h\"", &["`max_age` is longer than browsers honour"]);
    check_messages(
        "origins = [\"*\"]\nmax_age = \"2d\"",
        &["`max_age` is at most \"1d\", and \"2d\" is more"],
    );
    check_messages("origins = [\"*\"]\npreflight_status = 201", &["201 is not 200 or 204"]);
    check_messages(
        "origins = [\"*\", \"https://a.example\", \"https://a.example\"]",
        &["origin \"*\" stands beside others", "origin \"https://a.example\" stands twice"],
    );
    check_messages("origins = []", &["`origins` has at least 1 element, and this has 0"]);
}

#[test]
fn names_that_browsers_withhold_are_refused() {
    let message =
        |list: &str, noun: &str, what: &str| format!("each element of `{list}` is {noun}, and {what}");
    let method = |what: &str| message("methods", "a method or `*`", what);
    let header = |what: &str| message("headers", "a request header or `*`", what);
    let check =
        |line: &str, expected: String| check_messages(&format!("origins = [\"*\"]\n{line}"), &[&expected]);
    check("methods = [\"TRACE\"]", method("\"TRACE\" is one that browsers refuse to scripts"));
    check("methods = [\"connect\"]", method("\"connect\" is one that browsers refuse to scripts"));
    check("methods = [\"patch\"]", method("\"patch\" is not in capitals"));
    check("methods = [\"P T\"]", method("\"P T\" is no method"));
    check("headers = [\"Cookie\"]", header("\"Cookie\" is one that browsers set themselves"));
    check("headers = [\"sec-fetch-mode\"]", header("\"sec-fetch-mode\" is one that browsers set themselves"));
    check(
        "headers = [\"access-control-allow-origin\"]",
        header("\"access-control-allow-origin\" belongs to the CORS protocol itself"),
    );
    let exposed = message(
        "expose",
        "a response header or `*`",
        "\"set-cookie\" is one that browsers hide from scripts",
    );
    check("expose = [\"set-cookie\"]", exposed);
}

#[test]
fn every_danger_has_an_override() {
    for table in [
        "origins = [\"*\"]\ncredentials = true\ndangerously_allow_any_origin_with_credentials = true",
        "origins = [\"*\"]\nprivate_network = true\ndangerously_allow_any_origin_to_private_network = true",
        "origins = [\"null\"]\ndangerously_allow_null_origin = true",
        "origins = [\"http://a.example\"]\ncredentials = true\ndangerously_allow_insecure_origins = true",
        "origins = [\"https://*.com\"]\ncredentials = true\ndangerously_allow_public_suffix_wildcards = true",
        "origins = [\"*\"]\nmax_age = \"1d\"\ndangerously_allow_long_max_age = true",
    ] {
        loaded(table);
    }
    loaded("origins = [\"http://localhost:*\", \"http://127.0.0.1:3000\"]\ncredentials = true");
}
