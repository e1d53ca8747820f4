//! The upstream as the harness sees it: a process of its own with two ports, which ends with the value.

mod server;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::failure::{Doing as _, Failure};
use crate::place;

pub(crate) use self::server::run;

/// A started upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    child: Child,
    pub(crate) ports: [u16; 2],
}

impl Upstream {
    pub(crate) fn start(core: Option<usize>) -> Result<Upstream, Failure> {
        let program = std::env::current_exe().doing("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("upstream").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = place::spawn(&mut command, core)?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).doing("cannot read the upstream's ports")?;
        }
        let mut ports = line.split_whitespace().filter_map(|port| port.parse().ok());
        match (ports.next(), ports.next()) {
            (Some(first), Some(second)) => Ok(Upstream { child, ports: [first, second] }),
            _ => Err(Failure::run("the upstream did not start")),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
