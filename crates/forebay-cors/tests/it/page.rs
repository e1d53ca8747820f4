//! The page shows what is really printed.

use std::path::Path;

use forebay_cors::explain::{Call, Credentials, Report};

use crate::explains::{OPEN, live};
use crate::written::explain;

const STOREFRONT: &str = "origins = [\"https://shop.example\", \"https://*.preview.shop.example\"]\n\
     credentials = true\nmethods = [\"GET\", \"HEAD\", \"POST\", \"PUT\", \"PATCH\"]\nheaders = [\"authorization\"]";

fn call(origin: &str, method: &str, headers: &[&str]) -> Call {
    let call =
        Call::new(origin, "https://api.shop.example/api/orders/7").and_then(|call| call.method(method));
    headers.iter().fold(call.expect("a call"), |call, line| call.header(line).expect("a header"))
}

fn with_credentials(call: Call) -> Call {
    Call { credentials: Credentials::Include, ..call }
}

fn reports() -> Vec<Report> {
    let shop = "https://shop.example";
    let lists = [("access-control-allow-methods", "PUT")];
    vec![
        explain(STOREFRONT, &call("https://app.shop.example", "GET", &[])),
        explain(STOREFRONT, &call(shop, "POST", &["content-type: application/json"])),
        explain(STOREFRONT, &call(shop, "DELETE", &[])),
        explain(STOREFRONT, &call(shop, "patch", &[])),
        explain("origins = [\"*\"]", &with_credentials(call(shop, "GET", &[]))),
        explain("origins = [\"https://shop.example\"]", &with_credentials(call(shop, "GET", &[]))),
        live(call(shop, "PUT", &["authorization"]), &[(401, &[OPEN])]),
        live(call(shop, "GET", &[]), &[(200, &[OPEN, ("access-control-allow-origin", shop)])]),
        live(call(shop, "PUT", &[]), &[(307, &[OPEN, ("location", "/api/orders/7/")])]),
        live(call(shop, "PUT", &[]), &[(204, &[OPEN, lists[0]]), (502, &[("content-type", "text/html")])]),
        live(call(shop, "GET", &[]), &[(200, &[OPEN, ("etag", "1"), ("x-total-count", "70")])]),
        live(
            call(shop, "GET", &["authorization"]),
            &[(204, &[OPEN, ("access-control-allow-headers", "*")]), (200, &[OPEN])],
        ),
    ]
}

#[test]
fn the_page_shows_what_is_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cors.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for report in reports() {
        assert!(page.contains(&format!("```text\n{report}```")), "docs/cors.md lacks:\n{report}");
    }
    assert!(page.contains(&format!("```toml\n[cors.shop]\n{STOREFRONT}\n")), "docs/cors.md lacks the policy");
}
