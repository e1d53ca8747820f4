//! Decides what pages of other origins may do, and explains what a browser makes of it. Never sends or receives.

mod dangers;
mod decision;
mod denied;
mod edits;
pub mod explain;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod names;
mod origin;
mod origins;
mod policy;
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
pub use policy::{Ask, Policy, Preflight, Verdict};
pub use settings::{CorsSettings, ResourcePolicy};
pub use suggest::{Suggestion, suggest};
pub use telemetry::{CorsFamilies, CorsMetrics};
pub use tower::{Cors, CorsFuture, CorsLayer};
