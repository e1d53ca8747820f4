//! The binary from outside: what it prints, what it exits with, what it leaves behind.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "it/keys.rs"]
mod keys;
#[path = "it/nodes.rs"]
mod nodes;
#[path = "it/registry.rs"]
mod registry;
#[path = "it/registry_tls.rs"]
mod registry_tls;
#[path = "it/retry.rs"]
mod retry;
#[path = "it/serve.rs"]
mod serve;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Far beyond what an end takes, on any machine.
const END_WITHIN: Duration = Duration::from_secs(20);

/// Tests run beside each other.
const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

/// A directory of the test's own, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("forebay-it-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// `forebay`, working here, with nothing of this process's environment.
    fn forebay(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.args(arguments).current_dir(&self.0).env_clear().env("TMPDIR", &self.0);
        command
    }

    /// Exit code and standard error.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = self.forebay(arguments).output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A demo that runs.
struct Demo {
    process: Child,
    lines: BufReader<ChildStdout>,
    seen: String,
}

impl Demo {
    fn start(scratch: &Scratch, lasts: &str) -> Demo {
        let mut command = scratch.forebay(&["demo", "--plain", "--port", "0", "--for", lasts]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Demo { process, lines, seen: String::new() }
    }

    /// Reads until a line has this in it, and gives that line.
    fn read_until(&mut self, part: &str) -> String {
        loop {
            let from = self.seen.len();
            assert!(self.lines.read_line(&mut self.seen).unwrap() > 0, "no {part:?} in\n{}", self.seen);
            if self.seen[from..].contains(part) {
                return self.seen[from..].to_owned();
            }
        }
    }

    /// The next process whose name ends like this and that says it is ready.
    fn next_ready(&mut self, name: &str) -> Pid {
        let line = self.read_until(&format!("{name} is ready: pid "));
        let number = line.split("pid ").nth(1).unwrap().split(',').next().unwrap();
        Pid::from_raw(number.parse().unwrap()).unwrap()
    }

    /// Its exit code and everything it printed.
    fn end(mut self) -> (Option<i32>, String) {
        self.lines.read_to_string(&mut self.seen).unwrap();
        (self.process.wait().unwrap().code(), self.seen)
    }
}

fn assert_ends(process: &OwnedFd, what: &str) {
    let timeout = Timespec { tv_sec: END_WITHIN.as_secs() as i64, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout)).unwrap();
    assert_eq!(ended, 1, "{what} goes on");
}

#[test]
fn an_instance_killed_under_load_costs_no_request() {
    let scratch = Scratch::new("kill");
    let mut demo = Demo::start(&scratch, "4s");
    let instance = demo.next_ready("orders-2");
    demo.read_until("/s  p50");
    kill_process(instance, Signal::KILL).unwrap();
    let (code, seen) = demo.end();
    assert!(seen.contains("was killed by SIGKILL; starts again in 1.0 s"), "{seen}");
    assert!(seen.contains(" is back as pid "), "{seen}");
    assert!(seen.contains(" requests, 0 failed\n"), "{seen}");
    assert_eq!(code, Some(0), "{seen}");
    assert!(scratch.is_empty());
}

#[test]
fn nothing_outlives_a_demo_that_is_killed() {
    let scratch = Scratch::new("orphans");
    let mut demo = Demo::start(&scratch, "1h");
    let processes = [(); 4].map(|()| pidfd_open(demo.next_ready(""), PidfdFlags::empty()).unwrap());
    demo.process.kill().unwrap();
    demo.process.wait().unwrap();
    processes.iter().for_each(|process| assert_ends(process, "a child"));
}

#[test]
fn a_demo_that_is_asked_to_end_ends_well() {
    let scratch = Scratch::new("term");
    let mut demo = Demo::start(&scratch, "1h");
    demo.read_until("/s  p50");
    kill_process(Pid::from_child(&demo.process), Signal::TERM).unwrap();
    let (code, seen) = demo.end();
    assert!(seen.contains(" requests, 0 failed\n") && seen.contains("nothing was cut off"), "{seen}");
    assert_eq!(code, Some(0));
    assert!(scratch.is_empty());
}

#[test]
fn a_file_with_mistakes_is_code_64_and_starts_nothing() {
    let scratch = Scratch::new("mistakes");
    scratch.write("forebay.toml", "[gateway]\nlisten = \"127.0.0.1:0\"\ntimout = \"1s\"\n");
    for command in ["check", "serve"] {
        let (code, said) = scratch.run(&[command]);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("forebay.toml:3:1") && said.contains("did you mean `timeout`?"), "{said}");
    }
}

#[test]
fn check_tells_programs_too_what_only_other_files_show() {
    let scratch = Scratch::new("check-json");
    scratch.write("forebay.toml", "[gateway]\ntls = { certificate = \"a.pem\", key = \"b.pem\" }\n");
    let output = scratch.forebay(&["check", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let first = &found[0];
    assert_eq!((&first["file"], &first["line"]), (&"forebay.toml".into(), &2.into()), "{found}");
    assert!(first["message"].as_str().unwrap().contains("a.pem"), "{found}");
    assert_eq!(output.stderr, b"", "what is wrong is told once");
    let (_, said) = scratch.run(&["check"]);
    assert!(said.contains("  --> forebay.toml:2:23\n   |\n2  | tls = {"), "{said}");
}

#[test]
fn a_taken_port_is_named() {
    let scratch = Scratch::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    scratch.write("forebay.toml", &format!("[gateway]\nlisten = \"{address}\"\n{ADMIN}"));
    let (code, said) = scratch.run(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    let first = format!("error: {address} is in use by another process\n  --> forebay.toml:2:10\n");
    assert!(said.contains(&first) && said.contains("or change `gateway.listen`\n"), "{said}");
}

#[test]
fn a_held_state_directory_is_named() {
    let scratch = Scratch::new("state");
    scratch.write(
        "forebay.toml",
        &format!("[gateway]\nlisten = \"127.0.0.1:0\"\n[state]\ndirectory = \"held\"\n{ADMIN}"),
    );
    fs::create_dir(scratch.path().join("held")).unwrap();
    let lock = File::create(scratch.path().join("held/lock")).unwrap();
    lock.lock().unwrap();
    let (code, said) = scratch.run(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("held is held by another process"), "{said}");
}
