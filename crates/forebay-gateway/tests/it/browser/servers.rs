//! Calls to servers that answer by themselves, right or wrong, some of them redirected.

use fastrand::Rng;

use super::calls::{Scripted, pick};
use super::replies::Reply;
use super::stage::{Case, Stage};

/// So many, the numbers of their cases counting from `first`.
pub(crate) fn cases(stage: &Stage, rng: &mut Rng, count: usize, first: usize) -> Vec<Case> {
    (first..first + count).map(|number| case(stage, rng, number)).collect()
}

fn case(stage: &Stage, rng: &mut Rng, number: usize) -> Case {
    let page = rng.usize(..stage.origins.len());
    let origin = stage.origins[page].clone();
    let place = |rng: &mut Rng, hop: usize| format!("{}/case/{number}/hop/{hop}", host(stage, rng, &origin));
    let mut here = place(rng, 0);
    let scripted = Scripted::any(rng, &origin, &here);
    let redirects = pick(rng, &[0, 0, 0, 0, 1, 2]);
    let mut hops = Vec::new();
    for hop in 0..=redirects {
        let next = (hop < redirects).then(|| {
            let next = place(rng, hop + 1);
            let location = location(rng, number, hop + 1, &next, here.starts_with("https"));
            here = next;
            location
        });
        hops.push((
            Reply::to_preflight(rng, &scripted.call, &origin),
            Reply::to_call(rng, &scripted.call, &origin, next.as_deref()),
        ));
    }
    Case { page, scripted, hops }
}

fn host(stage: &Stage, rng: &mut Rng, origin: &str) -> String {
    let port = stage.port();
    match rng.u8(..10) {
        0 => "https://shop.example".to_owned(),
        1 => "https://shop.example:8443".to_owned(),
        // From a page with TLS a call without is no matter of CORS.
        2 if origin != "null" && origin != "http://shop.example" => origin.to_owned(),
        3 | 4 => format!("http://other.localhost:{port}"),
        _ => format!("http://api.localhost:{port}"),
    }
}

/// Where a redirect leads, which is not always somewhere.
fn location(rng: &mut Rng, number: usize, hop: usize, url: &str, from_tls: bool) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let own = |rng: &mut Rng, odd: &[&str]| pick(rng, odd).to_owned();
    match rng.u8(..28) {
        0 => format!("/case/{number}/hop/{hop}"),
        1 => format!("../hop/{hop}"),
        2 => hop.to_string(),
        3 if (scheme == "https") == from_tls => format!("//{rest}"),
        4 | 5 => format!("{scheme}://me:pw@{rest}"),
        6 => format!("{scheme}://@{rest}"),
        7 => format!("{}://{rest}#part", scheme.to_uppercase()),
        8 => format!("?hop={hop}"),
        9 => own(rng, &["http://", "http://[", "http://other.localhost:99999/", "https://1.2.3.4.5/"]),
        10 => own(rng, &["mailto:a@b.example", "javascript:1", "ftp://a.example/"]),
        11 => own(rng, &["data:,x", "file:///x", "about:blank"]),
        12 => String::new(),
        _ => url.to_owned(),
    }
}
