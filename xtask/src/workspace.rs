//! The workspace as cargo describes it: packages, where they are, what they depend on.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process;
use crate::stop::Stop;

/// What every command gets to see.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) directory: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A line of a `[dependencies]` table, before any resolution.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// A path of this repository rather than something from a registry.
    pub(crate) local: bool,
}

/// The table that a dependency stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Workspace {
    pub(crate) fn load() -> Result<Workspace, Stop> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned();
        let metadata = metadata(&root, &["--no-deps"])?;
        Ok(Workspace {
            target: text(&metadata["target_directory"]).into(),
            packages: list(&metadata["packages"]).iter().map(Package::read).collect(),
            root,
        })
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// A path as people write it: relative to the root.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

impl Package {
    fn read(value: &Value) -> Package {
        let manifest = PathBuf::from(text(&value["manifest_path"]));
        Package {
            name: text(&value["name"]),
            version: text(&value["version"]),
            directory: manifest.parent().unwrap_or(Path::new("/")).to_owned(),
            dependencies: list(&value["dependencies"]).iter().map(Dependency::read).collect(),
        }
    }
}

impl Dependency {
    fn read(value: &Value) -> Dependency {
        let kind = match value["kind"].as_str() {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        };
        Dependency { name: text(&value["name"]), kind, local: value["path"].is_string() }
    }
}

/// `cargo metadata` with more arguments, as JSON.
pub(crate) fn metadata(root: &Path, arguments: &[&str]) -> Result<Value, Stop> {
    let mut command = process::cargo();
    command.current_dir(root).args(["metadata", "--format-version=1", "--locked"]).args(arguments);
    let json = process::read(&mut command)?;
    serde_json::from_str(&json).map_err(|error| Stop::failed(format!("cargo metadata is not JSON: {error}")))
}

/// A string of cargo's JSON; the shape is cargo's promise, so a missing one is simply empty.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A list of cargo's JSON; see [`text`].
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
