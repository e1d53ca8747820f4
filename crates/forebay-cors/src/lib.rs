//! Decides what pages of other origins may do, and explains what a browser makes of it. Never sends or receives.
//!
//! [`CorsSettings`] is what may be written, [`Policy`] what it comes to. A policy is asked once for each request
//! ([`Policy::decide`]): preflights it answers itself, for anything else it returns a [`Decision`], which turns into
//! [`Edits`] of the response when there is one ([`Policy::edits`]). [`explain`] is the browser's side of it.
//!
//! The rules are those of the Fetch standard (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

mod dangers;
mod decision;
mod denied;
mod edits;
pub mod explain;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod methods;
mod names;
mod origin;
mod origins;
mod policy;
mod preflight;
mod request_headers;
mod settings;
mod suggest;
mod telemetry;
mod tower;

pub use decision::{Decision, Kind, Outcome, Reason};
pub use denied::{DENIED_MAX, DeniedCall, DeniedCalls};
pub use edits::{Edits, ResponseFields};
pub use names::{MethodName, RequestHeader, ResponseHeader};
pub use origin::{ORIGIN_BYTES_MAX, OriginPattern, Site};
pub use policy::{Ask, Policy, Verdict};
pub use preflight::Preflight;
pub use settings::{CorsSettings, ResourcePolicy};
pub use suggest::{Suggestion, suggest};
pub use telemetry::{CorsFamilies, CorsMetrics};
pub use tower::{Cors, CorsFuture, CorsLayer};
