//! A dependency is a decision: each direct one has its line in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use crate::finding::Finding;
use crate::stop::Stop;
use crate::workspace::{Package, Workspace};

const FILE: &str = "ARCHITECTURE.md";

pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>, Stop> {
    let text = match fs::read_to_string(workspace.root.join(FILE)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Stop::failed(format!("cannot read {FILE}: {error}"))),
    };
    Ok(missing(&workspace.packages, text.as_deref()))
}

fn missing(packages: &[Package], text: Option<&str>) -> Vec<Finding> {
    let used = direct(packages);
    let Some(text) = text else {
        let names: Vec<&str> = used.keys().copied().collect();
        let none = names.is_empty();
        let finding = Finding {
            place: FILE.into(),
            what: format!("there is no {FILE}, but there are dependencies: {}", names.join(", ")),
            why: "a dependency is a decision, and this is where decisions stand",
            help: "write the file, with a table row \"| `name` | what it does for us | what was compared |\" for each",
        };
        return if none { Vec::new() } else { vec![finding] };
    };
    let rows: BTreeSet<&str> = text.lines().filter_map(row).collect();
    used.iter()
        .filter(|(name, _)| !rows.contains(*name))
        .map(|(name, users)| Finding {
            place: FILE.into(),
            what: format!("no line for the dependency {name} (of {})", users.join(", ")),
            why: "a dependency is a decision: what it does for us and what was compared",
            help: "add a table row that starts with \"| `name` |\"",
        })
        .collect()
}

/// Dependencies from registries, with the packages that name them.
fn direct(packages: &[Package]) -> BTreeMap<&str, Vec<&str>> {
    let mut used: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.local) {
            let users = used.entry(&dependency.name).or_default();
            if users.last() != Some(&package.name.as_str()) {
                users.push(&package.name);
            }
        }
    }
    used
}

/// The name in a row of a Markdown table that starts with one in backquotes.
fn row(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Dependency, Kind};

    #[track_caller]
    fn check(text: Option<&str>, expected: usize) {
        let dependencies = [("bytes", false), ("forebay-clock", true)]
            .map(|(name, local)| Dependency { name: name.into(), kind: Kind::Normal, local })
            .into();
        let package = Package {
            name: "forebay-http".into(),
            version: String::new(),
            directory: "/".into(),
            dependencies,
        };
        assert_eq!(missing(&[package], text).len(), expected);
    }

    #[test]
    fn every_dependency_from_a_registry_has_its_row() {
        check(None, 1);
        check(Some("# Architecture\n"), 1);
        check(Some("| `bytes` | buffers that are shared without copying | our own |\n"), 0);
        check(Some("We use `bytes`.\n"), 1);
    }
}
