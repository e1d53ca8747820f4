//! What may be written in an `[auth.NAME]` table.

use std::time::Duration;

use forebay_config::{
    Check, FilePath, Name, Node, Problem, Reader, Settings, Shape, Spanned, Value, is_token,
};

use crate::forward::Per;
use crate::jwt_settings::JwtSettings;

/// Who may call, and how Forebay knows. Exactly one of `jwt`, `api_keys`, `forward`, `basic`.
#[derive(Clone, Debug, Settings)]
#[settings(check = AuthSettings::check)]
pub struct AuthSettings {
    /// By a signed token that an identity provider has issued.
    #[setting(example = { jwks = "https://login.shop.example/jwks.json", audience = "shop" })]
    pub jwt: Option<JwtSettings>,
    /// By a key that Forebay has issued: `forebay keys new`.
    #[setting(example = "keys.toml")]
    pub api_keys: Option<ApiKeysSettings>,
    /// By asking a service about each request.
    #[setting(example = { service = "login", path = "/auth" })]
    pub forward: Option<ForwardSettings>,
    /// By name and password, for small internal tools.
    #[setting(example = "users")]
    pub basic: Option<BasicSettings>,
    /// Whether the service gets the field with the credentials as it came.
    #[setting(default = true)]
    pub forward_credentials: bool,
    /// Whether the access log says who called. The consumer it always says.
    #[setting(default = true)]
    pub log_subject: bool,
}

/// Keys that Forebay has issued. A file alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "file")]
pub struct ApiKeysSettings {
    /// The file that `forebay keys` writes: hashes of keys, with their consumers. Read again when it changes.
    #[setting(example = "keys.toml")]
    pub file: Spanned<FilePath>,
    /// The field that carries the key: `authorization` behind `Bearer `, any other as its whole value.
    #[setting(default = "x-api-key")]
    pub header: FieldName,
}

/// Names and passwords. A file alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "file")]
pub struct BasicSettings {
    /// A line for each user, as `htpasswd -B` writes it: name, colon, bcrypt hash. Read again when it changes.
    #[setting(example = "users")]
    pub file: Spanned<FilePath>,
    /// How long a password that was right need not be checked again: a check takes a core for a tenth of a second.
    #[setting(default = "1m", max = "1h")]
    pub cache: Duration,
}

/// A service that decides. It is sent each request's head, and what it answers counts.
#[derive(Clone, Debug, Settings)]
#[settings(check = ForwardSettings::check)]
pub struct ForwardSettings {
    /// The service: a `[service.NAME]`.
    #[setting(refers_to = "service", example = "login")]
    pub service: Spanned<Name>,
    /// What it is asked for.
    #[setting(default = "/", min_length = 1, max_length = 2000)]
    pub path: String,
    /// Fields of the request that it is sent.
    #[setting(default = ["authorization", "cookie"], min_length = 1, max_length = 32)]
    pub request_headers: Vec<FieldName>,
    /// The field of its answer that says who calls.
    #[setting(example = "x-auth-user")]
    pub subject: Option<FieldName>,
    /// The field of its answer that says by means of which application.
    #[setting(example = "x-auth-client")]
    pub consumer: Option<FieldName>,
    /// Further fields of its answer that the service behind the route gets. From outside they never reach any service.
    #[setting(default = [], max_length = 32, example = ["x-auth-roles"])]
    pub copy: Vec<FieldName>,
    /// How long it may take.
    #[setting(default = "2s", min = "1ms", max = "1m")]
    pub timeout: Duration,
    /// How long a yes holds for the same question; each request is asked about when not given.
    #[setting(min = "100ms", max = "5m", example = "5s")]
    pub cache: Option<Duration>,
    /// What makes a question the same, besides the fields that are sent: `request` (method, host, path and query),
    /// `route`, or `caller` alone. For a service that does not look at the path, `route` and `caller` ask less often.
    #[setting(default = "request")]
    pub cache_per: Per,
}

/// A field's name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName(pub Box<str>);

impl Value for FieldName {
    const SHAPE: Shape = Shape::text("a header field's name", "\"x-api-key\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<FieldName> {
        reader.text(node, &Self::SHAPE, |text| {
            if !is_token(text) {
                return Err(Problem::new("is none"));
            }
            let name = text.to_ascii_lowercase();
            if is_taken(&name) {
                return Err(Problem::new("is one that HTTP itself needs").help("choose another"));
            }
            Ok(FieldName(name.into()))
        })
    }
}

/// Fields that requests cannot go without.
const CLIENTS_OWN: [&str; 8] =
    ["authorization", "cookie", "origin", "content-type", "accept", "range", "user-agent", "idempotency-key"];

/// What the codec or the pipeline reads and writes itself.
fn is_taken(name: &str) -> bool {
    const TAKEN: [&str; 16] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "proxy-connection",
        "expect",
        "via",
        "forwarded",
        "date",
        "traceparent",
        "tracestate",
        "x-real-ip",
    ];
    TAKEN.contains(&name) || name.starts_with("forebay-") || name.starts_with("x-forwarded-")
}

impl AuthSettings {
    /// The fields that carry credentials.
    pub fn credentials(&self) -> Vec<&str> {
        let own = [self.jwt.as_ref().map(|jwt| &jwt.header), self.api_keys.as_ref().map(|keys| &keys.header)];
        let asked = self.forward.iter().flat_map(|forward| &forward.request_headers);
        own.into_iter().flatten().chain(asked).map(|name| &*name.0).collect()
    }

    fn check(&self, check: &mut Check<'_, '_>) {
        let keys = ["jwt", "api_keys", "forward", "basic"];
        let written: Vec<&str> = keys.into_iter().filter(|key| check.is_written(key)).collect();
        match written.as_slice() {
            [_] => {}
            [] => {
                check
                    .error("jwt", "nothing says how callers are known")
                    .note("a route with this policy could let nobody in")
                    .help("add one of `jwt`, `api_keys`, `forward`, `basic`");
            }
            [_, second, ..] => {
                check
                    .error(second, format!("`{}` cannot stand together", written.join("` and `")))
                    .note("which of them counts would be left to chance")
                    .help("keep one of them, or make a table for each");
            }
        }
    }
}

impl ForwardSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            check
                .error("path", format!("{:?} is no path", self.path))
                .help("begin it with a slash, and encode what is not ASCII with percent signs");
        }
        if let Some(name) = self.copy.iter().find(|name| CLIENTS_OWN.contains(&&*name.0)) {
            check
                .error("copy", format!("\"{}\" is a field that clients send themselves", name.0))
                .note("fields that are copied are taken off every request, so that nobody can send them from outside")
                .help("have the service answer with a field of its own, for example x-auth-roles");
        }
        if check.is_written("cache_per") && self.cache.is_none() {
            check.error("cache_per", "nothing is cached").help("add `cache = \"5s\"`, or remove `cache_per`");
        }
    }
}
