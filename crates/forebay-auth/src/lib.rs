//! Decides who calls: subject and consumer of a request, or why it is refused. Never sends, receives or reads a file.
//!
//! [`AuthSettings`] is what may be written in an `[auth.NAME]` table, [`Policy`] what it comes to. A policy is asked once
//! for each request ([`Policy::decide`]), together with the [`Material`] it decides by: a key set, a ring of API keys, a
//! list of users. Where that is not enough, it says what to ask ([`Question`]), and the caller does the asking.
//! [`Freshness`] says when material is to be fetched again, and until when old material may still be used.

mod algorithm;
mod api_key;
mod api_key_policy;
mod basic;
mod claims;
mod forward;
mod freshness;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod identity;
mod json;
mod jwk;
mod jwt;
mod jwt_settings;
mod key_ring;
mod material;
mod policy;
mod refusal;
mod remembered;
mod settings;
mod telemetry;
mod timestamp;
mod token;

pub use algorithm::Algorithm;
pub use api_key::{ApiKey, KeyText};
pub use basic::{PasswordCheck, Users};
pub use forward::{ANSWER_BYTES_MAX, ForwardPolicy, Per};
pub use freshness::Freshness;
pub use identity::{Identity, SUBJECT_BYTES_MAX};
pub use jwk::{JWKS_BYTES_MAX, KEYS_MAX, KeySet};
pub use jwt::JwtPolicy;
pub use jwt_settings::{Jwks, JwtSettings};
pub use key_ring::{KeyEntry, KeyHash, KeyRing, Standing};
pub use material::{Material, MaterialError};
pub use policy::{Method, Policy, Question, Source, Verdict};
pub use refusal::{Flaw, Refusal, Silence};
pub use remembered::{Digest, ENTRIES_MAX, Remembered, digest};
pub use settings::{ApiKeysSettings, AuthSettings, BasicSettings, FieldName, ForwardSettings};
pub use telemetry::{AuthFamilies, AuthMetrics};
pub use timestamp::Timestamp;
pub use token::TOKEN_BYTES_MAX;
