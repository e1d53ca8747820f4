//! Packages from PyPI that a command needs, by name and version, each in a directory of its own below the target directory.
//! Touches nothing of the system's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::packages::{self, Need};
use crate::process;
use crate::stop::Stop;
use crate::workspace::Workspace;

const PIP: Need =
    Need { package: "python3-pip", program: "pip3", used_for: "installing what comes from PyPI" };

/// Where the package is, `name==version`; installed if it was not.
pub(crate) fn ensure(workspace: &Workspace, package: &str) -> Result<PathBuf, Stop> {
    let directory = workspace.target.join("python").join(package);
    let done = directory.join("installed");
    if done.exists() {
        return Ok(directory);
    }
    packages::ensure(&[PIP])?;
    let cannot =
        |error: std::io::Error| Stop::failed(format!("cannot write {}: {error}", directory.display()));
    fs::create_dir_all(&directory).map_err(cannot)?;
    let mut pip = Command::new("pip3");
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"]);
    process::run(pip.arg(&directory).arg(package))?;
    fs::write(&done, package).map_err(cannot)?;
    Ok(directory)
}
