//! What `explain` says of a case, and where the browser says something else.

use std::net::{SocketAddr, TcpStream};

use forebay_cors::explain::{
    Answer, Block, Call, Inquiry, Mode, Next, Reads, Report, Rules, Sent, Walk, walk,
};
use forebay_testkit::{Message, Wire};

use super::stage::{CANCELED, Seen, key, target};

/// Headers whose names a script looks for, besides those that are always readable.
const PROBES: &[&str] = &["etag", "x-total", "x-secret", "content-type", "cache-control", "set-cookie"];
/// Headers that nobody but a script adds.
const SCRIPTS: &[&str] = &[
    "authorization",
    "content-type",
    "content-language",
    "range",
    "x-a",
    "x-b",
    "x-c",
    "dpr",
    "downlink",
    "ect",
    "rtt",
    "width",
    "viewport-width",
    "device-memory",
    "save-data",
    "intervention",
    "if-none-match",
];

/// What servers on the way answered to `explain`, and its report.
pub(crate) struct Explained {
    pub(crate) report: Report,
    /// What Chromium would have sent by it; only where servers were asked.
    pub(crate) sent: Vec<Sent>,
}

/// By asking the server, as `--live` does.
pub(crate) fn explain_live(call: &Call, server: SocketAddr) -> Explained {
    let mut inquiry = Inquiry::new(call.clone());
    let mut answers: Vec<(Sent, Answer)> = Vec::new();
    let report = loop {
        match inquiry.next() {
            Next::Done(report) => break *report,
            Next::Send(sent) => {
                let answer = ask(&sent, server);
                answers.push((sent.clone(), answer.clone()));
                inquiry.answer(sent, answer);
            }
        }
    };
    let mut given = Vec::new();
    let mut sent = Vec::new();
    while let Walk::Ask(next) = walk(Rules::Chromium, call, &given) {
        let answered = answers.iter().find(|(asked, _)| *asked == next).expect("it was asked for");
        given.push(answered.clone());
        sent.push(next);
    }
    Explained { report, sent }
}

fn ask(sent: &Sent, server: SocketAddr) -> Answer {
    let rest = sent.url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let mut text = format!("{} {path} HTTP/1.1\r\nhost: explain\r\n", sent.method);
    sent.headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    let mut wire = Wire::plain(TcpStream::connect(server).expect("the server listens")).expect("a socket");
    wire.send(text + "\r\n").expect("the server reads");
    let head = wire.head().unwrap_or_else(|error| panic!("{error} for {sent:?}"));
    Answer { status: head.status(), headers: head.fields }
}

/// How what was seen differs from what was explained; nothing when it does not.
pub(crate) fn differences(explained: &Explained, seen: &Seen) -> Vec<String> {
    let report = &explained.report;
    let mut found = Vec::new();
    let said =
        report.chromium.blocked.as_ref().map(|(block, detail)| (block.name().to_owned(), detail.clone()));
    let given_up = [Block::RedirectContainsCredentials, Block::InvalidRedirect];
    let is_given_up = seen.blocked.as_ref().is_some_and(|(name, _)| name == CANCELED)
        && report.chromium.blocked.as_ref().is_some_and(|(block, _)| given_up.contains(block));
    if !is_given_up && said.as_ref().map(|said| &said.0) != seen.blocked.as_ref().map(|seen| &seen.0) {
        found.push(format!("explain says {said:?}, the browser {:?}", seen.blocked));
    }
    // Of several headers the browser names one, by an order of its own; `explain` names them all.
    let is_about = |said: &str, seen: &str| said == seen || said.split(", ").any(|said| said == seen);
    let tells = ["MethodDisallowedByPreflightResponse", "HeaderDisallowedByPreflightResponse"];
    if let (Some((name, said)), Some((_, seen))) = (&said, &seen.blocked)
        && tells.contains(&&**name)
        && !is_about(said, seen)
    {
        found.push(format!("explain says it is about {said:?}, the browser {seen:?}"));
    }
    if report.differs() && report.departures.is_empty() {
        found.push("two verdicts without a departure".to_owned());
    }
    if seen.blocked.is_none() && said.is_none() {
        compare_reads(&report.chromium.reads, seen, &mut found);
    }
    found
}

fn compare_reads(reads: &Reads, seen: &Seen, found: &mut Vec<String>) {
    let got = &seen.got;
    let names: Vec<&str> =
        got["headers"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    let reads_name = |name: &str| match reads {
        Reads::Nothing | Reads::Opaque => false,
        Reads::Everything => name != "set-cookie",
        Reads::Headers { all: true, .. } => name != "set-cookie",
        Reads::Headers { readable, .. } => readable.iter().any(|readable| readable == name),
    };
    for probe in PROBES {
        if names.contains(probe) != reads_name(probe) {
            found.push(format!("{probe}: explain says {}, the script got {names:?}", reads_name(probe)));
        }
    }
    let is_opaque = got["type"] == "opaque";
    if is_opaque != (*reads == Reads::Opaque) {
        found.push(format!("explain says {reads:?}, the response is {}", got["type"]));
    }
}

/// How the browser's requests differ from those that `explain` foresaw.
pub(crate) fn request_differences(call: &Call, explained: &Explained, seen: &Seen) -> Vec<String> {
    let shown = |request: &Message| format!("{} {}", request.start, request.fields.len());
    let mut found = Vec::new();
    let (sent, requests) = (&explained.sent, &seen.requests);
    // `explain` asks the same question once, and the browser until it has had enough.
    let circles = explained
        .report
        .chromium
        .blocked
        .as_ref()
        .is_some_and(|(block, _)| *block == Block::TooManyRedirects);
    if circles {
        return found;
    }
    if sent.len() != requests.len() {
        let sent: Vec<String> = sent.iter().map(|sent| format!("{} {}", sent.method, sent.url)).collect();
        let requests: Vec<String> = requests.iter().map(shown).collect();
        return vec![format!("explain foresaw {sent:?}, the browser sent {requests:?}")];
    }
    for (sent, request) in sent.iter().zip(requests) {
        compare_request(call, sent, request, &mut found);
    }
    found
}

fn compare_request(call: &Call, sent: &Sent, request: &Message, found: &mut Vec<String>) {
    let of_sent = |name: &str| sent.headers.iter().find(|(had, _)| had == name).map(|(_, value)| &**value);
    let of_request = |name: &str| {
        let values = request.fields_named(name);
        (!values.is_empty()).then(|| values.join(", "))
    };
    let line = format!("{} {}", sent.method, &sent.url[sent.url.find("/case/").unwrap_or(0)..]);
    if !request.start.starts_with(&format!("{line} ")) || key(&sent.url) != key(target(request)) {
        found.push(format!("explain foresaw {line}, the browser sent {}", request.start));
    }
    for name in ["access-control-request-method", "access-control-request-headers"] {
        if of_sent(name) != of_request(name).as_deref() {
            found.push(format!(
                "{name}: explain foresaw {:?}, the browser sent {:?}",
                of_sent(name),
                of_request(name)
            ));
        }
    }
    let origin = of_request("origin");
    let has_to = sent.is_preflight || call.mode == Mode::Cors && !sent.url.starts_with(&call.origin);
    if (has_to || origin.is_some()) && origin.as_deref() != of_sent("origin") {
        found.push(format!("origin: explain foresaw {:?}, the browser sent {origin:?}", of_sent("origin")));
    }
    if sent.is_preflight {
        return;
    }

    for name in SCRIPTS {
        if of_sent(name).is_some() != of_request(name).is_some() {
            found.push(format!(
                "{name}: explain foresaw {:?}, the browser sent {:?}",
                of_sent(name),
                of_request(name)
            ));
        }
    }
}
