//! Claims that real clients of Consul make, in their own languages: each script is a test, and prints what holds.

use std::path::PathBuf;
use std::process::Command;

use crate::desk::Desk;

/// As `cargo xtask test` installs them; xtask/src/test.rs has the same.
const PYTHON: &str = "python/py-consul==1.8.0";
const NODE: &str = "npm/consul@2.0.1";

/// Where `cargo xtask test` has put a package.
fn installed(package: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join(package);
    assert!(
        target.join("installed").exists(),
        "{} is not there: run `cargo xtask test` once, which installs the clients that these tests run",
        target.display()
    );
    target
}

fn run(mut command: Command, claims: usize) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run `cargo xtask test`"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
    assert_eq!(out.lines().filter(|line| line.starts_with("holds: ")).count(), claims, "{out}{err}");
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients").join(name)
}

#[test]
fn py_consul_finds_services() {
    let desk = Desk::open();
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", installed(PYTHON))
        .arg(script("find_services.py"))
        .arg(desk.address.port().to_string());
    run(python, 10);
}

#[test]
fn npm_consul_finds_services() {
    let desk = Desk::open();
    let mut node = Command::new("node");
    let modules = installed(NODE).join("node_modules");
    node.env("NODE_PATH", modules).arg(script("find_services.js")).arg(desk.address.port().to_string());
    run(node, 9);
}
