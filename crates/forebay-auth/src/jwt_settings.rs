//! What `jwt` in an `[auth.NAME]` table says, and the policy it comes to.

use std::net::Ipv4Addr;
use std::time::Duration;

use forebay_config::{
    Check, FilePath, Host, HttpUrl, Node, OneOrMany, Problem, Reader, Scheme, Secret, Settings, Shape,
    Spanned, Value,
};

use crate::algorithm::Algorithm;
use crate::jwt::JwtPolicy;
use crate::settings::FieldName;

/// A shared secret must not be easier to guess than its signature (RFC 7518 §3.2).
const SECRET_LENGTH_MIN: usize = 32;

/// Signed tokens (RFC 7519, read as RFC 8725 advises).
#[derive(Clone, Debug, Settings)]
#[settings(check = JwtSettings::check)]
pub struct JwtSettings {
    /// Where the issuer publishes its keys: `https://…`, or `file:…` for a file that somebody keeps up to date.
    #[setting(example = "https://login.shop.example/jwks.json")]
    pub jwks: Option<Spanned<Jwks>>,
    /// Instead of keys that are published: a secret that the issuer shares, for HS256 and its kin.
    #[setting(min_length = 1)]
    pub secret: Option<Secret>,
    /// `iss`: one of these has issued the token.
    #[setting(min_length = 1, max_length = 16, example = "https://login.shop.example")]
    pub issuer: Option<OneOrMany<String>>,
    /// `aud`: the token is for one of these.
    #[setting(min_length = 1, max_length = 16, example = "shop")]
    pub audience: Option<OneOrMany<String>>,
    /// Take tokens whoever they are for, for issuers that do not say.
    #[setting(default = false)]
    pub any_audience: bool,
    /// The algorithms that are taken; all with public keys when not given, or HS256 with a `secret`.
    #[setting(min_length = 1, max_length = 13, example = ["RS256", "ES256"])]
    pub algorithms: Option<OneOrMany<Algorithm>>,
    /// How far the clocks of issuer and Forebay may be apart.
    #[setting(default = "30s", max = "5m")]
    pub leeway: Duration,
    /// The claim that says who calls.
    #[setting(default = "sub", min_length = 1, max_length = 100)]
    pub subject: String,
    /// The claim that says by means of which application, for example `azp` or `client_id`.
    #[setting(min_length = 1, max_length = 100, example = "azp")]
    pub consumer: Option<String>,
    /// Claims that must be there, and not empty.
    #[setting(default = [], max_length = 32)]
    pub required: Vec<String>,
    /// Scopes that the token must have, in `scope` or `scp`; without them the answer is 403.
    #[setting(default = [], max_length = 32, example = ["orders:read"])]
    pub scopes: Vec<ScopeName>,
    /// The type that the token must say it has, for example `at+jwt` (RFC 9068).
    #[setting(min_length = 1, max_length = 100, example = "at+jwt")]
    pub typ: Option<String>,
    /// The field that carries the token: `authorization` behind `Bearer `, any other as its whole value.
    #[setting(default = "authorization")]
    pub header: FieldName,
    /// How old the keys may be before they are fetched again.
    #[setting(default = "10m", min = "10s", max = "1d")]
    pub refresh: Duration,
    /// How old they may be when the issuer cannot be reached; beyond it every request is refused with 503.
    #[setting(default = "24h", min = "1m", max = "30d")]
    pub keep: Duration,
    /// PEM file of trusted roots for `jwks`, instead of the system's.
    pub roots: Option<Spanned<FilePath>>,
    /// Fetch keys over `http://`, though anybody on the way could put in his own.
    #[setting(default = false)]
    pub dangerously_allow_insecure_jwks: bool,
}

/// Where keys are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// By a server.
    Url(HttpUrl),
    /// In a file.
    File(FilePath),
}

impl Value for Jwks {
    const SHAPE: Shape =
        Shape::text("a URL or `file:` and a path", "\"https://login.shop.example/jwks.json\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Jwks> {
        let folder = reader.folder(node).to_owned();
        reader.text(node, &Self::SHAPE, |text| match text.strip_prefix("file:") {
            Some("") => Err(Problem::new("names no file")),
            Some(path) => Ok(Jwks::File(FilePath::new(folder.join(path)))),
            None => text.parse().map(Jwks::Url),
        })
    }
}

/// A scope (RFC 6749 §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeName(pub Box<str>);

impl Value for ScopeName {
    const SHAPE: Shape = Shape::text("a scope", "\"orders:read\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<ScopeName> {
        reader.text(node, &Self::SHAPE, |text| {
            let allowed = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
            match text.chars().find(|&c| !allowed(c)) {
                Some(odd) => Err(Problem::new(format!("has {odd:?}")).help("write one scope per element")),
                None if text.is_empty() => Err(Problem::new("is empty")),
                None => Ok(ScopeName(text.into())),
            }
        })
    }
}

impl JwtSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        match (&self.jwks, &self.secret) {
            (None, None) => {
                check
                    .error("jwks", "nothing says by which keys tokens are verified")
                    .note("a token that nobody verifies says what whoever made it wanted")
                    .help("write `jwks = \"https://…\"`, or a `secret` that the issuer shares");
            }
            (Some(_), Some(_)) => {
                check
                    .error("secret", "`jwks` and `secret` cannot stand together")
                    .note("a token could be signed with what is published, as if it were the secret")
                    .help("keep one of them, or make two tables");
            }
            _ => {}
        }
        self.check_audience(check);
        self.check_algorithms(check);
        if let Some(Spanned { value: Jwks::Url(url), origin }) = &self.jwks
            && url.scheme == Scheme::Http
            && !is_loopback(&url.host)
            && !self.dangerously_allow_insecure_jwks
        {
            check
                .error_at(*origin, format!("{url} is insecure"))
                .note("whoever sits on the way could put in keys of his own, and be anybody")
                .help("use https://")
                .help("if this is meant: `dangerously_allow_insecure_jwks = true`");
        }
        if self.keep < self.refresh {
            check
                .error("keep", "keys would be too old before they are fetched again")
                .note("from then on until the next fetch every request would be refused")
                .help("make `keep` longer than `refresh`");
        }
    }

    fn check_audience(&self, check: &mut Check<'_, '_>) {
        match (&self.audience, self.any_audience) {
            (None, false) => {
                check
                    .error("audience", "nothing says whom tokens are for")
                    .note("a token for another service would open this one, and be sent on to it")
                    .help("write the `aud` of your tokens, for example audience = \"shop\"")
                    .help("if your issuer does not say whom a token is for: any_audience = true");
            }
            (Some(_), true) => {
                check
                    .error("any_audience", "`audience` and `any_audience = true` contradict each other")
                    .note("the one takes tokens for those it names alone, the other takes tokens whoever they are for")
                    .help("remove `any_audience` to take the named audiences alone, or `audience` to take any");
            }
            _ => {}
        }
    }

    fn check_algorithms(&self, check: &mut Check<'_, '_>) {
        if let Some(secret) = &self.secret
            && secret.reveal().len() < SECRET_LENGTH_MIN
        {
            check
                .error("secret", format!("the secret has less than {SECRET_LENGTH_MIN} bytes"))
                .note("whoever has one token can try secrets until one fits, with nobody noticing")
                .help("make one: openssl rand -hex 32");
        }
        let Some(algorithms) = &self.algorithms else { return };
        let wants_secret = self.secret.is_some();
        if let Some(odd) = algorithms.iter().find(|algorithm| algorithm.is_symmetric() != wants_secret) {
            let (message, help) = if wants_secret {
                (format!("{} needs a public key", odd.text()), "name `jwks` instead of `secret`")
            } else {
                (
                    format!("{} needs a `secret`", odd.text()),
                    "leave it out: published keys must not be secrets",
                )
            };
            check
                .error("algorithms", message)
                .note("taken for the other kind, a public key would be a secret that everybody knows")
                .help(help);
        }
    }

    /// The algorithms that are taken.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        match &self.algorithms {
            Some(algorithms) => algorithms.to_vec(),
            None if self.secret.is_some() => vec![Algorithm::Hs256],
            None => Algorithm::ASYMMETRIC.to_vec(),
        }
    }

    /// The policy they come to.
    pub(crate) fn policy(&self) -> JwtPolicy {
        let list = |texts: &Option<OneOrMany<String>>| texts.as_ref().map(|texts| texts.to_vec());
        JwtPolicy {
            header: self.header.0.clone(),
            algorithms: self.algorithms(),
            issuers: list(&self.issuer).unwrap_or_default(),
            audiences: list(&self.audience).unwrap_or_default(),
            leeway: self.leeway,
            subject: self.subject.as_str().into(),
            consumer: self.consumer.as_deref().map(Into::into),
            required: self.required.clone(),
            scopes: self.scopes.iter().map(|scope| scope.0.to_string()).collect(),
            typ: self.typ.clone(),
            secret: self.secret.as_ref().map(|secret| secret.reveal().as_bytes().into()),
        }
    }
}

/// What stays on this machine.
fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Name(name) => &**name == "localhost",
        Host::V4(address) => *address == Ipv4Addr::LOCALHOST,
        Host::V6(address) => address.is_loopback(),
    }
}
