//! `cargo xtask fuzz NAME`: runs a target of `fuzz/`, a crate laid out as cargo-fuzz does it. Builds it without
//! cargo-fuzz, since all that takes is a few flags: with the address sanitizer where there is a nightly
//! compiler, and otherwise with coverage alone, which any compiler can do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;
use crate::stop::Stop;
use crate::workspace::Workspace;

/// Long enough to find what a small parser hides, short enough to wait for.
const FOR_DEFAULT: &str = "10m";
/// A single input that takes longer is a finding: parsers must be linear.
const INPUT_SECONDS_MAX: u32 = 10;

/// What libFuzzer needs from the compiler: edge coverage with inline counters, and compared values.
const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Wrong arithmetic and broken assertions are what a fuzzer finds in safe code.
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Ccodegen-units=1",
];

pub(crate) fn run(workspace: &Workspace, arguments: lexopt::Parser) -> Result<(), Stop> {
    let (name, seconds) = parse(arguments)?;
    let fuzz = workspace.root.join("fuzz");
    let names = targets(&fuzz);
    if !names.contains(&name) {
        let known = if names.is_empty() { "none yet".into() } else { names.join(", ") };
        return Err(Stop::Usage(format!(
            "there is no fuzz target `{name}`\n   = note: targets of fuzz/fuzz_targets: {known}"
        )));
    }
    let program = build(&fuzz, &name)?;
    // What a run finds stays out of the repository; the seeds in it grow by hand, and the tests replay those.
    let found = fuzz.join("target/found").join(&name);
    let broken = fuzz.join("target/broken").join(&name);
    let seeds = fuzz.join("corpus").join(&name);
    for directory in [&found, &broken, &seeds] {
        fs::create_dir_all(directory)
            .map_err(|error| Stop::failed(format!("cannot create {}: {error}", directory.display())))?;
    }
    println!("fuzzing {name} for {seconds} s");
    let mut command = Command::new(program);
    command
        .current_dir(&fuzz)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-artifact_prefix={}/", broken.display()))
        // New inputs go to the first directory.
        .args([&found, &seeds]);
    process::run(&mut command).map_err(|_| {
        let place = workspace.relative(&broken).display();
        Stop::failed(format!(
            "{name} fell over\n   = note: the input is in {place}\n   \
             = help: make it a test, mend the code, add the input to fuzz/corpus/{name}"
        ))
    })
}

fn parse(mut arguments: lexopt::Parser) -> Result<(String, u64), Stop> {
    use lexopt::prelude::*;
    let (mut name, mut time) = (None, FOR_DEFAULT.to_owned());
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(value) if name.is_none() => name = Some(value.string()?),
            Long("for") => time = arguments.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let name = name.ok_or_else(|| Stop::Usage("which target? cargo xtask fuzz NAME [--for 10m]".into()))?;
    let seconds = seconds(&time)
        .ok_or_else(|| Stop::Usage(format!("`{time}` is no time\n   = help: write 90s, 10m or 2h")))?;
    Ok((name, seconds))
}

fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    // Zero would mean "for ever" to libFuzzer.
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|seconds| *seconds > 0)
}

fn targets(fuzz: &Path) -> Vec<String> {
    let entries = fs::read_dir(fuzz.join("fuzz_targets")).into_iter().flatten().flatten();
    let sources =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let mut names: Vec<String> =
        sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

fn build(fuzz: &Path, name: &str) -> Result<PathBuf, Stop> {
    let nightly = process::ask(cargo_outside().args(["+nightly", "--version"])).is_some();
    let (toolchain, sanitizer): (&[&str], &[&str]) =
        if nightly { (&["+nightly"], &["-Zsanitizer=address"]) } else { (&[], &[]) };
    let with = if nightly { "nightly, coverage and address sanitizer" } else { "coverage alone" };
    println!("building {name}: {with}");
    let host = process::read(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let host = host.trim();
    // Its own directory: the flags would otherwise throw away what other builds made.
    let target = fuzz.join("target");
    // Naming the platform keeps the flags away from build scripts and procedural macros.
    process::run(
        cargo_outside()
            .current_dir(fuzz)
            .args(toolchain)
            .args(["build", "--release", "--target", host, "--bin", name, "--target-dir"])
            .arg(&target)
            .env("CARGO_ENCODED_RUSTFLAGS", [COVERAGE, sanitizer].concat().join("\x1f")),
    )?;
    Ok(target.join(host).join("release").join(name))
}

/// A cargo that is free to choose its toolchain: rustup passes the running one on by these variables.
fn cargo_outside() -> Command {
    let mut command = Command::new("cargo");
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC", "RUSTDOC", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("10m"), Some(600));
        assert_eq!(seconds("2h"), Some(7200));
        for nonsense in ["", "10", "m", "-1s", "0s", "1d", "1é"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
