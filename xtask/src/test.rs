//! `cargo xtask test`: everything that must hold before a change is done. CI calls exactly this.

mod build;
mod document;
mod output;
mod suite;
mod tally;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::tally::Tally;
use crate::packages::{self, Need};
use crate::steps::Steps;
use crate::stop::{Stop, no_more};
use crate::workspace::Workspace;
use crate::{licences, npm, process, python, tidy};

/// Programs that the tests start and cannot go without.
const NEEDS: &[Need] = &[
    Need { package: "git", program: "git", used_for: "tidy, to say what has grown since the branch began" },
    Need {
        package: "postgresql",
        // The server itself is off the path; this comes with every version of it.
        program: "pg_ctlcluster",
        used_for: "the tests of stored state, which start private servers",
    },
    Need {
        package: "chromium",
        program: "chromium",
        used_for: "the tests of CORS, which ask a real browser",
    },
    Need {
        package: "bind9-dnsutils",
        program: "dig",
        used_for: "the tests of the registry's DNS, which it asks",
    },
    Need {
        package: "haproxy",
        program: "haproxy",
        used_for: "the tests of the registry's DNS, by which a private one finds its servers",
    },
];

/// Clients of Consul that the registry is tested with, from PyPI and npm;
/// crates/forebay-registry/tests/it/clients.rs has the same.
const PYTHON_CLIENT: &str = "py-consul==1.8.0";
const NODE_CLIENT: &str = "consul@2.0.1";

/// Lints and tests compiled from nothing. Past this, people stop running the tests before they push.
const BUILD_MAX: Duration = Duration::from_secs(600);
/// All tests of one crate. Past this, people stop running them between two thoughts.
const CRATE_TESTS_MAX: Duration = Duration::from_secs(60);

pub(crate) fn run(workspace: &Workspace, arguments: lexopt::Parser) -> Result<(), Stop> {
    no_more(arguments)?;
    let mut steps = Steps::default();
    steps.step("packages", || packages::ensure(NEEDS));
    steps.step("clients", || {
        python::ensure(workspace, PYTHON_CLIENT)?;
        npm::ensure(workspace, NODE_CLIENT)?;
        Ok(format!("{PYTHON_CLIENT} and {NODE_CLIENT}"))
    });
    steps.step("format", || format(workspace));
    steps.step("tidy", || tidy::check(workspace));
    steps.step("licences", || licences::check(workspace));

    let start = Instant::now();
    steps.step("clippy", || clippy(workspace));
    let mut programs = Vec::new();
    let built = steps.step("build", || {
        programs = build::test_programs(workspace)?;
        Ok(format!("{} test programs", programs.len()))
    });
    let took = start.elapsed();
    let within = format!("clippy and build, of {} s at most", BUILD_MAX.as_secs());
    steps.enter("compilation", took, within, took <= BUILD_MAX);

    if built {
        let mut crates: BTreeMap<String, Tally> = BTreeMap::new();
        steps.step("tests", || {
            for program in &programs {
                *crates.entry(program.package.clone()).or_default() += suite::run(program)?;
            }
            verdict(&crates)
        });
        steps.step("documentation tests", || {
            let documented = document::run(workspace)?;
            let verdict = verdict(&documented);
            for (package, tally) in documented {
                *crates.entry(package).or_default() += tally;
            }
            verdict
        });
        for (package, tally) in &crates {
            enter(&mut steps, package, tally);
        }
    }
    steps.finish()
}

fn verdict(crates: &BTreeMap<String, Tally>) -> Result<String, Stop> {
    let failed: Vec<&str> =
        crates.iter().filter(|(_, tally)| !tally.ok()).map(|(name, _)| name.as_str()).collect();
    if failed.is_empty() {
        Ok(format!("{} passed", crates.values().map(|tally| tally.passed).sum::<u64>()))
    } else {
        Err(Stop::failed(format!("failed in {}", failed.join(", "))))
    }
}

fn enter(steps: &mut Steps, package: &str, tally: &Tally) {
    let Tally { took, passed, failed, ignored, broken } = *tally;
    let slow = took > CRATE_TESTS_MAX;
    let mut note = format!("{passed} passed, {failed} failed, {ignored} ignored");
    if broken {
        note += "; a test program did not end well";
    }
    if slow {
        note += &format!("; the bound is {} s", CRATE_TESTS_MAX.as_secs());
    }
    steps.enter(&format!("tests of {package}"), took, note, tally.ok() && !slow);
}

fn format(workspace: &Workspace) -> Result<String, Stop> {
    process::run(process::cargo().current_dir(&workspace.root).args(["fmt", "--all", "--check"]))?;
    Ok("rustfmt has nothing to change".into())
}

fn clippy(workspace: &Workspace) -> Result<String, Stop> {
    process::run(process::cargo().current_dir(&workspace.root).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok("no warning".into())
}
