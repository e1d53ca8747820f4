//! A PostgreSQL of the test's own: its data in a temporary directory, a Unix socket beside it, a port that was free.
//! Never touches another server; gone when the test process is, however it ends.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::TestRoot;

/// The Debian package's account, which root becomes: `initdb` refuses root.
const ACCOUNT: &str = "postgres";
/// Times that a start is tried: the port that was free may be taken by then.
const STARTS_MAX: u32 = 5;
/// Files of a server with TLS.
const CHAIN: &str = "chain.pem";
const KEY: &str = "key.pem";
/// Nothing here has to survive a crash, and many tests share one server.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=16MB",
    "max_connections=200",
    "log_min_messages=fatal",
];
/// Runs the server and outlives the test: an end of standard input, which comes even if the test is killed, stops the
/// server by its pid and takes the directory away. `stop` and `start` lines stop and start it in between.
const GUARDIAN: &str = r#"
trap '' INT
directory=$1; shift
"$@" >>"$directory/log" 2>&1 & server=$!
while read -r order; do
    case $order in
        stop) kill -INT "$server" 2>/dev/null; wait "$server"; echo stopped;;
        kill) kill -QUIT "$server" 2>/dev/null; wait "$server"; echo stopped;;
        start) "$@" >>"$directory/log" 2>&1 & server=$!; echo started;;
    esac
done
kill -INT "$server" 2>/dev/null; wait "$server"
rm -rf "$directory"
"#;

/// A private server. Databases are made for each test.
#[derive(Debug)]
pub struct ScratchPostgres {
    directory: PathBuf,
    port: u16,
    guardian: Mutex<Guardian>,
}

#[derive(Debug)]
struct Guardian {
    child: Child,
    orders: Option<ChildStdin>,
}

impl ScratchPostgres {
    /// The server that all tests of this program share, started by the first who asks.
    ///
    /// # Panics
    /// When there is no PostgreSQL to start.
    pub fn shared() -> &'static ScratchPostgres {
        static SHARED: OnceLock<ScratchPostgres> = OnceLock::new();
        SHARED.get_or_init(ScratchPostgres::start)
    }

    /// A server for one test alone, which may stop it. Ends when dropped.
    ///
    /// # Panics
    /// When there is no PostgreSQL to start.
    pub fn start() -> ScratchPostgres {
        ScratchPostgres::launch(None)
    }

    /// The same with TLS, by this root's certificate for `localhost`.
    ///
    /// # Panics
    /// When there is no PostgreSQL to start.
    pub fn start_with_tls(root: &TestRoot) -> ScratchPostgres {
        ScratchPostgres::launch(Some(root))
    }

    fn launch(tls: Option<&TestRoot>) -> ScratchPostgres {
        let directory = make_directory();
        initialize(&directory);
        if let Some(root) = tls {
            write_as_account(&directory.join(CHAIN), root.chain_pem());
            write_as_account(&directory.join(KEY), root.key_pem());
        }
        for _ in 0..STARTS_MAX {
            let port = free_port();
            let mut guardian = spawn(&directory, port, tls.is_some());
            if ready(&directory, port) {
                return ScratchPostgres { directory, port, guardian: Mutex::new(guardian) };
            }
            guardian.order("stop");
            // The next one works in the same directory: this guardian may not take it away.
            guardian.child.kill().expect("the guardian cannot be stopped");
            guardian.child.wait().expect("the guardian cannot be waited for");
        }
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start: {log}");
    }

    /// A new, empty database; its URL, by TCP.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("scratch_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("create database {name} template template0"));
        self.url(&name)
    }

    /// The URL of a database of this server. Any password will do.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ACCOUNT}:hush@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `psql` prints of these statements: rows as lines, columns between `|`.
    ///
    /// # Panics
    /// When they fail.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statements]);
        let output = psql.output().expect("psql cannot be started");
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Stops the server in an orderly way and waits for it: every connection breaks.
    pub fn stop(&self) {
        self.lock().order("stop");
    }

    /// Stops it as a crash would, and waits for it.
    pub fn crash(&self) {
        self.lock().order("kill");
    }

    /// Starts it again on the same port and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn restart(&self) {
        self.lock().order("start");
        assert!(ready(&self.directory, self.port), "PostgreSQL did not start again");
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(binary(name));
        command.args([OsStr::new("-h"), self.directory.as_os_str()]);
        command.args(["-p", &self.port.to_string(), "-U", ACCOUNT]).stdin(Stdio::null());
        command
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Guardian> {
        self.guardian.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ScratchPostgres {
    fn drop(&mut self) {
        let mut guardian = self.lock();
        guardian.orders = None;
        // It stops the server first, so that nothing is left when this returns.
        let _ = guardian.child.wait();
    }
}

impl Guardian {
    /// Gives an order and waits for its echo.
    fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("the guardian still listens");
        writeln!(orders, "{order}").expect("the guardian is gone");
        let mut echo = [0; 8];
        let answers = self.child.stdout.as_mut().expect("the guardian still answers");
        answers.read_exact(&mut echo).expect("the guardian is gone");
    }
}

fn make_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("forebay-pg-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let directory = std::env::temp_dir().join(name);
    fs::create_dir(&directory).expect("no temporary directory");
    // The server runs as somebody else when we are root.
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("no temporary directory");
    directory
}

fn initialize(directory: &Path) {
    let mut initdb = as_account(&binary("initdb"));
    initdb.arg("-D").arg(directory.join("data"));
    initdb.args(["-U", ACCOUNT, "-A", "trust", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"]);
    let output = initdb.current_dir("/").output().expect("initdb cannot be started");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// The server refuses a key that others may read, or that is not its own.
fn write_as_account(path: &Path, bytes: &[u8]) {
    let mut command = as_account(Path::new("sh"));
    command.args(["-c", "umask 077; cat >\"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut child = command.spawn().expect("sh cannot be started");
    let mut input = child.stdin.take().expect("sh reads");
    input.write_all(bytes).expect("sh is gone");
    drop(input);
    assert!(child.wait().is_ok_and(|status| status.success()), "{} cannot be written", path.display());
}

fn spawn(directory: &Path, port: u16, tls: bool) -> Guardian {
    let server = as_account(&binary("postgres"));
    let mut command = Command::new("sh");
    command.args(["-c", GUARDIAN, "guardian"]).arg(directory);
    command.arg(server.get_program()).args(server.get_args());
    command.arg("-D").arg(directory.join("data")).arg("-k").arg(directory);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    if tls {
        let file = |setting: &str, name: &str| format!("{setting}={}", directory.join(name).display());
        command.args(["-c", "ssl=on", "-c", &file("ssl_cert_file", CHAIN), "-c", &file("ssl_key_file", KEY)]);
    }
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().expect("sh cannot be started");
    let orders = child.stdin.take();
    Guardian { child, orders }
}

/// Whether the server takes connections within the usual patience.
fn ready(directory: &Path, port: u16) -> bool {
    let deadline = std::time::Instant::now() + crate::PATIENCE;
    while std::time::Instant::now() < deadline {
        // Asked by program, so that the wait between two looks is the program's own time.
        let mut ask = Command::new(binary("pg_isready"));
        ask.args(["-q", "-t", "1", "-h"]).arg(directory).args(["-p", &port.to_string()]);
        if ask.status().is_ok_and(|status| status.success()) {
            // Some other server may have taken the port: ours also listens on it, or has ended.
            return TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        }
    }
    false
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("no port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// The program as ourselves, or as the package's account when we are root.
fn as_account(program: &Path) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]).arg(program);
    command
}

/// Debian keeps the server's programs off the path, one directory for each version.
fn binary(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|entry| entry.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}
