//! `forebay serve` as a whole process: what it does when files change while it reads them, and when a listener breaks
//! under it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::os::fd::{OwnedFd, RawFd};
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;

use forebay_testkit::PATIENCE;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::net::connect_unspec;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::SockRef;

use super::Scratch;
use super::registry::{address, ask};

/// A process that serves, and what it says on standard error. Killed with the value.
struct Served {
    process: Child,
    said: Receiver<String>,
}

impl Served {
    fn start(scratch: &Scratch) -> Served {
        let mut command = scratch.forebay(&["serve"]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (say, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.for_each(|line| drop(say.send(line))));
        Served { process, said }
    }

    /// The next line with this in it; all before it are dropped.
    #[track_caller]
    fn until(&self, part: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let line = self.said.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {part:?} in {seen:#?}"));
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
    }

    fn listen(&self) -> SocketAddr {
        address(&self.until("\"listen\""), "listen").unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const LISTEN: &str = "[gateway]\nlisten = \"127.0.0.1:0\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n";

#[test]
fn an_edit_while_the_files_are_being_read_is_not_missed() {
    let scratch = Scratch::new("edit");
    let route = |body: &str| {
        format!(
            "include = [\"slow.toml\"]\n{LISTEN}[[route]]\nmatch = \"/*\"\nrespond = {{ body = \"{body}\" }}\n"
        )
    };
    // An included file that is read as slowly as the test wants: a pipe.
    let slow = scratch.path().join("slow.toml");
    mknodat(CWD, &slow, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    scratch.write("forebay.toml", &route("old"));
    let served = Served::start(&scratch);
    // Opening it waits for who reads it, and forebay.toml has been read by then.
    let pipe = File::options().write(true).open(&slow).unwrap();
    scratch.write("forebay.toml", &route("new"));
    drop(pipe);
    let listen = served.listen();
    // The reload reads it again; whoever read it first has closed it by now.
    let again = std::thread::spawn(move || File::options().write(true).open(&slow).map(drop));
    served.until("\"reloaded\"");
    again.join().unwrap().unwrap();
    assert_eq!(ask(listen, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (200, "new".to_owned()));
}

#[test]
fn what_was_wrong_in_a_rejected_file_may_be_mended_where_it_is_wrong() {
    let scratch = Scratch::new("mended");
    let route = "[[route]]\nmatch = \"/*\"\nrespond = { body = \"ok\" }\n";
    scratch.write("forebay.toml", &format!("{LISTEN}{route}"));
    let served = Served::start(&scratch);
    let listen = served.listen();
    scratch.write("forebay.toml", &format!("include = [\"more.toml\"]\n{LISTEN}{route}"));
    served.until("reload rejected");
    scratch.write("more.toml", "[[route]]\nmatch = \"/more\"\nrespond = { body = \"more\" }\n");
    served.until("\"reloaded\"");
    assert_eq!(ask(listen, "GET /more HTTP/1.1\r\nHost: a\r\n\r\n"), (200, "more".to_owned()));
}

#[test]
fn a_port_that_this_process_keeps_until_a_restart_is_told_to_be_its_own() {
    let scratch = Scratch::new("own-port");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = |admin: u16, more: &str| {
        format!(
            "[gateway]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\
             [service.a]\nendpoints = \"127.0.0.1:1\"\n{more}"
        )
    };
    scratch.write("forebay.toml", &file(port, ""));
    let served = Served::start(&scratch);
    served.listen();
    scratch.write("forebay.toml", &file(0, &format!("local_port = {port}\n")));
    let line = served.until("error: ");
    let expected =
        format!("127.0.0.1:{port} is in use by this process: its `admin.listen` has it since the start");
    assert_eq!(line, format!("error: {expected}"));
    served.until("  --> forebay.toml:7:14");
    served.until("= help: restart, or choose another port");
    served.until("reload rejected");
}

/// The sockets of a process that listen by `tcp` or `udp`: where, and under which number.
fn listeners(process: u32, protocol: &str) -> Vec<(SocketAddr, RawFd)> {
    let table = fs::read_to_string(format!("/proc/{process}/net/{protocol}")).unwrap();
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    // State 0A is LISTEN, 07 that of datagrams from anybody; the address is in the machine's byte order.
    let by_inode: HashMap<String, SocketAddr> = rows
        .filter(|row| row[3] == if protocol == "tcp" { "0A" } else { "07" })
        .map(|row| {
            let (ip, port) = row[1].split_once(':').unwrap();
            let ip = u32::from_str_radix(ip, 16).unwrap().to_ne_bytes();
            (format!("socket:[{}]", row[9]), (ip, u16::from_str_radix(port, 16).unwrap()).into())
        })
        .collect();
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap().map(Result::unwrap);
    let socket = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        let address = by_inode.get(link.to_str()?)?;
        Some((*address, entry.file_name().to_str()?.parse().ok()?))
    };
    descriptors.filter_map(socket).collect()
}

/// The socket itself that the process has under this number.
fn socket_of(process: &Child, number: RawFd) -> OwnedFd {
    let process = pidfd_open(Pid::from_child(process), PidfdFlags::empty()).unwrap();
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).unwrap()
}

/// A process with every listener there is: the gateway's, and the registry's for HTTP and DNS.
fn serving(scratch: &Scratch) -> (Served, [SocketAddr; 3]) {
    scratch.write(
        "forebay.toml",
        &format!("{LISTEN}[registry]\nlisten = \"127.0.0.1:0\"\ndns = \"127.0.0.1:0\"\nnode = \"web-1\"\n"),
    );
    let served = Served::start(scratch);
    let gateway = served.listen();
    let registry = served.until("the registry serves");
    (served, [gateway, address(&registry, "http").unwrap(), address(&registry, "dns").unwrap()])
}

/// Reads how a process ends whose listener broke.
#[track_caller]
fn check_end(mut served: Served, which: &str, broken: SocketAddr, why: &str) {
    let line = served.until("error: ");
    let expected = format!("error: {which} has failed: the socket that listens on {broken} is broken: {why}");
    assert_eq!(line, expected);
    served.until("= note: a process that goes on without it would look well and be deaf");
    served.until("= help: start it again");
    served.until("nothing was cut off");
    assert_eq!(served.process.wait().unwrap().code(), Some(1));
}

/// Breaks the listener that `which` chooses, given where the gateway and the registry are, and reads how it ends.
#[track_caller]
fn check_broken(name: &str, which: impl Fn(SocketAddr, SocketAddr, SocketAddr) -> SocketAddr, says: &str) {
    let scratch = Scratch::new(name);
    let (served, known) = serving(&scratch);
    let [gateway, http, dns] = known;
    let all = listeners(served.process.id(), "tcp");
    let admin = all.iter().find(|(address, _)| !known.contains(address)).expect("an admin listener").0;
    let broken = which(gateway, admin, if says.contains("DNS") { dns } else { http });
    let (_, number) = all.iter().find(|(address, _)| *address == broken).expect("it listens");
    SockRef::from(&socket_of(&served.process, *number)).shutdown(Shutdown::Both).unwrap();
    check_end(served, says, broken, "Invalid argument (os error 22)");
}

#[test]
fn a_listener_that_breaks_ends_the_process_and_is_named() {
    check_broken("broken-front", |gateway, _, _| gateway, "the gateway");
    check_broken("broken-admin", |_, admin, _| admin, "the admin listener");
    check_broken("broken-registry", |_, _, registry| registry, "the registry's HTTP listener");
    check_broken("broken-dns", |_, _, registry| registry, "the registry's DNS listener");
}

#[test]
fn a_socket_for_datagrams_that_loses_its_port_ends_the_process_and_is_named() {
    let scratch = Scratch::new("broken-datagrams");
    let (served, [_, _, dns]) = serving(&scratch);
    // It says where it serves a moment before it does.
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x06consul\0\0\x06\0\x01", dns).unwrap();
    assert!(client.recv(&mut [0; 512]).unwrap() > 12, "it answers");
    let all = listeners(served.process.id(), "udp");
    let (_, number) = all.iter().find(|(address, _)| *address == dns).expect("it listens");
    let socket = socket_of(&served.process, *number);
    // As `ss -K` does: a port that the kernel chose goes, and others can have it.
    connect_unspec(&socket).unwrap();
    let _taken = UdpSocket::bind(dns).unwrap();
    // Nothing is told of that, until something is told of anything.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let socket = UdpSocket::from(socket);
    socket.connect(nobody).unwrap();
    socket.send(b"").unwrap();
    check_end(served, "the registry's DNS listener", dns, "it has lost this address");
}
