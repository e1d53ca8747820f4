//! What `idempotency` on a route says, and the policy it comes to.

use std::time::Duration;

use forebay_config::{ByteSize, Check, Node, Problem, Reader, Settings, Shape, Value, is_token};

/// How much longer than its request a lease lasts: the answer has to reach the store too.
const LEASE_SLACK: Duration = Duration::from_secs(10);

/// `Idempotency-Key` on a route: POST and PATCH with a key run at most once. A scope alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "scope", check = IdempotencySettings::check)]
pub struct IdempotencySettings {
    /// Whose keys they are: `subject` (the authenticated caller), `header:NAME` (callers told apart by that field), or
    /// `anonymous` (all callers share them, so whoever knows a key gets its answer).
    #[setting(
        example = "subject",
        why = "without a scope, one caller could be given the answer to another's request"
    )]
    pub scope: Scope,
    /// Refuse requests without a key.
    #[setting(default = false)]
    pub required: bool,
    /// How long an answer is kept, and its key.
    #[setting(default = "24h", min = "10m", max = "30d")]
    pub ttl: Duration,
    /// What a repeated request gets when nobody knows whether the first was carried out: `refuse`, or `retry`, which
    /// carries it out, perhaps for the second time.
    #[setting(default = "refuse")]
    pub on_unknown: OnUnknown,
    /// The largest answer that is kept, fields included. Larger ones reach the client, but cannot be repeated.
    #[setting(default = "64KiB", min = "1KiB", max = "1MiB")]
    pub max_response: ByteSize,
    /// The largest body of a request with a key: it is held until it has come whole, to be compared.
    #[setting(default = "1MiB", min = "1KiB", max = "16MiB")]
    pub max_body: ByteSize,
    /// Statuses by which the service says that it did nothing: they free the key for another try.
    #[setting(default = [401, 425, 429], max_length = 16)]
    pub release_on: Vec<u16>,
}

/// Whose keys they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The authenticated caller's.
    Subject,
    /// Everybody's.
    Anonymous,
    /// Those of whoever sends the same value of this field (lowercase).
    Header(Box<str>),
}

/// What to do when nobody knows whether the first request was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum OnUnknown {
    /// Never carry it out again.
    Refuse,
    /// Carry it out, perhaps for the second time.
    Retry,
}

/// What holds for the keyed requests of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose keys they are.
    pub scope: Scope,
    /// Whether a request without a key is refused.
    pub required: bool,
    /// How long a record is kept.
    pub ttl: Duration,
    /// How long a request may be under way until its outcome counts as unknown.
    pub lease: Duration,
    /// What then.
    pub on_unknown: OnUnknown,
    /// The largest answer kept, in bytes.
    pub response_bytes_max: usize,
    /// The largest body taken, in bytes.
    pub body_bytes_max: usize,
    /// Statuses that free the key.
    pub release_on: Vec<u16>,
}

impl IdempotencySettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if let Some(odd) = self.release_on.iter().find(|status| !(400..600).contains(*status)) {
            check
                .error("release_on", format!("{odd} is no status of an error"))
                .note("a request that was carried out must keep its key, or it could run twice")
                .help("list statuses from 400 to 599 alone");
        }
    }

    /// Whether callers are told apart by who they are, which somebody has to find out.
    pub fn is_by_subject(&self) -> bool {
        self.scope == Scope::Subject
    }

    /// The policy they come to, for a route whose requests end within `timeout`.
    pub fn policy(&self, timeout: Duration) -> Policy {
        Policy {
            scope: self.scope.clone(),
            required: self.required,
            ttl: self.ttl,
            lease: timeout.saturating_add(LEASE_SLACK),
            on_unknown: self.on_unknown,
            response_bytes_max: self.max_response.bytes() as usize,
            body_bytes_max: self.max_body.bytes() as usize,
            release_on: self.release_on.clone(),
        }
    }
}

impl Value for Scope {
    const SHAPE: Shape = Shape::text("`subject`, `anonymous` or `header:NAME`", "\"subject\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Scope> {
        reader.text(node, &Self::SHAPE, |text| match text {
            "subject" => Ok(Scope::Subject),
            "anonymous" => Ok(Scope::Anonymous),
            other => {
                let name = other.strip_prefix("header:").filter(|name| is_token(name));
                name.map(|name| Scope::Header(name.to_ascii_lowercase().into())).ok_or_else(|| {
                    Problem::new("names no scope")
                        .note("without a scope, one caller could be given the answer to another's request")
                        .help("write \"subject\", \"header:X-Api-Key\" or \"anonymous\"")
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use forebay_config::{Inputs, check_declarations, load};

    use super::*;

    /// The whole file.
    #[derive(Debug, Settings)]
    struct Root {
        /// One route.
        route: Route,
    }

    /// One route.
    #[derive(Debug, Settings)]
    struct Route {
        /// Its keys.
        idempotency: Option<IdempotencySettings>,
    }

    fn read(line: &str) -> Result<Option<IdempotencySettings>, String> {
        let file = format!("[route]\n{line}\n");
        let files = |_: &Path| Ok(file.as_bytes().to_vec());
        let loaded =
            load::<Root>(Inputs { file: Some("forebay.toml".into()), files: &files, ..Inputs::default() });
        loaded.map(|loaded| loaded.value.route.idempotency).map_err(|diagnostics| diagnostics.to_string())
    }

    #[test]
    fn a_route_has_to_say_whose_keys_they_are() {
        let scope = |line: &str| read(line).unwrap().map(|settings| settings.scope);
        assert_eq!(scope(""), None);
        assert_eq!(scope("idempotency = 'subject'"), Some(Scope::Subject));
        assert_eq!(
            scope("idempotency = { scope = 'header:X-Api-Key' }"),
            Some(Scope::Header("x-api-key".into()))
        );
        let error = read("idempotency = { required = true }").unwrap_err();
        assert!(error.contains("`scope`"), "{error}");
        let error = read("idempotency = 'header:x y'").unwrap_err();
        assert!(error.contains("names no scope"), "{error}");
    }

    #[test]
    fn what_was_carried_out_cannot_free_its_key() {
        let error = read("idempotency = { scope = 'anonymous', release_on = [200] }").unwrap_err();
        assert!(error.contains("200 is no status of an error"), "{error}");
    }

    #[test]
    fn the_declarations_are_sound() {
        assert_eq!(check_declarations::<Root>(), Vec::<String>::new());
    }

    #[test]
    fn a_lease_outlasts_its_request() {
        let policy = read("idempotency = 'anonymous'").unwrap().unwrap().policy(Duration::from_secs(15));
        assert_eq!((policy.lease, policy.ttl), (Duration::from_secs(25), Duration::from_secs(86_400)));
    }
}
