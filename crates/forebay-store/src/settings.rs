//! What `[store]` says: where shared state is kept.

use std::time::Duration;

use forebay_config::Settings;

use crate::postgres::PostgresUrl;

/// Where state is kept that several Forebay nodes share.
#[derive(Clone, Debug, Settings)]
#[settings(restart)]
pub struct StoreSettings {
    /// A PostgreSQL that all nodes share. Without it, state is kept in SQLite in the state directory, for this node alone.
    pub url: Option<PostgresUrl>,
    /// Connections to it, at most.
    #[setting(default = 4, min = 1, max = 64)]
    pub connections: u32,
    /// How long connecting may take, TLS and login included.
    #[setting(default = "2s", min = "10ms", max = "1m")]
    pub connect_timeout: Duration,
    /// How long work waits for a free connection.
    #[setting(default = "1s", min = "1ms", max = "1m")]
    pub acquire_timeout: Duration,
    /// How long a statement may take; PostgreSQL is told too.
    #[setting(default = "2s", min = "10ms", max = "1m")]
    pub statement_timeout: Duration,
}
