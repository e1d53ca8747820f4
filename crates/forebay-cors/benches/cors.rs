//! What a decision costs: `cargo xtask bench cors`. Bars: 150 ns allowed, 100 ns denied, 1 µs for hostile fields of 64 KiB.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use forebay_config::{Inputs, Name, Settings, load};
use forebay_cors::{Ask, CorsSettings, Policy, Verdict};
use forebay_http::{Fields, RequestHead, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The whole file.
#[derive(Debug, Settings)]
struct Root {
    /// Policies.
    cors: BTreeMap<Name, CorsSettings>,
}

const HOSTILE_BYTES: usize = 64 * 1024;
const USUAL: &[(&str, &str)] = &[
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9"),
    ("referer", "https://shop.example/"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-site"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
];

fn policy(table: &str) -> Policy {
    let text = format!("[cors.shop]\n{table}\n");
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
    let loaded = load::<Root>(inputs).expect("a valid policy");
    Policy::new(&loaded.value.cors["shop"])
}

fn small() -> Policy {
    policy(
        "origins = ['https://shop.example', 'https://*.preview.shop.example']\ncredentials = true\n\
         methods = ['GET', 'PUT']\nheaders = ['authorization', 'content-type', 'x-cart']",
    )
}

/// A thousand origins, a tenth of them patterns.
fn large() -> Policy {
    let exact = (0..900).map(|n| format!("'https://shop-{n}.example'"));
    let below = (0..50).map(|n| format!("'https://*.tenant-{n}.shops.example'"));
    let ports = (0..50).map(|n| format!("'https://dev-{n}.example:*'"));
    let origins: Vec<String> = exact.chain(below).chain(ports).collect();
    policy(&format!("origins = [{}]\nmethods = ['GET', 'PUT']\ncredentials = true", origins.join(", ")))
}

fn head(lines: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::new("GET", Scheme::Https, "api.example", "/orders/7");
    USUAL.iter().chain(lines).for_each(|(name, value)| head.fields_mut().append(name, value.as_bytes()));
    head
}

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in USUAL.iter().chain(lines) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        map.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    map
}

fn measure(
    c: &mut Criterion,
    name: &str,
    policy: &Policy,
    method: &str,
    lines: &[(&str, &str)],
    allowed: bool,
) {
    let ask = Ask { method, scheme: "https", authority: "api.example" };
    let head = head(lines);
    let map = map(lines);
    check(policy, &ask, head.fields(), allowed);
    check(policy, &ask, &map, allowed);
    c.bench_function(&format!("{name}/head"), |b| {
        b.iter(|| outcome(&policy.decide(black_box(&ask), black_box(head.fields()))))
    });
    c.bench_function(&format!("{name}/map"), |b| {
        b.iter(|| outcome(&policy.decide(black_box(&ask), black_box(&map))))
    });
}

fn outcome(verdict: &Verdict<'_, '_>) -> bool {
    let outcome = match verdict {
        Verdict::Answer(preflight) => black_box(preflight).outcome(),
        Verdict::Pass(decision) => black_box(decision).outcome(),
    };
    outcome.reason().is_none()
}

fn check(policy: &Policy, ask: &Ask<'_>, fields: &(impl Fields + ?Sized), allowed: bool) {
    assert_eq!(outcome(&policy.decide(ask, fields)), allowed, "the case is another than its name says");
}

fn usual(c: &mut Criterion) {
    let (small, large) = (small(), large());
    let put = ("access-control-request-method", "PUT");
    let headers = ("access-control-request-headers", "authorization,content-type,x-cart");
    let shop = ("origin", "https://shop.example");
    measure(c, "not cors", &small, "GET", &[], true);
    measure(c, "allowed/exact", &small, "GET", &[shop], true);
    measure(c, "allowed/subdomain", &small, "GET", &[("origin", "https://pr-7.preview.shop.example")], true);
    measure(c, "allowed/one of 1000", &large, "GET", &[("origin", "https://shop-471.example")], true);
    let below = ("origin", "https://a.tenant-7.shops.example");
    measure(c, "allowed/subdomain of 1000", &large, "GET", &[below], true);
    measure(c, "allowed/preflight", &small, "OPTIONS", &[shop, put, headers], true);
    let evil = ("origin", "https://evil.example");
    measure(c, "denied/origin", &small, "GET", &[evil], false);
    measure(c, "denied/origin of 1000", &large, "GET", &[evil], false);
    measure(c, "denied/preflight origin", &small, "OPTIONS", &[evil, put, headers], false);
    measure(c, "denied/method", &small, "DELETE", &[shop], false);
    let x_other = ("access-control-request-headers", "authorization,x-other");
    measure(c, "denied/preflight header", &small, "OPTIONS", &[shop, put, x_other], false);
}

fn hostile(c: &mut Criterion) {
    let (small, large) = (small(), large());
    let any = policy("origins = ['*']\nheaders = ['*']\nmethods = ['*']");
    let long = |piece: &str| piece.repeat(HOSTILE_BYTES / piece.len());
    let put = ("access-control-request-method", "PUT");
    let shop = ("origin", "https://shop.example");
    let dots = format!("https://{}shops.example", "a.".repeat(120));
    measure(c, "hostile/origin 64 KiB", &large, "GET", &[("origin", &long("a."))], false);
    measure(c, "hostile/origin of labels", &large, "GET", &[("origin", &dots)], false);
    measure(
        c,
        "hostile/method 64 KiB",
        &any,
        "OPTIONS",
        &[shop, ("access-control-request-method", &long("M"))],
        false,
    );
    for (name, piece) in [("commas", ","), ("names", "a,b,"), ("spaces", " "), ("one name", "x")] {
        let asked = long(piece);
        let headers = ("access-control-request-headers", asked.as_str());
        measure(
            c,
            &format!("hostile/headers 64 KiB of {name}"),
            &small,
            "OPTIONS",
            &[shop, put, headers],
            false,
        );
        measure(
            c,
            &format!("hostile/headers 64 KiB of {name}, any"),
            &any,
            "OPTIONS",
            &[shop, put, headers],
            false,
        );
    }
    let near = format!("x-{}", "a".repeat(120));
    measure(
        c,
        "hostile/headers of commas",
        &small,
        "OPTIONS",
        &[shop, put, ("access-control-request-headers", &",".repeat(60))],
        false,
    );
    measure(
        c,
        "hostile/headers nearly right",
        &small,
        "OPTIONS",
        &[shop, put, ("access-control-request-headers", &near)],
        false,
    );
}

criterion_group!(benches, usual, hostile);
criterion_main!(benches);
