//! Policies from the text of an `[auth.customers]` table. Reads no files.

use std::collections::BTreeMap;
use std::path::Path;

use forebay_auth::{AuthSettings, Policy};
use forebay_config::{Diagnostics, Inputs, Loaded, Name, Settings, load};

/// The whole file.
#[expect(dead_code, reason = "services are named, and no more")]
#[derive(Clone, Debug, Settings)]
pub(crate) struct Root {
    /// Policies.
    pub(crate) auth: BTreeMap<Name, AuthSettings>,
    /// What `forward` may name.
    pub(crate) service: BTreeMap<Name, Service>,
}

/// A service, of which only the name counts here.
#[expect(dead_code, reason = "services are named, and no more")]
#[derive(Clone, Debug, Settings)]
pub(crate) struct Service {
    /// Whatever.
    #[setting(default = "")]
    pub(crate) endpoints: String,
}

pub(crate) fn try_load(table: &str) -> Result<Loaded<Root>, Diagnostics> {
    let text = format!("[auth.customers]\n{table}\n[service.login]\n");
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    load(Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() })
}

#[track_caller]
pub(crate) fn policy(table: &str) -> Policy {
    let loaded = try_load(table).unwrap_or_else(|problems| panic!("{problems}"));
    Policy::new("customers", &loaded.value.auth["customers"]).expect("a policy")
}
