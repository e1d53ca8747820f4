//! Compiles every test of the workspace and learns from cargo which programs that gave.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process;
use crate::stop::Stop;
use crate::workspace::{Package, Workspace, text};

/// A compiled test program, to be started as `cargo test` would.
#[derive(Debug)]
pub(crate) struct TestProgram {
    pub(crate) package: String,
    /// `lib`, the binary's or the integration test's name.
    pub(crate) target: String,
    pub(crate) path: PathBuf,
    environment: Vec<(&'static str, String)>,
    directory: PathBuf,
}

impl TestProgram {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.directory).envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }
}

/// Builds without running, so that the time of building and of testing are known apart.
pub(crate) fn test_programs(workspace: &Workspace) -> Result<Vec<TestProgram>, Stop> {
    let mut command = process::cargo();
    command.current_dir(&workspace.root).stderr(Stdio::inherit()).args([
        "test",
        "--workspace",
        "--no-run",
        "--locked",
        "--message-format=json-render-diagnostics",
    ]);
    let json = process::read(&mut command)?;
    let libraries = library_path()?;
    let by_directory: HashMap<&PathBuf, &Package> =
        workspace.packages.iter().map(|package| (&package.directory, package)).collect();
    let mut programs: Vec<TestProgram> = json
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| program(&message, &by_directory, &libraries))
        .collect();
    programs.sort_by(|a, b| (&a.package, &a.target).cmp(&(&b.package, &b.target)));
    Ok(programs)
}

/// A message of cargo that announces a test program; the others are none of our business.
fn program(message: &Value, packages: &HashMap<&PathBuf, &Package>, libraries: &str) -> Option<TestProgram> {
    if message["profile"]["test"] != true {
        return None;
    }
    let path = PathBuf::from(message["executable"].as_str()?);
    let directory = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
    let package = packages.get(&directory)?;
    let is_library =
        message["target"]["kind"][0].as_str().is_some_and(|kind| !["bin", "test"].contains(&kind));
    Some(TestProgram {
        package: package.name.clone(),
        target: if is_library { "lib".into() } else { text(&message["target"]["name"]) },
        path,
        environment: vec![
            ("CARGO_MANIFEST_DIR", directory.display().to_string()),
            ("CARGO_PKG_NAME", package.name.clone()),
            ("CARGO_PKG_VERSION", package.version.clone()),
            ("LD_LIBRARY_PATH", libraries.to_owned()),
        ],
        directory,
    })
}

/// Where the shared standard library is, which the tests of a procedural macro are linked to.
fn library_path() -> Result<String, Stop> {
    let toolchain = process::read(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let inherited = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    Ok(format!("{}:{inherited}", toolchain.trim()))
}
