//! What may be written in a `[cors.NAME]` table.

use std::time::Duration;

use forebay_config::{Settings, Spanned};

use crate::names::{MethodName, RequestHeader, ResponseHeader};
use crate::origin::OriginPattern;

/// Which pages of other origins may use a route, and what they may read.
#[derive(Clone, Debug, Settings)]
#[settings(check = CorsSettings::check)]
pub struct CorsSettings {
    /// Who may: origins as browsers send them, `https://*.shop.example` for all its subdomains (not itself),
    /// `http://localhost:*` for any port, `*` for everybody.
    #[setting(min_length = 1, max_length = 10000, example = ["https://shop.example"])]
    pub origins: Spanned<Vec<Spanned<OriginPattern>>>,
    /// Methods that scripts may use; `*` is any. GET and HEAD go together.
    #[setting(default = ["GET", "HEAD", "POST"], min_length = 1, max_length = 64)]
    pub methods: Spanned<Vec<Spanned<MethodName>>>,
    /// Request headers that scripts may set, beyond those that need no permission; `*` is any but `authorization`,
    /// which has to be named.
    #[setting(default = [], max_length = 256, example = ["authorization", "content-type"])]
    pub headers: Spanned<Vec<Spanned<RequestHeader>>>,
    /// Response headers that scripts may read, beyond the seven that always are; `*` is any.
    #[setting(default = [], max_length = 256, example = ["etag", "location"])]
    pub expose: Spanned<Vec<Spanned<ResponseHeader>>>,
    /// How long browsers may remember the answer to a preflight.
    #[setting(default = "10m", max = "1d")]
    pub max_age: Spanned<Duration>,
    /// Whether requests may carry cookies, HTTP authentication and client certificates, and be read.
    #[setting(default = false)]
    pub credentials: Spanned<bool>,
    /// Whether pages of the public internet may reach this route when it lies in a private or local network.
    #[setting(default = false)]
    pub private_network: Spanned<bool>,
    /// Whether allowed origins may also read the exact timing of a response (`Timing-Allow-Origin`).
    #[setting(default = false)]
    pub timing_allow_origin: bool,
    /// Which sites may embed a response without reading it (`Cross-Origin-Resource-Policy`); said nothing of when not
    /// given.
    pub resource_policy: Option<ResourcePolicy>,
    /// Status of the answer to a preflight: 204, or 200 for old clients.
    #[setting(default = 204)]
    pub preflight_status: u16,
    /// Decide and count only: preflights and upstream CORS headers pass as if this policy did not exist.
    #[setting(default = false)]
    pub shadow: bool,
    /// Tell the decision in a response header, `Forebay-Cors`. Not for production: it tells strangers too.
    #[setting(default = false)]
    pub debug: bool,
    /// Let every page on the internet act with the cookies of whoever visits it: `*` together with `credentials`.
    #[setting(default = false)]
    pub dangerously_allow_any_origin_with_credentials: bool,
    /// Let `null` in, which any page can pretend to be by means of a sandboxed frame.
    #[setting(default = false)]
    pub dangerously_allow_null_origin: bool,
    /// Let `http://` origins use credentials or private networks, though anybody on their network can pretend to be
    /// them.
    #[setting(default = false)]
    pub dangerously_allow_insecure_origins: bool,
    /// Let all subdomains of a public suffix, such as `https://*.github.io`, use credentials or private networks.
    #[setting(default = false)]
    pub dangerously_allow_public_suffix_wildcards: bool,
    /// Let every page on the internet reach into a private network: `*` together with `private_network`.
    #[setting(default = false)]
    pub dangerously_allow_any_origin_to_private_network: bool,
    /// Let browsers other than Chromium remember permissions for up to a day, which nobody can take back.
    #[setting(default = false)]
    pub dangerously_allow_long_max_age: bool,
}

/// Which sites may embed a response without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum ResourcePolicy {
    /// Its own origin alone.
    SameOrigin,
    /// Its own site: the registrable domain.
    SameSite,
    /// Everybody.
    CrossOrigin,
}

impl ResourcePolicy {
    /// As in the header.
    pub const fn text(self) -> &'static str {
        match self {
            ResourcePolicy::SameOrigin => "same-origin",
            ResourcePolicy::SameSite => "same-site",
            ResourcePolicy::CrossOrigin => "cross-origin",
        }
    }
}
