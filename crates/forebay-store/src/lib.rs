//! Where Forebay keeps what must survive it: the state directory with its lock, SQLite in it for one node, and
//! PostgreSQL for several. Decides how to connect, write and fail; knows nothing of what is kept.

mod directory;
mod error;
pub mod postgres;
mod schema;
mod settings;
pub mod sqlite;

pub use directory::{StateDirectory, StateError, StateSettings};
pub use error::{Kind, StoreError};
pub use schema::{Schema, SchemaError, Step, pending};
pub use settings::StoreSettings;
