//! Debian packages that a command needs: which program, from which package, what for. Installs what is
//! missing when it may, and otherwise says what a person has to do. Touches nothing that is there already.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::process;
use crate::stop::Stop;

/// One program that comes from a distribution package.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) package: &'static str,
    pub(crate) program: &'static str,
    pub(crate) used_for: &'static str,
}

/// Makes the programs available or says which are missing and why that matters.
pub(crate) fn ensure(needs: &[Need]) -> Result<String, Stop> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !process::has_program(need.program)).collect();
    if missing.is_empty() {
        return Ok("nothing missing".into());
    }
    for Need { package, program, used_for } in &missing {
        println!("missing: {program} (package {package}), for {used_for}");
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if !may_install() {
        return Err(by_hand(&names, "only root on a Debian system may install packages"));
    }
    install(&names)?;
    match missing.iter().find(|need| !process::has_program(need.program)) {
        None => Ok(format!("installed {}", names.join(", "))),
        Some(need) => Err(by_hand(&names, &format!("apt-get ran, but there is still no {}", need.program))),
    }
}

fn may_install() -> bool {
    process::has_program("apt-get")
        && process::ask(Command::new("id").arg("-u")).is_some_and(|uid| uid.trim() == "0")
}

fn by_hand(names: &[&str], why: &str) -> Stop {
    let names = names.join(" ");
    Stop::failed(format!(
        "missing packages: {names}\n   = note: {why}\n   \
         = help: sudo apt-get install --no-install-recommends {names}"
    ))
}

fn install(names: &[&str]) -> Result<(), Stop> {
    let _no_services = NoServices::begin()?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "Dpkg::Use-Pty=0"]);
        command
    };
    process::run(apt().arg("update"))?;
    process::run(apt().args(["install", "-y", "--no-install-recommends"]).args(names))
}

/// Debian starts a service as soon as its package is unpacked, unless this file forbids it
/// (Debian Policy 9.3.3.1). Ours goes away again with the value; one that was there stays.
struct NoServices {
    written: bool,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> Result<NoServices, Stop> {
        if Path::new(Self::POLICY).exists() {
            return Ok(NoServices { written: false });
        }
        let mut options = fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(Self::POLICY)
            .and_then(|mut file| file.write_all(b"#!/bin/sh\nexit 101\n"))
            .map_err(|error| Stop::failed(format!("cannot write {}: {error}", Self::POLICY)))?;
        Ok(NoServices { written: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.written {
            // A file left behind would stop later installations from starting their services: say so.
            if let Err(error) = fs::remove_file(Self::POLICY) {
                eprintln!("warning: remove {} by hand: {error}", Self::POLICY);
            }
        }
    }
}
