//! What a real browser makes of policies and of servers that misbehave, beside what `explain` says it would.

mod calls;
mod errors;
mod local_networks;
mod policies;
mod replies;
mod servers;
mod stage;
mod verdicts;

use std::collections::BTreeMap;

use fastrand::Rng;
use forebay_cors::explain::{Call, Credentials, Departure, Mode};

use self::calls::Scripted;
use self::policies::Policies;
use self::replies::Reply;
use self::stage::{Case, Seen, Stage};
use self::verdicts::{Explained, differences, explain_live, request_differences};

/// Of the tests; the soak takes those that follow.
const SEED: u64 = 20_261_128;
/// Of either kind. Together they take a quarter of the time that the tests of a crate may.
const CASES: usize = 300;
/// Policies that a gateway has at a time.
const POLICIES: usize = 60;
/// Rounds of the soak, each with as many cases as the tests have.
const ROUNDS: u64 = 50;

/// What many cases came to.
#[derive(Default)]
struct Tally {
    verdicts: BTreeMap<String, usize>,
    departures: BTreeMap<String, usize>,
    disagreements: Vec<String>,
}

impl Tally {
    fn add(&mut self, call: &Call, explained: &Explained, seen: &Seen, found: &[String]) {
        let verdict = seen.blocked.as_ref().map_or("allowed", |(name, _)| name);
        *self.verdicts.entry(verdict.to_owned()).or_default() += 1;
        for departure in &explained.report.departures {
            *self.departures.entry(departure.to_string()).or_default() += 1;
        }
        if !found.is_empty() {
            let (report, said) = (&explained.report, &seen.messages);
            self.disagreements.push(format!("{}\n{report}{call:?}\n{seen:?}\n{said:?}", found.join("\n")));
        }
    }

    fn finish(&self, kinds: usize) {
        let Tally { verdicts, departures, disagreements } = self;
        let shown = disagreements.join("\n\n");
        assert!(disagreements.is_empty(), "{} disagree:\n{shown}", disagreements.len());
        // Enough of everything happened, or the test would show little.
        assert!(verdicts.len() >= kinds && verdicts["allowed"] > CASES / 10, "{verdicts:?} {departures:?}");
    }
}

fn servers(stage: &mut Stage, rng: &mut Rng, first: usize, tally: &mut Tally) {
    let cases = servers::cases(stage, rng, CASES, first);
    for (case, seen) in cases.iter().zip(stage.play(&cases)) {
        let call = &case.scripted.call;
        let explained = explain_live(call, stage.server.address());
        // The one thing in which XMLHttpRequest is not as fetch, of which `explain` tells.
        if case.scripted.by_xhr && explained.report.departures.contains(&Departure::RedirectedUser) {
            continue;
        }
        let mut found = differences(&explained, &seen);
        found.extend(request_differences(call, &explained, &seen));
        tally.add(call, &explained, &seen, &found);
    }
}

fn policies(stage: &mut Stage, rng: &mut Rng, first: usize, tally: &mut Tally) {
    let policies = Policies::new(stage, rng, POLICIES);
    let cases: Vec<Case> = (first..first + CASES).map(|number| policies.case(stage, rng, number)).collect();
    for (case, seen) in cases.iter().zip(stage.play(&cases)) {
        let call = &case.scripted.call;
        let explained = Explained { report: policies.explain(call), sent: Vec::new() };
        tally.add(call, &explained, &seen, &differences(&explained, &seen));
    }
}

#[test]
fn a_browser_and_explain_agree_about_servers() {
    let mut tally = Tally::default();
    servers(&mut Stage::new(), &mut Rng::with_seed(SEED), 0, &mut tally);
    tally.finish(18);
}

#[test]
fn a_browser_and_explain_agree_about_policies() {
    let mut tally = Tally::default();
    policies(&mut Stage::new(), &mut Rng::with_seed(SEED), 0, &mut tally);
    tally.finish(10);
}

#[test]
#[ignore = "minutes: cargo xtask soak browser"]
fn a_browser_and_explain_agree_about_very_many_calls() {
    let mut stage = Stage::new();
    let mut tally = Tally::default();
    for round in 0..ROUNDS {
        let mut rng = Rng::with_seed(SEED + 1 + round);
        let first = round as usize * 2 * CASES;
        servers(&mut stage, &mut rng, first, &mut tally);
        policies(&mut stage, &mut rng, first + CASES, &mut tally);
    }
    tally.finish(20);
    let calls: usize = tally.verdicts.values().sum();
    say(&format!("{calls} calls: {:#?}\n{:#?}", tally.verdicts, tally.departures));
}

#[expect(clippy::print_stderr, reason = "the figures are what a soak is run for")]
fn say(figures: &str) {
    eprintln!("{figures}");
}

/// A call from a page of <https://shop.example> to the server itself.
fn call(
    stage: &Stage,
    number: usize,
    (method, lines, credentials): (&'static str, &[&str], Credentials),
    preflight: Reply,
    reply: Reply,
) -> Case {
    let url = format!("http://api.localhost:{}/case/{number}/hop/0", stage.port());
    let scripted = Scripted::fetch("https://shop.example", &url, method, lines, credentials);
    Case { page: 0, scripted, hops: vec![(preflight, reply)] }
}

#[test]
fn a_permission_is_remembered_for_as_long_as_was_said() {
    let mut stage = Stage::new();
    let asked = |stage: &mut Stage, case: &Case| {
        let seen = stage.play(std::slice::from_ref(case)).remove(0);
        assert_eq!((&seen.blocked, &seen.got["status"]), (&None, &200.into()), "{seen:?}");
        seen.requests.iter().filter(|request| request.start.starts_with("OPTIONS ")).count()
    };
    for (number, age, again) in [(0, Some("600"), 0), (1, Some("0"), 1), (2, Some("-1"), 1), (3, None, 0)] {
        let open = ("Access-Control-Allow-Origin", "https://shop.example");
        let age = age.map(|age| ("Access-Control-Max-Age", age));
        let lines: Vec<_> = [open, ("Access-Control-Allow-Methods", "PUT")].into_iter().chain(age).collect();
        let asks = ("PUT", &[][..], Credentials::SameOrigin);
        let case = call(&stage, number, asks, Reply::new(204, &lines), Reply::new(200, &[open]));
        assert_eq!([asked(&mut stage, &case), asked(&mut stage, &case)], [1, again], "{age:?}");
    }
}

/// One call for each place where Chromium departs from the standard.
fn departing(stage: &Stage) -> Vec<Case> {
    use Credentials::SameOrigin;
    let open = ("Access-Control-Allow-Origin", "*");
    let headers = ("Access-Control-Allow-Headers", "*");
    let none = || Reply::new(204, &[open]);
    // What scripts may always read, and look for.
    let usual = [("Content-Type", "text/plain"), ("Cache-Control", "no-store")];
    let read = || Reply::new(200, &[open, usual[0], usual[1]]);
    let away = |to: &str| Reply::new(302, &[open, usual[0], usual[1], ("Location", to)]);
    let port = stage.port();
    let long = format!("accept: {}", "a".repeat(100));
    let twice: &[&str] = &[&long, &long];
    let hop = |user: &str, number: usize| format!("http://{user}other.localhost:{port}/case/{number}/hop/1");
    let mut cases: Vec<Case> = [
        (("GET", &["authorization: x"][..], SameOrigin), Reply::new(204, &[open, headers]), read()),
        (("GET", &["save-data: on"], SameOrigin), none(), read()),
        (("GET", &["range: Bytes=0-1"], SameOrigin), none(), read()),
        (("GET", twice, SameOrigin), Reply::new(204, &[open, headers]), read()),
        (
            ("GET", &["x-a: 1"], SameOrigin),
            Reply::new(204, &[open, headers, ("Access-Control-Max-Age", "86400")]),
            read(),
        ),
        (("GET", &[], SameOrigin), none(), away("")),
        (("GET", &["rtt: 50"], SameOrigin), none(), away(&hop("", 6))),
        (("GET", &[], SameOrigin), none(), away(&hop("me@", 7))),
        (("GET", &["user-agent: me"], SameOrigin), none(), read()),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (asks, preflight, reply))| call(stage, number, asks, preflight, reply))
    .collect();
    cases.iter_mut().for_each(|case| case.hops.push((none(), read())));
    cases[7].scripted.call.mode = Mode::NoCors;
    cases
}

#[test]
fn every_departure_is_one() {
    let mut stage = Stage::new();
    let cases = departing(&stage);
    let mut departed = Vec::new();
    for (case, seen) in cases.iter().zip(stage.play(&cases)) {
        let call = &case.scripted.call;
        let explained = explain_live(call, stage.server.address());
        let mut found = differences(&explained, &seen);
        found.extend(request_differences(call, &explained, &seen));
        assert_eq!(found, [""; 0], "{call:?} {seen:?}");
        departed.extend(explained.report.departures);
    }
    for departure in Departure::ALL {
        assert!(departed.contains(&departure), "{departure}");
    }
}

/// The ten failures of `docs/cors.md`, in its order.
fn usual_failures(stage: &Stage) -> Vec<Case> {
    use Credentials::{Include, SameOrigin};
    let origin = "https://shop.example";
    let open = ("Access-Control-Allow-Origin", origin);
    let any = ("Access-Control-Allow-Origin", "*");
    let methods = ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH");
    let none = || Reply::new(200, &[]);
    let json: &[&str] = &["content-type: application/json"];
    [
        (("GET", &[][..], SameOrigin), none(), none()),
        (("POST", json, SameOrigin), Reply::new(204, &[open, methods]), none()),
        (("DELETE", &[], SameOrigin), Reply::new(204, &[open, methods]), none()),
        (("patch", &[], SameOrigin), Reply::new(204, &[open, methods]), none()),
        (("GET", &[], Include), none(), Reply::new(200, &[any])),
        (("GET", &[], Include), none(), Reply::new(200, &[open])),
        (("PUT", &["authorization: x"], SameOrigin), Reply::new(401, &[any]), none()),
        (("GET", &[], SameOrigin), none(), Reply::new(200, &[any, open])),
        (("PUT", &[], SameOrigin), Reply::new(307, &[any, ("Location", "/elsewhere")]), none()),
        (("PUT", &[], SameOrigin), Reply::new(204, &[any, methods]), Reply::new(502, &[])),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (asks, preflight, reply))| call(stage, number, asks, preflight, reply))
    .collect()
}

#[test]
fn the_page_quotes_the_browser() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cors.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let mut stage = Stage::new();
    let cases = usual_failures(&stage);
    let chapters: Vec<&str> = page.split("\n### ").skip(1).collect();
    for ((case, seen), chapter) in cases.iter().zip(stage.play(&cases)).zip(chapters) {
        let explained = explain_live(&case.scripted.call, stage.server.address());
        assert_eq!(differences(&explained, &seen), [""; 0], "{chapter}");
        let said = seen.messages.iter().find_map(|message| message.split("by CORS policy: ").nth(1));
        let said = said.unwrap_or_else(|| panic!("no message: {seen:?}"));
        let quoted: Vec<&str> = chapter.lines().filter_map(|line| line.strip_prefix("> ")).collect();
        assert_eq!(quoted.join(" "), said, "{chapter}");
    }
}
