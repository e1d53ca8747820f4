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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use forebay_config::{Inputs, check_declarations, load};

    use super::*;

    /// The whole file.
    #[derive(Debug, Settings)]
    struct Root {
        /// Where shared state is kept.
        store: StoreSettings,
    }

    fn read(line: &str) -> Result<StoreSettings, String> {
        let file = format!("[store]\n{line}\n");
        let files = |_: &Path| Ok(file.as_bytes().to_vec());
        let loaded =
            load::<Root>(Inputs { file: Some("forebay.toml".into()), files: &files, ..Inputs::default() });
        loaded.map(|loaded| loaded.value.store).map_err(|diagnostics| diagnostics.to_string())
    }

    #[test]
    fn the_declarations_are_sound() {
        assert_eq!(check_declarations::<Root>(), Vec::<String>::new());
    }

    #[test]
    fn a_url_is_a_secret_and_may_be_left_out() {
        assert!(read("").unwrap().url.is_none());
        let settings = read("url = 'postgres://anna:hush@db.internal/shop'").unwrap();
        assert!(!format!("{settings:?}").contains("hush"), "{settings:?}");
        for wrong in [
            "mysql://anna:hush@db/shop",
            "postgres://anna:hush@db:port/shop",
            "postgres://anna:hush@db/shop?sslmode=hush",
        ] {
            let error = read(&format!("url = '{wrong}'")).unwrap_err();
            assert!(error.contains("`url`") && !error.contains("hush"), "{error}");
        }
    }
}
