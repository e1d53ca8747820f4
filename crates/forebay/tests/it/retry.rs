//! `forebay retry` with real commands: how often they run, what they read, and how it ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::Scratch;

/// Adds a line to `runs` and ends as told once there are so many.
fn fails_until(count: u32, code: u32) -> String {
    format!("echo run >> runs; [ $(wc -l < runs) -ge {count} ] || exit {code}")
}

struct Ran {
    code: Option<i32>,
    runs: usize,
    out: String,
    err: String,
}

fn run(name: &str, options: &[&str], script: &str, input: Stdio) -> Ran {
    let scratch = Scratch::new(name);
    scratch.write("input", "all of it\n");
    let mut command = scratch.forebay(&["retry", "--backoff", "1ms"]);
    command.args(options).args(["--", "/bin/sh", "-c", script]);
    let Output { status, stdout, stderr } = command.stdin(input).output().unwrap();
    let runs = std::fs::read_to_string(scratch.path().join("runs")).unwrap_or_default();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), runs: runs.lines().count(), out: text(stdout), err: text(stderr) }
}

#[track_caller]
fn check(name: &str, options: &[&str], script: &str, code: i32, runs: usize) -> Ran {
    let ran = run(name, options, script, Stdio::null());
    assert_eq!((ran.code, ran.runs), (Some(code), runs), "{}", ran.err);
    ran
}

#[test]
fn a_command_runs_until_it_succeeds() {
    let ran = check("retry-third", &["--attempts", "5"], &fails_until(3, 1), 0, 3);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(lines[0].starts_with("retry: attempt 1 of 5 exited with 1; again in "), "{}", ran.err);
    assert_eq!(lines.len(), 2, "{}", ran.err);
    let ran = check("retry-first", &[], "echo run | tee -a runs", 0, 1);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("run\n", ""), "its output is its own");
}

#[test]
fn the_last_run_says_how_it_ends() {
    let ran = check("retry-all", &["--attempts", "4"], &fails_until(99, 3), 3, 4);
    assert!(ran.err.ends_with("retry: attempt 4 of 4 exited with 3; no attempts left\n"), "{}", ran.err);
    let ran =
        check("retry-killed", &["--attempts", "2", "--quiet"], "echo run >> runs; kill -KILL $$", 137, 2);
    assert_eq!(ran.err, "");
}

#[test]
fn only_listed_exit_codes_are_tried_again() {
    let ran = check("retry-listed", &["--on-exit-codes", "75,111"], &fails_until(2, 75), 0, 2);
    assert!(ran.err.contains("exited with 75"), "{}", ran.err);
    let ran = check("retry-unlisted", &["--on-exit-codes", "75,111"], &fails_until(2, 1), 1, 1);
    assert!(ran.err.ends_with("exited with 1; not an exit code to try again after\n"), "{}", ran.err);
}

#[test]
fn a_run_that_takes_too_long_is_ended_and_followed() {
    // `exec`, so that nothing is left behind.
    let script = "echo run >> runs; [ $(wc -l < runs) -ge 2 ] || exec sleep 60";
    let ran = check("retry-slow", &["--per-try-timeout", "200ms"], script, 0, 2);
    assert!(ran.err.starts_with("retry: attempt 1 of 3 took too long; again in "), "{}", ran.err);
    let ran = check("retry-late", &["--timeout", "200ms"], "echo run >> runs; exec sleep 60", 143, 1);
    assert!(ran.err.ends_with("took too long; no time left\n"), "{}", ran.err);
}

#[test]
fn what_cannot_be_started_is_not_tried_again() {
    let scratch = Scratch::new("retry-none");
    scratch.write("text", "no program");
    let (code, err) = scratch.run(&["retry", "--", "./none"]);
    assert_eq!(code, Some(127));
    assert!(err.starts_with("error: ./none cannot be started: ") && err.contains("not tried again"), "{err}");
    assert_eq!(scratch.run(&["retry", "--", "./text"]).0, Some(126));
}

#[test]
fn wrong_usage_is_code_2() {
    let scratch = Scratch::new("retry-usage");
    for arguments in [
        &["retry"][..],
        &["retry", "--attempts", "0", "--", "true"],
        &["retry", "--backoff", "1 second", "--", "true"],
        &["retry", "--on-exit-codes", "0", "--", "true"],
    ] {
        assert_eq!(scratch.run(arguments).0, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_file_is_read_from_its_beginning_by_each_run() {
    let scratch = Scratch::new("retry-file");
    scratch.write("input", "skipped\nall of it\n");
    let mut input = std::fs::File::open(scratch.path().join("input")).unwrap();
    std::io::Seek::seek(&mut input, std::io::SeekFrom::Start(8)).unwrap();
    let script = format!("cat; {}", fails_until(2, 1));
    let mut command = scratch.forebay(&["retry", "--backoff", "1ms", "--", "/bin/sh", "-c", &script]);
    let output = command.stdin(input).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "all of it\nall of it\n");
}

#[test]
fn a_second_run_finds_a_pipe_unreadable_and_not_empty() {
    let scratch = Scratch::new("retry-pipe");
    let script = format!("cat || exit 9; {}", fails_until(2, 1));
    let mut command =
        scratch.forebay(&["retry", "--backoff", "1ms", "--attempts", "2", "--", "/bin/sh", "-c", &script]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"all of it\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "all of it\n");
    assert_eq!(output.status.code(), Some(9), "an empty input would have been taken for all there is");
    let ran = run("retry-deaf", &[], &fails_until(2, 1), Stdio::piped());
    assert_eq!((ran.code, ran.runs), (Some(0), 2), "who does not read does not notice");
}

#[test]
fn a_signal_is_the_commands_and_ends_the_retrying() {
    for (signal, code, trap) in [
        (Signal::TERM, 7, "trap 'kill $!; exit 7' TERM; "),
        (Signal::INT, 8, "trap 'kill $!; exit 8' INT; "),
        (Signal::TERM, 143, ""),
        (Signal::USR1, 0, "trap 'kill $!; exit 0' USR1; "),
    ] {
        let scratch = Scratch::new(&format!("retry-signal-{code}"));
        let wait = if trap.is_empty() { "echo ready; exec sleep 60" } else { "sleep 60 & echo ready; wait" };
        let script = format!("{trap}{wait}");
        let mut command = scratch.forebay(&["retry", "--", "/bin/sh", "-c", &script]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal:?}");
    }
}

#[test]
fn a_signal_between_two_runs_ends_the_wait() {
    let scratch = Scratch::new("retry-between");
    let options = ["retry", "--backoff", "1h", "--max-backoff", "1h", "--jitter", "none", "--", "/bin/false"];
    let mut child = scratch.forebay(&options).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "retry: attempt 1 of 3 exited with 1; again in 1h\n");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}
