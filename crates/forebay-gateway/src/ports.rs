//! The ports of services on loopback: opens what a plan asks for and says what the cores are to listen on. Accepting is
//! the cores' work.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use crate::listener::{ListenError, listen};
use crate::plan::Plan;
use crate::stage::Role;

/// A listening socket and what arrives there.
pub(crate) type Listening = (TcpListener, Role);

/// The open ports by service. They belong to the gateway as long as a configuration asks for them, so that cores come
/// and go without losing what the kernel has queued.
#[derive(Debug, Default)]
pub(crate) struct ServicePorts(BTreeMap<Arc<str>, Port>);

#[derive(Debug)]
struct Port {
    /// As written: 0 stays the same port from one configuration to the next.
    asked: u16,
    listener: TcpListener,
}

impl ServicePorts {
    /// The ports of another plan: those that stay, and fresh sockets for the others. Nothing is closed yet, so that a
    /// plan which cannot be had leaves everything as it is.
    pub(crate) fn prepare(&self, plan: &Plan) -> Result<ServicePorts, ListenError> {
        let mut ports = BTreeMap::new();
        for service in &plan.services {
            let Some(local) = service.local else { continue };
            let listener = match self.find(&service.name, local.port) {
                Some(open) => open.map_err(|source| {
                    let address = (Ipv4Addr::LOCALHOST, local.port).into();
                    ListenError::Other { address, source }
                })?,
                None => listen((Ipv4Addr::LOCALHOST, local.port).into())?,
            };
            ports.insert(service.name.clone(), Port { asked: local.port, listener });
        }
        Ok(ServicePorts(ports))
    }

    /// An open socket for that port: the service's own, or one that another service has given up.
    fn find(&self, service: &str, asked: u16) -> Option<io::Result<TcpListener>> {
        let own = self.0.get(service).filter(|port| port.asked == asked);
        let port = own.or_else(|| self.0.values().find(|port| asked != 0 && port.asked == asked))?;
        Some(port.listener.try_clone())
    }

    /// Whether the same services have the same ports.
    pub(crate) fn is_same(&self, other: &ServicePorts) -> bool {
        let asked = |ports: &ServicePorts| -> Vec<(Arc<str>, u16)> {
            ports.0.iter().map(|(service, port)| (service.clone(), port.asked)).collect()
        };
        asked(self) == asked(other)
    }

    /// A socket for one core on each port.
    pub(crate) fn share(&self) -> io::Result<Vec<Listening>> {
        let share = |(service, port): (&Arc<str>, &Port)| {
            Ok((port.listener.try_clone()?, Role::Service(service.clone())))
        };
        self.0.iter().map(share).collect()
    }

    /// Where a service's port is.
    pub(crate) fn address(&self, service: &str) -> Option<SocketAddr> {
        self.0.get(service)?.listener.local_addr().ok()
    }
}
