//! Packages from npm that a command needs, by name and version, each in a directory of its own below the target directory.
//! Touches nothing of the system's, and runs no script of a package.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::packages::{self, Need};
use crate::process;
use crate::stop::Stop;
use crate::workspace::Workspace;

const NEEDS: &[Need] = &[
    Need { package: "nodejs", program: "node", used_for: "running what comes from npm" },
    Need { package: "npm", program: "npm", used_for: "installing what comes from npm" },
];

/// Where the package is, `name@version`; installed if it was not.
pub(crate) fn ensure(workspace: &Workspace, package: &str) -> Result<PathBuf, Stop> {
    packages::ensure(NEEDS)?;
    let directory = workspace.target.join("npm").join(package);
    let done = directory.join("installed");
    if done.exists() {
        return Ok(directory);
    }
    let cannot =
        |error: std::io::Error| Stop::failed(format!("cannot write {}: {error}", directory.display()));
    fs::create_dir_all(&directory).map_err(cannot)?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--ignore-scripts",
        "--prefix",
    ]);
    process::run(npm.arg(&directory).arg(package))?;
    fs::write(&done, package).map_err(cannot)?;
    Ok(directory)
}
