//! Policies of every kind that loads, a gateway that has them, and calls through it.

use std::collections::BTreeMap;
use std::path::Path;

use fastrand::Rng;
use forebay_config::{Inputs, Loaded, Name, Settings, load};
use forebay_cors::CorsSettings;
use forebay_cors::explain::{Call, Configured, Report};
use forebay_testkit::RunningGateway;

use super::calls::{Scripted, pick};
use super::replies::Reply;
use super::stage::{Case, Stage};

const ORIGINS: &[&str] = &[
    "https://shop.example",
    "https://shop.example",
    "https://shop.example:8443",
    "http://shop.example",
    "https://*.preview.shop.example",
    "https://*.example",
    "https://*.example:*",
    "http://api.localhost:*",
    "null",
    "*",
];
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "PURGE", "OPTIONS", "*"];
const HEADERS: &[&str] =
    &["authorization", "content-type", "x-a", "x-b", "x-c", "accept", "range", "dpr", "*"];
const EXPOSED: &[&str] = &["etag", "x-total", "cache-control", "*"];

/// The sections that matter here.
#[derive(Debug, Settings)]
struct Root {
    /// As in the product.
    cors: BTreeMap<Name, CorsSettings>,
}

/// A gateway with policies `p0`, `p1`, …, each for the paths below its name.
pub(crate) struct Policies {
    loaded: Loaded<Root>,
    gateway: RunningGateway,
    count: usize,
}

impl Policies {
    pub(crate) fn new(stage: &Stage, rng: &mut Rng, count: usize) -> Policies {
        let mut tables = Vec::new();
        while tables.len() < count {
            let table = table(rng);
            if loaded(&format!("[cors.p]\n{table}")).is_some() {
                tables.push(table);
            }
        }
        let numbered = tables.iter().enumerate();
        let text: String = numbered.map(|(number, table)| format!("[cors.p{number}]\n{table}\n")).collect();
        let address = stage.server.address();
        let mut whole = format!("[service.s]\nendpoints = \"{address}\"\nretry = {{ attempts = 1 }}\n");
        for number in 0..count {
            whole += &format!("[[route]]\nmatch = \"/p{number}/*\"\nservice = \"s\"\ncors = \"p{number}\"\n");
        }
        let gateway = RunningGateway::start(&format!("{whole}{text}"));
        Policies { loaded: loaded(&text).expect("each of them loads"), gateway, count }
    }

    /// A call to a route of one of them, before a service that says something of CORS too.
    pub(crate) fn case(&self, stage: &Stage, rng: &mut Rng, number: usize) -> Case {
        let page = rng.usize(..stage.origins.len());
        let origin = &stage.origins[page];
        let policy = rng.usize(..self.count);
        let port = self.gateway.address().port();
        let url = format!("http://gateway.localhost:{port}/p{policy}/case/{number}/hop/0");
        let scripted = Scripted::any(rng, origin, &url);
        let said = Reply::of_service(rng, &scripted.call, origin);
        Case { page, scripted, hops: vec![(said.clone(), said)] }
    }

    /// By the configuration, as `explain` does without `--live`.
    pub(crate) fn explain(&self, call: &Call) -> Report {
        let name = call.url.split('/').nth(3).expect("a path below a policy's name");
        let place = |origin| self.loaded.place(origin);
        Configured { name, settings: &self.loaded.value.cors[name], place: &place }.explain(call)
    }
}

fn loaded(text: &str) -> Option<Loaded<Root>> {
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    load(Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() }).ok()
}

fn table(rng: &mut Rng) -> String {
    let mut list = |key: &str, from: &[&str], some: &[usize]| {
        let mut names: Vec<&str> = (0..pick(rng, some)).map(|_| pick(rng, from)).collect();
        names.sort_unstable();
        names.dedup();
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        format!("{key} = [{}]\n", quoted.join(", "))
    };
    let lists = [
        list("origins", ORIGINS, &[1, 2, 3, 5]),
        list("methods", METHODS, &[3, 6, 12]),
        list("headers", HEADERS, &[0, 3, 6, 12]),
        list("expose", EXPOSED, &[0, 1, 2]),
    ];
    let mut text = lists.concat();
    for key in ["credentials", "private_network", "timing_allow_origin", "debug"] {
        text += &format!("{key} = {}\n", rng.bool());
    }
    text += &format!("preflight_status = {}\n", pick(rng, &[200, 204]));
    let overridden = rng.bool();
    for danger in [
        "any_origin_with_credentials",
        "null_origin",
        "insecure_origins",
        "public_suffix_wildcards",
        "any_origin_to_private_network",
    ] {
        text += &format!("dangerously_allow_{danger} = {overridden}\n");
    }
    text
}
