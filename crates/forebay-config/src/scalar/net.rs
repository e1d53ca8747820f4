//! Addresses to listen on and networks to trust, as `std` and `ipnet` have them. Names are never looked up:
//! what a name means may change after the configuration was checked.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::value::Value;

fn socket_address(text: &str) -> Result<SocketAddr, Problem> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.parse::<IpAddr>().is_ok() {
        let help = if text.contains(':') {
            format!("write \"[{text}]:8080\"")
        } else {
            format!("write \"{text}:8080\"")
        };
        return Err(Problem::new("has no port").help(help));
    }
    let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) else {
        return Err(Problem::new("is not an IP address with a port"));
    };
    if host.is_empty() {
        let help = format!(
            "write \"127.0.0.1:{port}\" for this machine only, or \"0.0.0.0:{port}\" for every network"
        );
        return Err(Problem::new("does not say which address").help(help));
    }
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(
            Problem::new("has an IPv6 address without brackets").help(format!("write \"[{host}]:{port}\""))
        );
    }
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let clause = if numeric { "has no valid IP address" } else { "has a name where an IP address belongs" };
    let problem = Problem::new(clause);
    Err(if host == "localhost" { problem.help(format!("write \"127.0.0.1:{port}\"")) } else { problem })
}

fn network(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text.parse().map_err(|_| Problem::new("is none"))?;
    if network.addr() != network.network() {
        let problem = Problem::new(format!("has address bits beyond its /{}", network.prefix_len()));
        return Err(problem.help(format!(
            "write \"{}\", or \"{}\" for the one address",
            network.trunc(),
            network.addr()
        )));
    }
    Ok(network)
}

fn address(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| Problem::new("is none"))
}

impl Value for SocketAddr {
    const SHAPE: Shape = Shape::text("an IP address with a port", "\"127.0.0.1:8080\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, socket_address)
    }
}

impl Value for IpAddr {
    const SHAPE: Shape = Shape::text("an IP address", "\"127.0.0.1\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, address)
    }
}

/// A single address is the network of itself alone.
impl Value for IpNet {
    const SHAPE: Shape = Shape::text("an IP network", "\"10.0.0.0/8\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_address(text: &str, expected: Result<&str, &str>) {
        let parsed =
            socket_address(text).map(|address| address.to_string()).map_err(|problem| problem.clause);
        assert_eq!(parsed, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn an_address_names_the_interface_and_the_port() {
        check_address("127.0.0.1:8080", Ok("127.0.0.1:8080"));
        check_address("[::1]:8080", Ok("[::1]:8080"));
        check_address(":8080", Err("does not say which address"));
        check_address("127.0.0.1", Err("has no port"));
        check_address("::1", Err("has no port"));
        check_address("localhost:8080", Err("has a name where an IP address belongs"));
        check_address("127.0.0.300:8080", Err("has no valid IP address"));
        check_address("127.0.0.1:99999", Err("is not an IP address with a port"));
        check_address("", Err("is not an IP address with a port"));
    }

    #[track_caller]
    fn check_network(text: &str, expected: Result<&str, &str>) {
        let parsed = network(text).map(|network| network.to_string()).map_err(|problem| problem.clause);
        assert_eq!(parsed, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn a_network_has_no_stray_bits() {
        check_network("10.0.0.0/8", Ok("10.0.0.0/8"));
        check_network("127.0.0.1", Ok("127.0.0.1/32"));
        check_network("fe80::/10", Ok("fe80::/10"));
        check_network("10.0.0.1/8", Err("has address bits beyond its /8"));
        check_network("10/8", Err("is none"));
    }
}
