//! Calls that a script may make, of every kind that is decided about. Never sends one.

use fastrand::Rng;
use forebay_cors::explain::{Call, Credentials, Mode};
use serde_json::{Value, json};

const METHODS: &[&str] = &[
    "GET", "GET", "HEAD", "POST", "POST", "PUT", "put", "DELETE", "PATCH", "patch", "OPTIONS", "PURGE",
    "TRACE",
];
/// As a script writes them.
const LINES: &[&str] = &[
    "authorization: x",
    "content-type: application/json",
    "content-type: text/plain",
    "content-type: Text/Plain;charset=UTF-8",
    "content-type: multipart/form-data; boundary=\"x\"",
    "content-type: text/plain, application/json",
    "content-type: text/plain ; a",
    "content-type: application/x-www-form-urlencoded",
    "content-type: ",
    "x-a: 1",
    "X-B: 2",
    "x-c: ",
    "accept: application/json, */*;q=0.1",
    "accept: a(b",
    "accept: a\"b",
    "accept: é",
    "accept-language: de-CH, *;q=0.5",
    "accept-language: de_CH",
    "content-language: en",
    "content-language: é",
    "range: bytes=0-1",
    "range: bytes=0-",
    "range: bytes=-5",
    "range: bytes=5-4",
    "range: Bytes=0-1",
    "range: bytes=0-1,3-4",
    "range: bytes= 0-1",
    "range: bytes=18446744073709551615-",
    "range: bytes=00-01",
    "save-data: on",
    "save-data: 1",
    "dpr: 2.0",
    "dpr: two",
    "device-memory: 8",
    "downlink: 1.",
    "downlink: -1",
    "ect: 4g",
    "ect: 5g",
    "rtt: 50",
    "width: 10",
    "viewport-width: 1x",
    "intervention: x",
    "cookie: a=b",
    "sec-x: 1",
    "proxy-x: 1",
    "x-http-method-override: TRACE",
    "x-http-method-override: PUT",
    "x-method-override: GET, track",
    "user-agent: me",
    "dnt: 1",
    "date: x",
    "te: x",
    "via: x",
    "expect: x",
    "accept-charset: x",
    "access-control-request-private-network: true",
    "if-none-match: x",
    "cache-control: no-cache",
    "priority: u=1",
    "referer: https://x.example",
    "x-requested-with: XMLHttpRequest",
];

/// A call, with what only a script knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    pub(crate) call: Call,
    /// By XMLHttpRequest, which can also listen to the progress of an upload.
    pub(crate) by_xhr: bool,
    lines: Vec<String>,
    method: &'static str,
}

impl Scripted {
    /// Any call from a page of `origin`.
    pub(crate) fn any(rng: &mut Rng, origin: &str, url: &str) -> Scripted {
        let method = pick(rng, METHODS);
        let mut lines: Vec<String> =
            (0..pick(rng, &[0, 0, 0, 1, 1, 2, 3])).map(|_| pick(rng, LINES).to_owned()).collect();
        if rng.u8(..16) == 0 {
            let long = pick(rng, &[127, 128, 129]);
            lines.push(format!("accept: {}", pick(rng, &["a", "é"]).repeat(long)));
        }
        if rng.u8(..32) == 0 {
            // Each is short enough; together they may not be.
            let many = pick(rng, &[8, 9]);
            lines.extend((0..many).map(|_| format!("accept-language: {}", "d".repeat(120))));
        }
        let by_xhr = method != "TRACE" && rng.u8(..6) == 0;
        let credentials = match by_xhr {
            true => pick(rng, &[Credentials::SameOrigin, Credentials::Include]),
            false => pick(
                rng,
                &[
                    Credentials::Omit,
                    Credentials::SameOrigin,
                    Credentials::SameOrigin,
                    Credentials::Include,
                    Credentials::Include,
                ],
            ),
        };
        let mode = match rng.u8(..12) {
            _ if by_xhr => Mode::Cors,
            0 => Mode::NoCors,
            1 => Mode::SameOrigin,
            _ => Mode::Cors,
        };
        // Without a body there is no progress to listen to.
        let forces_preflight = by_xhr && !matches!(method, "GET" | "HEAD") && rng.bool();
        Scripted::new(
            origin,
            url,
            method,
            lines,
            Call { credentials, mode, forces_preflight, ..plain(origin, url) },
            by_xhr,
        )
    }

    /// `fetch` with these options.
    pub(crate) fn fetch(
        origin: &str,
        url: &str,
        method: &'static str,
        lines: &[&str],
        credentials: Credentials,
    ) -> Scripted {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        Scripted::new(origin, url, method, lines, Call { credentials, ..plain(origin, url) }, false)
    }

    fn new(
        origin: &str,
        url: &str,
        method: &'static str,
        lines: Vec<String>,
        options: Call,
        by_xhr: bool,
    ) -> Scripted {
        let call = plain(origin, url).method(method).expect("a method");
        let call = lines.iter().fold(call, |call, line| call.header(line).expect("a header"));
        let Call { credentials, mode, forces_preflight, .. } = options;
        Scripted { call: Call { credentials, mode, forces_preflight, ..call }, by_xhr, lines, method }
    }

    /// As the script in the page reads it.
    pub(crate) fn to_json(&self) -> Value {
        let pair = |line: &String| {
            let (name, value) = line.split_once(':').unwrap_or((line, "1"));
            json!([name, value])
        };
        json!({
            "url": self.call.url,
            "method": self.method,
            "headers": self.lines.iter().map(pair).collect::<Vec<_>>(),
            "credentials": match self.call.credentials {
                Credentials::Omit => "omit",
                Credentials::SameOrigin => "same-origin",
                Credentials::Include => "include",
            },
            "mode": match self.call.mode {
                Mode::Cors => "cors",
                Mode::NoCors => "no-cors",
                Mode::SameOrigin => "same-origin",
            },
            "xhr": self.by_xhr,
            "progress": self.call.forces_preflight,
        })
    }
}

fn plain(origin: &str, url: &str) -> Call {
    Call::new(origin, url).expect("a call")
}

/// One of them.
pub(crate) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}
