//! Policies from the text of a `[cors.shop]` table. Reads no files.

use std::collections::BTreeMap;
use std::path::Path;

use forebay_config::{Diagnostics, Inputs, Loaded, Name, Settings, load};
use forebay_cors::explain::{Call, Configured, Report};
use forebay_cors::{CorsSettings, Policy};

/// The whole file.
#[derive(Clone, Debug, Settings)]
pub(crate) struct Root {
    /// Policies.
    pub(crate) cors: BTreeMap<Name, CorsSettings>,
}

/// Loads a table's lines.
pub(crate) fn try_load(table: &str) -> Result<Loaded<Root>, Diagnostics> {
    let text = format!("[cors.shop]\n{table}\n");
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    load(Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() })
}

#[track_caller]
pub(crate) fn loaded(table: &str) -> Loaded<Root> {
    try_load(table).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
pub(crate) fn policy(table: &str) -> Policy {
    Policy::new(&loaded(table).value.cors["shop"])
}

#[track_caller]
pub(crate) fn explain(table: &str, call: &Call) -> Report {
    explain_loaded(&loaded(table), call)
}

pub(crate) fn explain_loaded(loaded: &Loaded<Root>, call: &Call) -> Report {
    let place = |origin| loaded.place(origin);
    Configured { name: "shop", settings: &loaded.value.cors["shop"], place: &place }.explain(call)
}
