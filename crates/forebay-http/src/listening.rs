//! Tells a listening socket that is broken from one that cannot accept at the moment: out of descriptors or memory, which
//! others give back, or a client that left before it was its turn. Accepts nothing.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::SockRef;
use thiserror::Error;

/// A listening socket that accepts nothing any more, and never will.
#[derive(Debug, Error)]
#[error("the socket that listens on {address} is broken")]
pub struct Broken {
    /// Where it listened.
    pub address: SocketAddr,
    /// What accepting failed with.
    #[source]
    pub source: io::Error,
}

impl Broken {
    /// What a failed accept means for its listener: `None` when it may well work in a moment. The kernel is asked whether
    /// the socket still listens, because errors that mean the one or the other are many, and differ between systems.
    pub fn of(listener: impl AsFd, address: SocketAddr, source: io::Error) -> Option<Broken> {
        let listens = SockRef::from(&listener).is_listener().unwrap_or(false);
        (!listens).then_some(Broken { address, source })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};

    use super::*;

    #[test]
    fn a_socket_that_was_shut_down_is_broken_and_one_without_descriptors_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let no_descriptors = || io::Error::from_raw_os_error(24);
        assert!(Broken::of(&listener, address, no_descriptors()).is_none());
        SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
        let source = listener.accept().unwrap_err();
        let broken = Broken::of(&listener, address, source).unwrap();
        assert_eq!(broken.to_string(), format!("the socket that listens on {address} is broken"));
    }
}
