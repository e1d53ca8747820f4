//! What `suggest` writes.

use forebay_cors::{Ask, DeniedCalls, Policy, suggest};

use crate::answers::fields;
use crate::written::{loaded, try_load};

fn denied(calls: &[(&str, &str, &str)]) -> DeniedCalls {
    let mut denied = DeniedCalls::default();
    for (origin, method, headers) in calls {
        let ask = Ask { method: "OPTIONS", scheme: "https", authority: "api.example" };
        let lines = [
            ("origin", *origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
        ];
        denied.record(&ask, &fields(&lines));
    }
    denied
}

#[test]
fn a_suggestion_is_the_smallest_table_that_lets_them_in() {
    let table = "origins = [\"https://shop.example\"]\ncredentials = true\nheaders = [\"authorization\"]";
    let denied = denied(&[
        ("https://shop.example", "PUT", "x-cart"),
        ("https://shop.example", "PUT", "x-cart"),
        ("https://pr-1.preview.shop.example", "GET", "authorization"),
        ("https://pr-2.preview.shop.example", "GET", "authorization"),
        ("https://pr-3.preview.shop.example", "GET", "authorization"),
        ("https://a.github.io", "GET", ""),
        ("http://old.example", "GET", ""),
        ("null", "GET", ""),
    ]);
    let suggestion = suggest(&loaded(table).value.cors["shop"], &denied);
    let expected = r#"
# https://shop.example, 2 times: PUT with x-cart
# http://old.example, once: GET
# https://a.github.io, once: GET
# https://pr-1.preview.shop.example, once: GET with authorization
# https://pr-2.preview.shop.example, once: GET with authorization
# https://pr-3.preview.shop.example, once: GET with authorization
# null, once: GET
# left out: http://old.example has no TLS, and the policy allows credentials
# left out: null can be anybody
[cors.shop]
origins = ["https://shop.example", "https://a.github.io", "https://*.preview.shop.example"]
methods = ["GET", "HEAD", "POST", "PUT"]
headers = ["authorization", "x-cart"]
"#;
    assert_eq!(suggestion.to_toml("shop"), expected.trim_start());
    let mended = format!("credentials = true\n{}", suggestion.lines.join("\n"));
    let _: Policy = Policy::new(&try_load(&mended).expect("a suggestion loads").value.cors["shop"]);
}

#[test]
fn nothing_denied_suggests_nothing() {
    let suggestion = suggest(&loaded("origins = [\"*\"]").value.cors["shop"], &DeniedCalls::default());
    assert!(suggestion.lines.is_empty());
}
