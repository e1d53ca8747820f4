//! A Chromium of the test's own, without a window, spoken to by the DevTools protocol over two pipes. It finds the names
//! that a test gives it on loopback and no others, so that nothing it does by itself reaches a network; it is gone when
//! the test process is, however that ends.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A cold start on a busy machine, or one script with hundreds of requests.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Every one of them keeps the browser from doing what a test did not ask for. Certificates of tests have no root that
/// it knows.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--ignore-certificate-errors",
    "--remote-debugging-pipe",
];
/// Outlives the test and the browser: the browser ends when its pipe does, which comes even if the test is killed, and
/// then the directory goes too. The pipes are descriptors 3 and 4, as Chromium wants them.
const GUARDIAN: &str = r#"
directory=$1; shift
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && break
done
exec 3<&0 4>&1 0</dev/null 1>/dev/null
"$name" "$@" 2>"$directory/log" & browser=$!
exec 3<&- 4>&-
trap 'kill -KILL "$browser"' TERM
wait "$browser"
rm -rf "$directory"
"#;

/// A browser with a profile of its own.
#[derive(Debug)]
pub struct Browser {
    guardian: Child,
    orders: Option<ChildStdin>,
    messages: Receiver<Value>,
    directory: PathBuf,
    sent: u64,
    events: Vec<Event>,
}

/// A page that is open.
#[derive(Clone, Debug)]
pub struct Page {
    session: String,
}

/// Something that happened in a page: a name such as `Network.loadingFailed`, and what goes with it.
#[derive(Clone, Debug)]
pub struct Event {
    /// Of the protocol.
    pub name: String,
    /// Its parameters.
    pub about: Value,
    session: String,
}

impl Browser {
    /// Starts one that finds these hosts, `shop.example:443` or `*.example:80`, at these addresses. It always finds
    /// `localhost` and names below it.
    ///
    /// # Panics
    /// When there is no Chromium to start.
    pub fn start(hosts: &[(&str, SocketAddr)]) -> Browser {
        Browser::start_with(hosts, &[])
    }

    /// The same with more flags.
    ///
    /// # Panics
    /// When there is no Chromium to start.
    pub fn start_with(hosts: &[(&str, SocketAddr)], flags: &[&str]) -> Browser {
        let directory = make_directory();
        let mut guardian = spawn(&directory, hosts, flags);
        let orders = guardian.stdin.take();
        let messages = listen(guardian.stdout.take().expect("the browser answers"));
        let mut browser = Browser { guardian, orders, messages, directory, sent: 0, events: Vec::new() };
        browser.order(None, "Browser.getVersion", json!({}));
        browser
    }

    /// Opens a page and waits until it is loaded.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn open(&mut self, url: &str) -> Page {
        let made = self.order(None, "Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": made["targetId"], "flatten": true});
        let attached = self.order(None, "Target.attachToTarget", target);
        let page = Page { session: text(&attached["sessionId"]) };
        for domain in ["Network", "Log", "Page"] {
            self.order(Some(&page), &format!("{domain}.enable"), json!({}));
        }
        let gone = self.order(Some(&page), "Page.navigate", json!({"url": url}));
        assert!(gone["errorText"].is_null(), "{url} cannot be opened: {gone}");
        self.wait_for(&page, |event| event.name == "Page.loadEventFired");
        self.take_events(&page);
        page
    }

    /// What an expression comes to in a page; a promise is waited for.
    ///
    /// # Panics
    /// When it throws.
    pub fn evaluate(&mut self, page: &Page, expression: &str) -> Value {
        let ask = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.order(Some(page), "Runtime.evaluate", ask);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until something has happened in a page since its events were last taken.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for(&mut self, page: &Page, what: impl Fn(&Event) -> bool) {
        let until = Instant::now() + ANSWER_WITHIN;
        let is_it = |event: &Event| event.session == page.session && what(event);
        while !self.events.iter().any(&is_it) {
            self.receive(until);
        }
    }

    /// What has happened in a page since this was last asked.
    pub fn take_events(&mut self, page: &Page) -> Vec<Event> {
        let (taken, kept) =
            std::mem::take(&mut self.events).into_iter().partition(|event| event.session == page.session);
        self.events = kept;
        taken
    }

    /// Gives an order of the protocol and waits for its result.
    ///
    /// # Panics
    /// When the browser refuses it or is gone.
    pub fn order(&mut self, page: Option<&Page>, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut order = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(page) = page {
            order["sessionId"] = page.session.as_str().into();
        }
        let orders = self.orders.as_mut().expect("the browser listens until dropped");
        let sent = orders.write_all(format!("{order}\0").as_bytes());
        sent.unwrap_or_else(|error| panic!("the browser is gone: {error}\n{}", self.log()));
        let until = Instant::now() + ANSWER_WITHIN;
        loop {
            if let Some(mut answer) = self.receive(until) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
        }
    }

    /// The next message: the answer to the last order, or nothing, and an event is kept.
    fn receive(&mut self, until: Instant) -> Option<Value> {
        let message = self.messages.recv_timeout(until.saturating_duration_since(Instant::now()));
        let mut message = message.unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => panic!("the browser says nothing\n{}", self.log()),
            RecvTimeoutError::Disconnected => panic!("the browser is gone\n{}", self.log()),
        });
        if message["id"].as_u64().is_some() {
            return (message["id"] == self.sent).then_some(message);
        }
        let session = text(&message["sessionId"]);
        self.events.push(Event { name: text(&message["method"]), about: message["params"].take(), session });
        None
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its pipe ends the browser, and that the guardian.
        self.orders = None;
        let until = Instant::now() + crate::PATIENCE;
        let ended = loop {
            match self.messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(error) => break error == RecvTimeoutError::Disconnected,
            }
        };
        if !ended {
            // The guardian kills the browser it started, and no other.
            let _ = Command::new("kill").arg(self.guardian.id().to_string()).status();
        }
        let _ = self.guardian.wait();
    }
}

fn spawn(directory: &Path, hosts: &[(&str, SocketAddr)], flags: &[&str]) -> Child {
    let rules = hosts.iter().map(|(host, address)| format!("MAP {host} {address},")).collect::<String>();
    let mut command = Command::new("sh");
    command.args(["-c", GUARDIAN, "guardian"]).arg(directory).args(FLAGS).args(flags);
    command.arg(format!("--user-data-dir={}", directory.join("profile").display()));
    command.arg(format!(
        "--host-resolver-rules={rules}MAP * ~NOTFOUND,EXCLUDE localhost,EXCLUDE *.localhost,EXCLUDE 127.0.0.1"
    ));
    // It looks for a desktop, which tests have none of.
    command.arg("about:blank").env("HOME", directory).env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("sh cannot be started")
}

/// Messages end with a zero byte.
fn listen(answers: ChildStdout) -> Receiver<Value> {
    let (sender, messages) = mpsc::channel();
    // Ends with the browser.
    std::thread::spawn(move || {
        let mut answers = BufReader::new(answers);
        let mut message = Vec::new();
        while answers.read_until(0, &mut message).is_ok_and(|count| count > 0) {
            message.pop();
            let Ok(value) = serde_json::from_slice(&message) else { return };
            if sender.send(value).is_err() {
                return;
            }
            message.clear();
        }
    });
    messages
}

fn make_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("forebay-browser-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir(&directory).expect("no temporary directory");
    directory
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
