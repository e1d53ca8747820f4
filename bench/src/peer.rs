//! The proxies that are measured, each as somebody who knows it well would set it up for this traffic: private
//! instances on ports of their own, one worker, no access log, the same two upstreams.

pub(crate) mod envoy;
pub(crate) mod forebay;
pub(crate) mod haproxy;
pub(crate) mod nginx;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::failure::{Doing as _, Failure};
use crate::options::Options;
use crate::usage::Tree;
use crate::{place, traffic};

/// A proxy takes far less; a first health check may take a moment.
const READY_MAX: Duration = Duration::from_secs(10);
/// Time to end by itself, which lets nginx collect its workers. Nothing is in flight that would be worth more.
const END_MAX: Duration = Duration::from_millis(500);

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    /// For spreading alone, and only where it could be installed.
    Envoy,
    /// No proxy, but what the cheapest could cost.
    Floor,
    Forebay,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [Kind::Nginx, Kind::Haproxy, Kind::Envoy, Kind::Floor, Kind::Forebay];

    /// As on the command line and in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
            Kind::Envoy => "envoy",
            Kind::Floor => "floor",
            Kind::Forebay => "forebay",
        }
    }

    fn program(self, options: &Options) -> Result<PathBuf, Failure> {
        match self {
            Kind::Nginx | Kind::Haproxy => Ok(self.name().into()),
            Kind::Envoy => options.envoy.clone().ok_or_else(|| Failure::run("there is no envoy to measure")),
            Kind::Floor => std::env::current_exe().doing("cannot find this program"),
            Kind::Forebay => options.forebay.clone().ok_or_else(|| {
                Failure::run(
                    "there is no forebay to measure yet\n   \
                     = help: measure the others with --only nginx,haproxy",
                )
            }),
        }
    }

    /// The version as the program gives it.
    pub(crate) fn version(self, options: &Options) -> Result<String, Failure> {
        if self == Kind::Floor {
            return Ok("floor: a relay that reads nothing of what it passes on".into());
        }
        let flag = if matches!(self, Kind::Forebay | Kind::Envoy) { "--version" } else { "-v" };
        let mut command = command(&self.program(options)?);
        let output =
            command.arg(flag).output().doing(format_args!("cannot ask {} for its version", self.name()))?;
        // nginx answers on standard error.
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
    }
}

/// A proxy that is configured and not yet started.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) kind: Kind,
    program: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    pub(crate) address: SocketAddr,
}

/// What a configuration is made from.
pub(crate) struct Setting<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) port: u16,
    /// A second free port, for whoever has an admin listener.
    pub(crate) admin: u16,
    pub(crate) upstreams: &'a [u16],
}

impl Prepared {
    /// For as many requests as it can take.
    pub(crate) fn new(kind: Kind, upstreams: &[u16], options: &Options) -> Result<Prepared, Failure> {
        Prepared::with(kind, upstreams, options, |setting| match kind {
            Kind::Nginx => nginx::configuration(setting),
            Kind::Haproxy => haproxy::configuration(setting),
            Kind::Envoy => envoy::spread(setting),
            Kind::Floor => String::new(),
            Kind::Forebay => forebay::configuration(setting),
        })
    }

    /// With a configuration for another purpose.
    pub(crate) fn with(
        kind: Kind,
        upstreams: &[u16],
        options: &Options,
        configuration: impl Fn(&Setting<'_>) -> String,
    ) -> Result<Prepared, Failure> {
        let directory = options.out.join(kind.name());
        fs::create_dir_all(&directory).doing(format_args!("cannot create {}", directory.display()))?;
        let directory = directory.canonicalize().doing("a directory that was just there")?;
        let port = free_port()?;
        let setting = Setting { directory: &directory, port, admin: free_port()?, upstreams };
        let program = kind.program(options)?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let path = directory.join(match kind {
            Kind::Nginx => "nginx.conf",
            Kind::Haproxy => "haproxy.cfg",
            Kind::Envoy => "envoy.yaml",
            Kind::Floor => "floor",
            Kind::Forebay => "forebay.toml",
        });
        fs::write(&path, configuration(&setting)).doing(format_args!("cannot write {}", path.display()))?;
        let arguments = match kind {
            Kind::Nginx => nginx::arguments(&directory, &path),
            Kind::Haproxy => haproxy::arguments(&path),
            Kind::Envoy => envoy::arguments(&path),
            Kind::Floor => {
                let ports = upstreams.iter().chain([&port]).map(u16::to_string);
                ["floor".to_owned()].into_iter().chain(ports).collect()
            }
            Kind::Forebay => forebay::arguments(&path),
        };
        Ok(Prepared { kind, program, arguments, directory, address })
    }

    /// Starts it on that core, or on any. Does not wait until it answers.
    pub(crate) fn spawn(&self, core: Option<usize>) -> Result<Spawned, Failure> {
        let path = self.directory.join("output.log");
        let log = File::create(&path).doing(format_args!("cannot write {}", path.display()))?;
        let second = log.try_clone().doing("cannot share a file")?;
        let mut command = command(&self.program);
        command.args(&self.arguments).current_dir(&self.directory);
        command.stdin(Stdio::null()).stdout(log).stderr(second);
        Ok(Spawned { child: place::spawn(&mut command, core)? })
    }

    /// Starts it and waits until requests go through.
    pub(crate) fn start(self, core: Option<usize>) -> Result<Running, Failure> {
        let mut spawned = self.spawn(core)?;
        let size = traffic::SIZES[0];
        let (path, body) = (traffic::path(size), traffic::body(size));
        let start = Instant::now();
        loop {
            let attempt = Client::connect(self.address).and_then(|mut client| client.expect(&path, &body));
            let Err(failure) = attempt else { break };
            if start.elapsed() > READY_MAX || spawned.has_ended() {
                let (name, log) = (self.kind.name(), self.directory.join("output.log"));
                return Err(Failure::run(format!(
                    "{name} does not serve: {failure}\n   = help: it may say why in {}",
                    log.display()
                )));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Running {
            tree: Tree::of(spawned.child.id()),
            address: self.address,
            kind: self.kind,
            _spawned: spawned,
        })
    }
}

/// A started proxy; ends, with its workers, when the value does.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Child,
}

impl Spawned {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        // The tree is read first: afterwards nobody knows whose children the workers were.
        let tree = Tree::of(self.child.id());
        tree.ask_to_end();
        let start = Instant::now();
        while !self.has_ended() && start.elapsed() < END_MAX {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !self.has_ended() {
            tree.kill();
            // Killed or gone: either way there is nothing more to learn.
            let _ = self.child.wait();
        }
    }
}

/// A proxy through which requests go.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) tree: Tree,
    _spawned: Spawned,
}

/// Debian keeps servers where an ordinary user's path does not lead.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// A port that nobody holds now. Somebody may take it before the proxy does; then that one fails to start.
pub(crate) fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("cannot find a free port")?;
    listener.local_addr().map(|address| address.port()).doing("a listener without an address")
}
