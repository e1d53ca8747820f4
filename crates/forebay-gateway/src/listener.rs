//! Listening sockets. They do not depend on the number of cores: every core accepts from the same queue.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// Connections the kernel holds until a core takes them; it lowers this to its own limit.
const BACKLOG: i32 = 4096;

/// Why Forebay cannot listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another process has the port.
    #[error("{0} is in use by another process")]
    InUse(SocketAddr),
    /// Ports below 1024 and some addresses need privileges.
    #[error("listening on {0} is not permitted")]
    Denied(SocketAddr),
    /// This machine does not have the address.
    #[error("{0} is not an address of this machine")]
    NotHere(SocketAddr),
    /// Anything else.
    #[error("listening on {address} failed")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    /// What the kernel's answer means for this address.
    pub fn of(address: SocketAddr, source: io::Error) -> ListenError {
        match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address),
            io::ErrorKind::PermissionDenied => ListenError::Denied(address),
            io::ErrorKind::AddrNotAvailable => ListenError::NotHere(address),
            _ => ListenError::Other { address, source },
        }
    }

    /// Where it is that Forebay cannot listen.
    pub fn address(&self) -> SocketAddr {
        match self {
            ListenError::InUse(address) | ListenError::Denied(address) | ListenError::NotHere(address) => {
                *address
            }
            ListenError::Other { address, .. } => *address,
        }
    }

    /// What a person can do about it, who can change `setting`.
    pub fn help(&self, setting: &str) -> String {
        match self {
            // Of UDP too: DNS needs both.
            ListenError::InUse(address) => {
                format!(
                    "stop the other process (`ss -lntup sport = :{}` names it), or change {setting}",
                    address.port()
                )
            }
            ListenError::Denied(address) => {
                format!("use a port above 1023 instead of {}, or grant CAP_NET_BIND_SERVICE", address.port())
            }
            ListenError::NotHere(_) => {
                "use 0.0.0.0 for all addresses of this machine, or 127.0.0.1".to_owned()
            }
            ListenError::Other { .. } => format!("change {setting}"),
        }
    }
}

/// Listens. The port is this process's alone: without `SO_REUSEPORT` nobody else can share it, and nobody's
/// connections are lost when one of several sockets closes.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    bind(address).map_err(|source| ListenError::of(address, source))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Restarting must not wait for connections of the process before in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = listen(address).unwrap_err();
        assert_eq!(error.to_string(), format!("{address} is in use by another process"));
        let port = address.port();
        assert_eq!(
            error.help("`admin.listen`"),
            format!(
                "stop the other process (`ss -lntup sport = :{port}` names it), or change `admin.listen`"
            )
        );
    }
}
