//! The demo's ports: free ones of this machine, which stay the demo's until its end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::INSTANCES;

/// Where people look for the gateway first.
const PORT_USUAL: u16 = 8080;

/// Where everybody listens, on loopback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) instances: [SocketAddr; INSTANCES],
}

/// All ports of a demo.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) addresses: Addresses,
    /// Held, so that nobody else takes the port of one that is dead for a moment.
    _reserved: [Reserved; INSTANCES + 2],
}

impl Ports {
    /// `gateway` is the gateway's port, 0 for any free one; without it the usual one, or any free one. The others
    /// are any free ones: a real Forebay on this machine has the usual one of the admin listener.
    pub(crate) fn reserve(gateway: Option<u16>) -> io::Result<Ports> {
        let gateway = match gateway {
            Some(port) => Reserved::port(port)?,
            None => Reserved::port(PORT_USUAL).or_else(|_| Reserved::port(0))?,
        };
        let reserved =
            [gateway, Reserved::port(0)?, Reserved::port(0)?, Reserved::port(0)?, Reserved::port(0)?];
        let [gateway, admin, instances @ ..] = reserved.each_ref().map(|reserved| reserved.address);
        Ok(Ports { addresses: Addresses { gateway, admin, instances }, _reserved: reserved })
    }
}

/// A port that is ours while nobody listens on it: bound, but not listening. A connection to it is refused at once, as
/// that to a dead service should be, and the kernel gives the port to nobody else. Whoever listens sets `SO_REUSEADDR`.
#[derive(Debug)]
struct Reserved {
    address: SocketAddr,
    _socket: Socket,
}

impl Reserved {
    fn port(port: u16) -> io::Result<Reserved> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        // A given port may have connections of an earlier demo in TIME_WAIT; any free one must be free.
        socket.set_reuse_address(port != 0)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        socket.set_reuse_address(true)?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| io::Error::other("a socket has no address"))?;
        Ok(Reserved { address, _socket: socket })
    }
}

#[cfg(test)]
impl Addresses {
    pub(crate) const EXAMPLE: Addresses = {
        const fn local(port: u16) -> SocketAddr {
            SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
        }
        Addresses {
            gateway: local(8080),
            admin: local(40000),
            instances: [local(40001), local(40002), local(40003)],
        }
    };
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
}
