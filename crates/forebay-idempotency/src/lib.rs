//! Decides whether a request with an `Idempotency-Key` runs, is answered from store, or is refused
//! (draft-ietf-httpapi-idempotency-key-header). Never sends, and never lets a second execution happen where the first
//! may have: a node may be killed or cut from its store at any moment.
//!
//! The gateway reads the key with [`Policy::identify`], takes the whole body, and asks [`Keys::claim`] before it
//! chooses an endpoint. With [`Claimed::Run`] it says [`Lease::sending`] before the first byte leaves, and in the end
//! one of [`Lease::complete`], [`Lease::not_kept`] and [`Lease::release`]; whatever else happens, dropping the lease
//! says the right thing. The [`Keeper`] runs beside the cores and owns the store.

mod answer;
mod identity;
mod keeper;
mod key;
mod keys;
mod postgres;
pub mod record;
mod refusal;
mod settings;
mod sqlite;
mod store;
mod telemetry;

pub use answer::{Answer, REPLAYED_FIELD};
pub use identity::{Fingerprint, KeyId};
pub use keeper::{Keeper, keeper};
pub use key::{FIELD, KeyError, read_key};
pub use keys::{Claimed, Keys, Lease};
pub use postgres::{POSTGRES_SCHEMA, PostgresStore};
pub use refusal::Refusal;
pub use settings::{IdempotencySettings, OnUnknown, Policy, Scope};
pub use sqlite::{SQLITE_SCHEMA, SqliteStore};
pub use store::Store;
