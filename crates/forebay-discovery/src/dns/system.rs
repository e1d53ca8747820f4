//! What the machine's files say about names: `/etc/hosts` and `/etc/resolv.conf`. Follows glibc where it differs
//! from others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::host::HostName;

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
const DNS_PORT: u16 = 53;
/// glibc's `MAXNS`: more servers than this are not asked.
const SERVERS_MAX: usize = 3;
/// glibc's upper bounds, which keep a lookup finite whatever the file says; the timeout is smaller than its 30 s
/// since nothing of ours waits that long.
const TIMEOUT_MAX_S: u32 = 5;
const ATTEMPTS_MAX: u32 = 5;
const NDOTS_MAX: u32 = 15;
/// Search domains tried for one name; each costs a round of questions.
const SEARCH_MAX: usize = 6;
/// For servers given in Forebay's own configuration, where nobody sets these: a live server answers in far less.
const FIXED_TIMEOUT: Duration = Duration::from_secs(2);
const FIXED_ATTEMPTS: u32 = 2;

/// Whom to ask, how patiently, and what is known already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct System {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    search: Vec<HostName>,
    ndots: usize,
    hosts: String,
}

impl System {
    /// Reads the machine's files. One that cannot be read says nothing, as in glibc.
    pub(super) fn read() -> System {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        System::parse(&read(RESOLV_CONF), read(HOSTS))
    }

    /// These servers and no files.
    pub(super) fn fixed(servers: Vec<SocketAddr>) -> System {
        System {
            servers,
            timeout: FIXED_TIMEOUT,
            attempts: FIXED_ATTEMPTS,
            search: Vec::new(),
            ndots: 0,
            hosts: String::new(),
        }
    }

    fn parse(resolv_conf: &str, hosts: String) -> System {
        // Lines that make no sense are skipped.
        let (config, _) = resolv_conf::Config::parse_with_errors(resolv_conf.as_bytes());
        let mut servers: Vec<SocketAddr> = config
            .nameservers
            .iter()
            .map(|ip| SocketAddr::new(ip.into(), DNS_PORT))
            .take(SERVERS_MAX)
            .collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
        }
        let search = config.get_last_search_or_domain().filter_map(|domain| HostName::parse(domain).ok());
        System {
            servers,
            timeout: Duration::from_secs(config.timeout.clamp(1, TIMEOUT_MAX_S).into()),
            attempts: config.attempts.clamp(1, ATTEMPTS_MAX),
            search: search.take(SEARCH_MAX).collect(),
            ndots: config.ndots.min(NDOTS_MAX) as usize,
            hosts,
        }
    }

    /// Addresses from the hosts file, and loopback for `localhost` (RFC 6761 section 6.3).
    pub(super) fn known_without_asking(&self, name: &HostName) -> Option<Vec<IpAddr>> {
        let name = name.without_root();
        let listed: Vec<IpAddr> = self.hosts.lines().filter_map(|line| hosts_line(line, name)).collect();
        if !listed.is_empty() {
            return Some(listed);
        }
        let local = name == "localhost" || name.ends_with(".localhost");
        // Both: some servers that bind to "localhost" take the one, some the other. Health checks find out.
        local.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    /// The absolute names to ask for, in order (resolv.conf(5), `search` and `ndots`).
    pub(super) fn candidates(&self, name: &HostName) -> Vec<HostName> {
        let join = |domain: &HostName| HostName::parse(&format!("{name}.{domain}")).ok();
        let searched = self.search.iter().filter(|_| !name.is_absolute()).filter_map(join);
        let mut candidates: Vec<HostName> = searched.collect();
        let first = name.dots() >= self.ndots;
        candidates.insert(if first { 0 } else { candidates.len() }, name.clone());
        candidates
    }
}

/// The address of a line of the hosts file that lists `name`, which is lower case.
fn hosts_line(line: &str, name: &str) -> Option<IpAddr> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let ip = words.next()?.parse().ok()?;
    words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn resolv_conf_is_read_within_bounds() {
        let system = System::parse(
            "nameserver 10.0.0.2\nnameserver ::1\nnonsense here\nsearch a.example b.example\noptions ndots:2 timeout:60 attempts:1\n",
            String::new(),
        );
        assert_eq!(system.servers, ["10.0.0.2:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert_eq!((system.timeout, system.attempts), (Duration::from_secs(5), 1));
        assert_eq!(
            system.candidates(&host("orders")),
            ["orders.a.example", "orders.b.example", "orders"].map(host)
        );
        assert_eq!(
            system.candidates(&host("x.orders.internal")),
            ["x.orders.internal", "x.orders.internal.a.example", "x.orders.internal.b.example"].map(host)
        );
        assert_eq!(system.candidates(&host("orders.")), [host("orders.")]);
    }

    #[test]
    fn without_files_the_local_server_is_asked() {
        let system = System::parse("", String::new());
        assert_eq!(system.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(system.candidates(&host("orders")), [host("orders")]);
    }

    #[test]
    fn the_hosts_file_comes_before_dns_and_localhost_needs_neither() {
        fn check(hosts: &str, name: &str, expected: Option<&[&str]>) {
            let seen = System::parse("", hosts.to_owned()).known_without_asking(&host(name));
            let expected =
                expected.map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>());
            assert_eq!(seen, expected, "{name}");
        }
        let hosts =
            "10.0.0.1\torders Orders.Internal # orders2\n10.0.0.2 orders\nfe80::1%lo0 link\n# 10.0.0.3 off\n";
        check(hosts, "orders", Some(&["10.0.0.1", "10.0.0.2"]));
        check(hosts, "ORDERS.internal.", Some(&["10.0.0.1"]));
        check(hosts, "orders2", None);
        check(hosts, "off", None);
        check(hosts, "link", None);
        check("", "localhost", Some(&["127.0.0.1", "::1"]));
        check("", "app.localhost", Some(&["127.0.0.1", "::1"]));
        check("127.0.0.1 localhost", "localhost", Some(&["127.0.0.1"]));
    }
}
