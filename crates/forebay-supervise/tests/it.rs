//! Real processes under the supervisor: small shells that say what becomes of them.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use forebay_clock::Clock;
use forebay_supervise::{Child, Report, Restart, Stop, Watch, supervise};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::sync::{Notify, watch};

/// Far beyond what any of this takes, on any machine.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// A child that is started again at once.
fn shell(name: &str, stage: u8, script: &str) -> Child {
    let restart = Restart { base: Duration::ZERO, ..Restart::default() };
    Child {
        name: name.to_owned(),
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into()), ("GIVEN".into(), "yes".into())],
        directory: Some("/".into()),
        stage,
        restart,
        patience: WAIT_MAX,
    }
}

/// What the supervisor reported, in words.
#[derive(Default)]
struct Seen {
    reports: RefCell<Vec<String>>,
    pid: Cell<u32>,
    changed: Notify,
}

impl Seen {
    fn watch(self: &Rc<Seen>) -> Watch {
        let seen = self.clone();
        Rc::new(move |child, report| {
            let name = &child.name;
            let said = match report {
                Report::Started { pid } => {
                    seen.pid.set(pid);
                    format!("{name} started")
                }
                Report::Line { text, .. } => format!("{name}: {text}"),
                Report::Ended { ending, restart_in: None } => format!("{name} {ending} for good"),
                Report::Ended { ending, .. } => format!("{name} {ending}"),
            };
            seen.reports.borrow_mut().push(said);
            seen.changed.notify_one();
        })
    }

    /// Waits until this was reported so many times.
    async fn times(&self, report: &str, count: usize) {
        while self.reports.borrow().iter().filter(|seen| *seen == report).count() < count {
            self.changed.notified().await;
        }
    }

    fn kill(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid.get() as i32).unwrap(), signal).unwrap();
    }
}

/// Supervises while `script` runs, then stops in order and gives all reports.
fn supervised<F: Future<Output = ()>>(
    children: Vec<Child>,
    script: impl FnOnce(Rc<Seen>, watch::Sender<Stop>) -> F,
) -> Vec<String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let seen = Rc::new(Seen::default());
        let (stop, stopped) = watch::channel(Stop::No);
        let clock = Clock::system();
        let all = async {
            tokio::join!(supervise(children, &clock, stopped, seen.watch()), script(seen.clone(), stop))
        };
        tokio::time::timeout(WAIT_MAX, all).await.expect("it takes too long");
        seen.reports.take()
    })
}

#[test]
fn a_killed_child_is_started_again() {
    let children = vec![shell("one", 0, "echo $GIVEN; pwd; exec sleep 1000")];
    let reports = supervised(children, async |seen, _stop| {
        seen.times("one: /", 1).await;
        seen.kill(Signal::KILL);
        seen.times("one: /", 2).await;
    });
    let life = ["one started", "one: yes", "one: /"];
    let expected =
        [&life[..], &["one was killed by SIGKILL"], &life, &["one was killed by SIGTERM for good"]].concat();
    assert_eq!(reports, expected);
}

#[test]
fn who_is_called_outlives_its_callers() {
    let script = "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let children = vec![shell("low", 0, script), shell("high", 1, script)];
    let reports = supervised(children, async |seen, _stop| {
        seen.times("low: up", 1).await;
        seen.times("high: up", 1).await;
    });
    assert_eq!(
        reports[4..],
        ["high: asked", "high exited with 0 for good", "low: asked", "low exited with 0 for good"]
    );
}

#[test]
fn who_ignores_the_request_is_killed() {
    let script = "trap '' TERM; echo up; while :; do sleep 0.01; done";
    let child = Child { patience: Duration::from_millis(20), ..shell("deaf", 0, script) };
    let reports = supervised(vec![child], async |seen, _stop| seen.times("deaf: up", 1).await);
    assert_eq!(reports, ["deaf started", "deaf: up", "deaf was killed by SIGKILL for good"]);
}

#[test]
fn a_stop_in_a_hurry_waits_for_nobody() {
    let children = vec![shell("deaf", 0, "trap '' TERM; echo up; while :; do sleep 0.01; done")];
    let reports = supervised(children, async |seen, stop| {
        seen.times("deaf: up", 1).await;
        stop.send(Stop::InOrder).unwrap();
        stop.send(Stop::Now).unwrap();
        stop.closed().await;
    });
    assert_eq!(reports.last().unwrap(), "deaf was killed by SIGKILL for good");
}

#[test]
fn the_last_words_come_before_the_end() {
    let children = vec![shell("one", 0, "echo out; echo err >&2; printf unfinished; exit 7")];
    let reports = supervised(children, async |seen, _stop| seen.times("one exited with 7", 1).await);
    let end = reports.iter().position(|report| report == "one exited with 7").unwrap();
    for word in ["one: out", "one: err", "one: unfinished"] {
        assert!(reports[..end].iter().any(|report| report == word), "{word} in {reports:?}");
    }
}

#[test]
fn a_program_that_is_not_there_is_reported() {
    let child = Child { program: "/no/such/program".into(), ..shell("one", 0, "") };
    let reports = supervised(vec![child], async |seen, _stop| {
        while seen.reports.borrow().is_empty() {
            seen.changed.notified().await;
        }
    });
    assert!(reports[0].starts_with("one could not be started: No such file"), "{reports:?}");
}

#[test]
fn a_supervisor_that_is_dropped_kills_its_children() {
    let pid = Cell::new(0);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let seen = Rc::new(Seen::default());
        let (_stop, stopped) = watch::channel(Stop::No);
        let clock = Clock::system();
        let children = vec![shell("one", 0, "trap '' TERM; echo up; while :; do sleep 0.01; done")];
        tokio::select! {
            () = supervise(children, &clock, stopped, seen.watch()) => panic!("nobody stopped it"),
            () = seen.times("one: up", 1) => pid.set(seen.pid.get()),
        }
    });
    drop(runtime);
    let pid = Pid::from_raw(pid.get() as i32).unwrap();
    // Killed at once; gone as soon as the kernel has done it and somebody waits for it.
    let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    assert!(test_kill_process(pid).is_err());
}
