//! Whether everything that ends up in a build may be given to others. Reads what each crate declares about
//! itself; it does not read licence texts.

mod allowed;
mod spdx;

use std::collections::{BTreeMap, VecDeque};
use std::process::Command;

use serde_json::Value;

use crate::finding::{self, Finding};
use crate::process;
use crate::stop::Stop;
use crate::workspace::{Workspace, list, metadata, text};

/// Fails when a crate of the resolved graph has no licence that is allowed; names the way to each.
pub(crate) fn check(workspace: &Workspace) -> Result<String, Stop> {
    let host = process::read(Command::new("rustc").args(["--print", "host-tuple"]))?;
    // The crates of this platform only: others are not in what is built here, nor need they be downloaded.
    let metadata = metadata(&workspace.root, &["--filter-platform", host.trim()])?;
    let parents = parents(&metadata);
    let packages = list(&metadata["packages"]);
    let used: Vec<&Value> =
        packages.iter().filter(|package| parents.contains_key(&text(&package["id"]))).collect();
    let findings: Vec<Finding> =
        used.iter().filter_map(|package| judge(package, packages, &parents)).collect();
    finding::conclude("licences", &findings)?;
    Ok(format!("{} crates", used.len()))
}

fn judge(package: &Value, packages: &[Value], parents: &Parents) -> Option<Finding> {
    let declared = package["license"].as_str();
    let what = match declared.map(spdx::Expression::parse) {
        None => "no licence declared".to_owned(),
        Some(Err(error)) => format!("a licence that cannot be read: {error}"),
        Some(Ok(licence)) => {
            let refused = licence.refused(&allowed::is_allowed)?;
            format!("a licence that is not allowed: {refused}")
        }
    };
    Some(Finding {
        place: path_to(&text(&package["id"]), packages, parents),
        what: format!("{} {}: {what}", text(&package["name"]), text(&package["version"])),
        why: "what we ship must be free to use for everybody who may use Forebay",
        help: "choose another crate, or argue for the licence in xtask/src/licences/allowed.rs",
    })
}

/// For each package that is used, the one that it was first reached from; none for our own.
type Parents = BTreeMap<String, Option<String>>;

/// Breadth first, so that the way to a package is the shortest there is.
fn parents(metadata: &Value) -> Parents {
    let edges: BTreeMap<String, &[Value]> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| (text(&node["id"]), list(&node["dependencies"])))
        .collect();
    let members = list(&metadata["workspace_members"]).iter().map(text);
    let mut parents: Parents = members.map(|member| (member, None)).collect();
    let mut queue: VecDeque<String> = parents.keys().cloned().collect();
    while let Some(id) = queue.pop_front() {
        for child in edges.get(&id).copied().unwrap_or_default().iter().map(text) {
            if !parents.contains_key(&child) {
                parents.insert(child.clone(), Some(id.clone()));
                queue.push_back(child);
            }
        }
    }
    parents
}

/// Reads `forebay -> tokio -> mio`.
fn path_to(id: &str, packages: &[Value], parents: &Parents) -> String {
    let name = |id: &str| {
        packages
            .iter()
            .find(|package| package["id"] == id)
            .map_or(id.to_owned(), |package| text(&package["name"]))
    };
    let mut path = vec![name(id)];
    let mut at = id;
    while let Some(Some(parent)) = parents.get(at) {
        path.push(name(parent));
        at = parent;
    }
    path.reverse();
    path.join(" -> ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_license(license: Value) -> Option<Finding> {
        let metadata = json!({
            "workspace_members": ["ours"],
            "packages": [
                { "id": "ours", "name": "ours", "version": "1", "license": "MIT" },
                { "id": "near", "name": "near", "version": "1", "license": "MIT" },
                { "id": "far", "name": "far", "version": "2", "license": license },
            ],
            "resolve": { "nodes": [
                { "id": "ours", "dependencies": ["near"] },
                { "id": "near", "dependencies": ["far"] },
                { "id": "far", "dependencies": [] },
            ] },
        });
        judge(&metadata["packages"][2], list(&metadata["packages"]), &parents(&metadata))
    }

    #[test]
    fn an_offender_is_named_with_the_way_to_it() {
        let finding = check_license(json!("AGPL-3.0-only")).expect("an offender");
        assert_eq!(finding.place, "ours -> near -> far");
        assert_eq!(finding.what, "far 2: a licence that is not allowed: AGPL-3.0-only");
    }

    #[test]
    fn no_licence_is_no_permission() {
        assert!(check_license(Value::Null).is_some());
        assert!(check_license(json!("see LICENSE")).is_some());
        assert!(check_license(json!("GPL-2.0 OR MIT")).is_none());
    }
}
