//! Where the demo lives: a directory of its own and ports of its own, both given back at the end.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

/// Where people look first.
const PORT_USUAL: u16 = 8080;
/// Directories that demos may leave behind when they are killed, and others that run at the same time.
const DIRECTORIES_MAX: u32 = 1000;

const TEMPLATE: &str = include_str!("forebay.toml");

/// A port that stays ours while nobody listens on it: bound, but not listening. A connection to it is refused at once,
/// as that to a dead service should be, and the kernel gives it to nobody else. Whoever listens sets `SO_REUSEADDR`.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) address: SocketAddr,
    _socket: Socket,
}

impl Reserved {
    /// This port; 0 is any free one.
    pub(crate) fn port(port: u16) -> io::Result<Reserved> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        // A given port may have connections of an earlier demo in TIME_WAIT; any free one must be free.
        socket.set_reuse_address(port != 0)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        socket.set_reuse_address(true)?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| io::Error::other("a socket has no address"))?;
        Ok(Reserved { address, _socket: socket })
    }

    /// The usual port, or any free one.
    pub(crate) fn usual() -> io::Result<Reserved> {
        Reserved::port(PORT_USUAL).or_else(|_| Reserved::port(0))
    }
}

/// The demo's directory.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    written: String,
}

impl Place {
    /// Makes a directory below `parent` and writes the configuration there.
    pub(crate) fn make(
        parent: &Path,
        gateway: SocketAddr,
        instances: impl Iterator<Item = SocketAddr>,
    ) -> io::Result<Place> {
        let directory = make_directory(parent)?;
        let endpoints: Vec<String> = instances.map(|address| format!("\"{address}\"")).collect();
        let written =
            TEMPLATE.replace("{listen}", &gateway.to_string()).replace("{endpoints}", &endpoints.join(", "));
        let place = Place { directory, written };
        fs::write(place.file(), &place.written)?;
        Ok(place)
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The configuration.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("forebay.toml")
    }

    /// Removes the directory, unless somebody has worked on the configuration: then says so.
    pub(crate) fn leave(self) -> io::Result<Option<PathBuf>> {
        if fs::read_to_string(self.file()).is_ok_and(|text| text != self.written) {
            return Ok(Some(self.file()));
        }
        fs::remove_dir_all(&self.directory)?;
        Ok(None)
    }
}

/// Private, and never one that is there: in a directory that everybody may write to, it could be anybody's.
fn make_directory(parent: &Path) -> io::Result<PathBuf> {
    let names = (2..=DIRECTORIES_MAX).map(|number| format!("forebay-demo-{number}"));
    for name in std::iter::once("forebay-demo".to_owned()).chain(names) {
        let directory = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{} is full of demos; remove its forebay-demo-*", parent.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_reserved_port_refuses_until_somebody_listens() {
        let reserved = Reserved::port(0).unwrap();
        let refused = TcpStream::connect(reserved.address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        // As the standard library and the gateway do, with SO_REUSEADDR.
        let listener = TcpListener::bind(reserved.address).unwrap();
        assert!(TcpStream::connect(reserved.address).is_ok());
        let taken = Reserved::port(reserved.address.port()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
    }

    #[test]
    fn two_demos_share_nothing_and_leave_only_what_was_edited() {
        let scratch = std::env::temp_dir().join(format!("forebay-place-{}", std::process::id()));
        fs::create_dir(&scratch).unwrap();
        let address: SocketAddr = ([127, 0, 0, 1], 8080).into();
        let [first, second] =
            [(); 2].map(|()| Place::make(&scratch, address, [address].into_iter()).unwrap());
        assert_ne!(first.directory(), second.directory());
        let edited = second.file();
        fs::write(&edited, "[gateway]\n").unwrap();
        assert_eq!(first.leave().unwrap(), None);
        assert_eq!(second.leave().unwrap(), Some(edited));
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
        fs::remove_dir_all(scratch).unwrap();
    }
}
