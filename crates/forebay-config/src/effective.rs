//! The whole configuration as it stands, secrets hidden, and what differs between two of them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::json;

use crate::node::Node;
use crate::place::{Origin, Place, Sources};
use crate::shape::Section;
use crate::walk::{Setting, walk};

/// One setting as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// The dotted key.
    pub key: String,
    /// As TOML, or `[redacted]`; nothing for an optional setting that nobody wrote.
    pub value: Option<String>,
    /// Who wrote it.
    pub place: Place,
    /// Whether a change needs a restart.
    pub restart: bool,
}

/// Every setting in the order of declaration. Displays as one `key = value  # place` per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective(pub Vec<EffectiveSetting>);

/// A setting that differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The dotted key.
    pub key: String,
    /// As TOML, or `[redacted]`; nothing where it was not set.
    pub before: Option<String>,
    /// The same for the later configuration.
    pub after: Option<String>,
    /// Whether it takes effect only after a restart.
    pub restart: bool,
}

pub(crate) fn effective(section: &'static Section, root: &Node, sources: &Sources) -> Effective {
    let settings = walk(section, root).into_iter().map(|setting| EffectiveSetting {
        key: setting.path.to_string(),
        value: setting.shown(),
        place: sources.place(setting.node.map_or(Origin::DEFAULT, Node::origin)),
        restart: setting.traits.restart,
    });
    Effective(settings.collect())
}

/// Compares what was written, so `"60s"` and `"1m"` differ: that costs a restart nobody needed, never one
/// that was needed and missed.
pub(crate) fn changes(section: &'static Section, before: &Node, after: &Node) -> Vec<Change> {
    let index = |settings: Vec<Setting<'_>>| -> BTreeMap<String, (Option<String>, Option<String>, bool)> {
        let entry = |setting: Setting<'_>| {
            let written =
                setting.node.map(Node::to_string).or_else(|| setting.field.default.map(str::to_owned));
            (setting.path.to_string(), (written, setting.shown(), setting.traits.restart))
        };
        settings.into_iter().map(entry).collect()
    };
    let (before, mut after) = (index(walk(section, before)), index(walk(section, after)));
    let mut changes = Vec::new();
    for (key, (written, shown, restart)) in before {
        let (new_written, new_shown) =
            after.remove(&key).map_or((None, None), |(written, shown, _)| (written, shown));
        if written != new_written {
            changes.push(Change { key, before: shown, after: new_shown, restart });
        }
    }
    let added = after.into_iter().filter(|(_, (written, ..))| written.is_some());
    changes.extend(added.map(|(key, (_, after, restart))| Change { key, before: None, after, restart }));
    changes
}

impl Effective {
    /// A JSON list of `key`, `value` (TOML text or null), `from` and `applies` (`live` or `restart`).
    pub fn to_json(&self) -> serde_json::Value {
        let one = |setting: &EffectiveSetting| {
            json!({
                "key": setting.key,
                "value": setting.value,
                "from": setting.place.to_string(),
                "applies": if setting.restart { "restart" } else { "live" },
            })
        };
        self.0.iter().map(one).collect()
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in &self.0 {
            match &setting.value {
                Some(value) => writeln!(f, "{} = {value}  # {}", setting.key, setting.place)?,
                None => writeln!(f, "# {} is not set", setting.key)?,
            }
        }
        Ok(())
    }
}
