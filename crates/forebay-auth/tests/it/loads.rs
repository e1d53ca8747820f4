//! Which policies load, and what the others are told.

use forebay_config::check_declarations;

use crate::written::{Root, policy, try_load};

#[track_caller]
fn check(table: &str, expected: &[&str]) {
    let problems = try_load(table).err();
    let messages: Vec<String> =
        problems.iter().flat_map(|problems| problems.iter()).map(|one| one.message().to_owned()).collect();
    assert_eq!(messages, expected, "{table}");
}

#[test]
fn declarations_hold() {
    assert_eq!(check_declarations::<Root>(), Vec::<String>::new());
}

#[test]
fn usual_tables_load() {
    for table in [
        "jwt = { jwks = 'https://login.shop.example/jwks.json', audience = 'shop', consumer = 'azp' }",
        "jwt = { jwks = 'file:jwks.json', issuer = ['a', 'b'], audience = ['a', 'b'], algorithms = 'ES256' }",
        "jwt = { jwks = 'http://localhost:1/jwks', any_audience = true }",
        "jwt = { secret = '0123456789abcdef0123456789abcdef', audience = 'shop', algorithms = ['HS512'] }",
        "api_keys = 'keys.toml'",
        "api_keys = { file = 'keys.toml', header = 'authorization' }\nforward_credentials = false",
        "basic = 'users'",
        "forward = { service = 'login', path = '/auth', subject = 'x-auth-user', copy = ['x-auth-roles'], cache = '5s' }",
    ] {
        policy(table);
    }
}

#[test]
fn dangers_are_refused() {
    let jwt = |more: &str| format!("jwt = {{ jwks = 'https://a.example/jwks', {more} }}");
    check("", &["nothing says how callers are known"]);
    check("basic = 'users'\napi_keys = 'keys'", &["`api_keys` and `basic` cannot stand together"]);
    check(&jwt(""), &["nothing says whom tokens are for"]);
    check(&jwt("any_audience = false"), &["nothing says whom tokens are for"]);
    check(
        &jwt("audience = 'a', any_audience = true"),
        &["`audience` and `any_audience = true` contradict each other"],
    );
    check(&jwt("audience = 'a', algorithms = ['RS256', 'HS256']"), &["HS256 needs a `secret`"]);
    check(
        &jwt("audience = 'a', algorithms = ['none']"),
        &[
            "each element of `algorithms` is one of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, \
           `ES384`, `ES512`, `EdDSA`, `HS256`, `HS384` and `HS512`, and \"none\" is none of them",
        ],
    );
    check("jwt = { secret = 'short', audience = 'a' }", &["the secret has less than 32 bytes"]);
    check(
        "jwt = { secret = '0123456789abcdef0123456789abcdef', audience = 'a', algorithms = 'RS256' }",
        &["RS256 needs a public key"],
    );
    check(
        &jwt("audience = 'a', secret = '0123456789abcdef0123456789abcdef'"),
        &["`jwks` and `secret` cannot stand together"],
    );
    check("jwt = { jwks = 'http://a.example/jwks', audience = 'a' }", &["http://a.example/jwks is insecure"]);
    check(
        &jwt("audience = 'a', refresh = '1h', keep = '1m'"),
        &["keys would be too old before they are fetched again"],
    );
    check(
        "api_keys = { file = 'k', header = 'forebay-subject' }",
        &["`header` is a header field's name, and \"forebay-subject\" is one that HTTP itself needs"],
    );
    check("forward = { service = 'login', path = 'auth' }", &["\"auth\" is no path"]);
    check(
        "forward = { service = 'login', copy = ['Authorization'] }",
        &["\"authorization\" is a field that clients send themselves"],
    );
    check("forward = { service = 'login', cache_per = 'route' }", &["nothing is cached"]);
}

#[test]
fn whom_tokens_are_for_is_asked_for_in_words_that_fit() {
    let jwt = |more: &str| try_load(&format!("jwt = {{ jwks = 'https://a.example/jwks', {more} }}"));
    let missing = jwt("").expect_err("no audience").to_string();
    assert!(missing.contains("help: write the `aud` of your tokens"), "{missing}");
    assert!(missing.contains("does not say whom a token is for: any_audience = true"), "{missing}");
    let both = jwt("audience = 'a', any_audience = true").expect_err("both").to_string();
    assert!(both.contains("note: the one takes tokens for those it names alone"), "{both}");
    assert!(both.contains("help: remove `any_audience`") && !both.contains("write the `aud`"), "{both}");
}

#[test]
fn an_empty_file_takes_nothing_away() {
    for (table, text, why) in [
        ("api_keys = 'keys.toml'", "", "the file has no key"),
        ("api_keys = 'keys.toml'", "# only a comment\n", "the file has no key"),
        ("basic = 'users'", "", "the file has no user"),
    ] {
        let read = policy(table).read(std::path::Path::new("file"), text.as_bytes());
        assert_eq!(read.map(drop).map_err(|error| error.to_string()), Err(why.to_owned()), "{table}");
    }
}
