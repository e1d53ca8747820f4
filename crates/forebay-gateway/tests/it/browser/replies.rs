//! What a server may answer, right and wrong in every way that has been seen. Each is wrong in a few places only, so that
//! a browser gets far enough to meet them.

use fastrand::Rng;
use forebay_cors::explain::{Call, Credentials};

use super::calls::pick;

/// Values that name no origin, or not the page's.
const NOBODY: &[&str] = &[
    "https://other.example",
    "shop.example",
    "https://",
    "https:",
    "https:shop.example",
    "https:/shop.example",
    "//shop.example",
    "https://shop.example:99999",
    "https://shop.example:x",
    "https://*.shop.example",
    "https://shop.example:*",
    "http://[::1",
    "http://[::1]",
    "https://exa%6dple.com",
    "https://a|b",
    "https://a<b",
    "https://a_b",
    "https://a\"b",
    "https://a`b",
    "https://a{b",
    "https://1.2.3.4.5",
    "https://1.2.3.256",
    "https://0x7f.1",
    "https://é.example",
    "https://xn--a.example",
    "https://.",
    "https://@",
    "https://a@b",
    "file:///x",
    "data:x",
    "x:",
    "1x://a",
    "javascript:alert(1)",
    "blob:https://shop.example/1",
    "*.shop.example",
    "NULL",
    "undefined",
    "https://shop.example\u{a0}",
];

/// A status and fields.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
}

impl Reply {
    pub(crate) fn new(status: u16, fields: &[(&str, &str)]) -> Reply {
        Reply {
            status,
            fields: fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    fn add(&mut self, name: &str, values: impl IntoIterator<Item = impl Into<String>>) {
        self.fields.extend(values.into_iter().map(|value| (name.to_owned(), value.into())));
    }

    /// To a preflight.
    pub(crate) fn to_preflight(rng: &mut Rng, call: &Call, origin: &str) -> Reply {
        let status = match rng.u8(..10) {
            0 => pick(rng, &[201, 299, 300, 301, 302, 304, 307, 400, 401, 403, 404, 405, 500, 502]),
            _ => pick(rng, &[200, 204]),
        };
        let mut reply = Reply { status, fields: Vec::new() };
        if rng.u8(..20) == 0 || (matches!(status, 301 | 302 | 307) && rng.bool()) {
            reply.add("Location", [pick(rng, &["/elsewhere", "http://other.localhost/x", ""])]);
        }
        reply.add_grant(rng, call, origin);
        let method = call.method.as_str();
        reply.add(
            "Access-Control-Allow-Methods",
            match rng.u8(..24) {
                0 => vec![],
                1 => vec!["*".to_owned()],
                2 => vec![method.to_lowercase()],
                3 => vec![format!("{method} GET")],
                4 => vec![format!("{method};GET")],
                5 => vec![format!("{method},,GET,")],
                6 => vec!["GET".to_owned(), method.to_owned()],
                7 => vec![format!("\"{method}\"")],
                8 => vec![String::new()],
                9 => vec!["GET, POST".to_owned()],
                10 => vec![format!("{method}, *")],
                11 => vec![method.to_uppercase()],
                _ => vec![format!("GET, {method}")],
            },
        );
        let names: Vec<&str> = call.headers.iter().map(|(name, _)| &**name).collect();
        let all = names.join(", ");
        reply.add(
            "Access-Control-Allow-Headers",
            match rng.u8(..24) {
                0 => vec![],
                1 | 2 => vec!["*".to_owned()],
                3 => vec!["*, authorization".to_owned()],
                4 => vec![all.to_uppercase()],
                5 => vec![all.replace(", ", " ")],
                6 => vec![all.replace(", ", ";")],
                7 => names.iter().map(|&name| name.to_owned()).collect(),
                8 => vec![format!(",,{all},\t")],
                9 => vec![format!("[{all}]")],
                10 => vec![String::new()],
                11 => vec!["x-a".to_owned()],
                _ => vec![all],
            },
        );
        match rng.u8(..6) {
            0 => reply.add("Access-Control-Max-Age", [pick(rng, &["0", "-1", "1h", "86400", ""])]),
            1 => reply.add("Access-Control-Allow-Private-Network", ["true"]),
            _ => {}
        }
        reply
    }

    /// To the call itself; `next` is where a redirect may lead.
    pub(crate) fn to_call(rng: &mut Rng, call: &Call, origin: &str, next: Option<&str>) -> Reply {
        let mut reply = Reply { status: 200, fields: Vec::new() };
        match next {
            Some(next) => {
                reply.status = pick(rng, &[301, 302, 303, 307, 308]);
                reply.add("Location", [next]);
            }
            None if rng.u8(..5) == 0 => {
                reply.status = pick(
                    rng,
                    &[201, 204, 300, 301, 304, 400, 401, 403, 404, 405, 413, 418, 429, 500, 502, 503, 504],
                );
            }
            None => {}
        }
        reply.add_grant(rng, call, origin);
        reply.add_exposed(rng);
        reply
    }

    /// What a service says that has not heard of CORS, or too much of it.
    pub(crate) fn of_service(rng: &mut Rng, call: &Call, origin: &str) -> Reply {
        let mut reply = Reply { status: 200, fields: Vec::new() };
        if rng.bool() {
            reply.add_grant(rng, call, origin);
        }
        reply.add_exposed(rng);
        if rng.bool() {
            reply.add("Vary", [pick(rng, &["*", "Accept", "origin", "Accept-Encoding, Cookie"])]);
        }
        reply
    }

    fn add_grant(&mut self, rng: &mut Rng, call: &Call, origin: &str) {
        let own = |text: &str| vec![text.to_owned()];
        let include = call.credentials == Credentials::Include;
        let wrong = rng.u8(..6) == 0;
        self.add(
            "Access-Control-Allow-Origin",
            match rng.u8(..24) {
                _ if !wrong && include => own(origin),
                _ if !wrong => own(if rng.bool() { "*" } else { origin }),
                0 => vec![],
                1 | 2 => own("*"),
                3 => own("null"),
                4 => own(&format!("{origin}/")),
                5 => own(&origin.to_uppercase()),
                6 => own(&format!("{origin} https://other.example")),
                7 => vec![origin.to_owned(), origin.to_owned()],
                8 => vec!["*".to_owned(), origin.to_owned()],
                9 => own(""),
                10 => own(" \t* "),
                11 => own(&format!("{origin}:443")),
                _ => own(pick(rng, NOBODY)),
            },
        );
        self.add(
            "Access-Control-Allow-Credentials",
            match rng.u8(..40) {
                0 => vec![],
                1 => vec!["True"],
                2 => vec!["false"],
                3 => vec![""],
                4 => vec!["true", "true"],
                5 => vec!["true, true"],
                6 => vec![" true\t"],
                7 => vec!["1"],
                _ if include || rng.bool() => vec!["true"],
                _ => vec![],
            },
        );
    }

    fn add_exposed(&mut self, rng: &mut Rng) {
        self.add("ETag", ["\"1\""]);
        self.add("X-Total", ["7"]);
        self.add("X-Secret", ["s"]);
        self.add("Content-Type", ["text/plain"]);
        self.add("Set-Cookie", ["a=b"]);
        self.add("Cache-Control", ["no-store"]);
        self.add(
            "Access-Control-Expose-Headers",
            match rng.u8(..10) {
                0 => vec!["*"],
                1 => vec!["etag"],
                2 => vec!["ETag, X-Total"],
                3 => vec!["etag", "x-total"],
                4 => vec!["etag x-total"],
                5 => vec!["etag;", "x-total"],
                6 => vec!["*, etag, set-cookie"],
                7 => vec![",,x-total,"],
                _ => vec![],
            },
        );
    }
}
