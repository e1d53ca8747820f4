//! The `[registry]` section. Refuses every address but loopback for its HTTP API until that can tell who is asking, and
//! public ones for DNS, which never can.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forebay_config::{Check, FilePath, Settings, Spanned};

/// Which instances of which services run where: Consul's HTTP API and DNS for those who ask. Runs when this section is
/// there, or a service's endpoints say `registry`.
#[derive(Clone, Debug, PartialEq, Eq, Settings)]
#[settings(check = RegistrySettings::check)]
pub struct RegistrySettings {
    /// Where the registry's HTTP API is found, Consul's and Forebay's own. Loopback only; port 0 takes any free port.
    #[setting(default = "127.0.0.1:8500", restart)]
    pub listen: SocketAddr,
    /// Where questions in DNS are answered, by UDP and TCP: on loopback or in a private network; port 0 takes any free port.
    #[setting(default = "127.0.0.1:8600", restart)]
    pub dns: SocketAddr,
    /// Below which name: `orders.service.consul`.
    #[setting(default = "consul", min_length = 1, max_length = 128, restart)]
    pub domain: String,
    /// The datacenter's name, in names and answers. Every node of one store has the same.
    #[setting(default = "dc1", min_length = 1, max_length = 63, restart)]
    pub datacenter: String,
    /// This node's name, unique among those that share a store. The machine's host name when not given.
    #[setting(min_length = 1, max_length = 63, restart)]
    pub node: Option<String>,
    /// This node's own address, as other machines reach it: where instances are that registered without one.
    #[setting(default = "127.0.0.1", restart)]
    pub address: IpAddr,
    /// How long answers in DNS may be kept.
    #[setting(default = "0s", max = "1h", restart)]
    pub dns_ttl: Duration,
    /// Whether answers in DNS leave out instances with a check that warns, as Consul's `only_passing`.
    #[setting(default = false, restart)]
    pub dns_only_passing: bool,
    /// How Forebay asks what the checks of instances name.
    pub checks: CheckSettings,
}

/// How Forebay asks what the checks of instances name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Settings)]
pub struct CheckSettings {
    /// PEM file of trusted roots for `https://`, instead of the system's.
    pub roots: Option<Spanned<FilePath>>,
}

impl Default for RegistrySettings {
    /// What holds where a service's endpoints say `registry` and nothing else is written.
    fn default() -> RegistrySettings {
        RegistrySettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8500)),
            dns: SocketAddr::from(([127, 0, 0, 1], 8600)),
            domain: "consul".into(),
            datacenter: "dc1".into(),
            node: None,
            address: IpAddr::from([127, 0, 0, 1]),
            dns_ttl: Duration::ZERO,
            dns_only_passing: false,
            checks: CheckSettings::default(),
        }
    }
}

impl RegistrySettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        let is_label = |text: &str| {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !text.is_empty() && text.len() <= 63 && text.bytes().all(is_word)
        };
        if !self.listen.ip().to_canonical().is_loopback() {
            let port = self.listen.port();
            check
                .error("listen", format!("`listen` is {}, which is not a loopback address", self.listen))
                .note("whoever reaches the registry decides where requests go, and it has no tokens yet")
                .help(format!("write \"127.0.0.1:{port}\"; every machine runs its own Forebay, which shares through [store]"));
        }
        if !is_private(self.dns.ip()) {
            let port = self.dns.port();
            check
                .error("dns", format!("`dns` is {}, which is neither on loopback nor in a private network", self.dns))
                .note("DNS cannot tell who is asking: strangers would learn what runs here, and could have answers sent to others")
                .help(format!("write \"127.0.0.1:{port}\", or this machine's address in a private network"));
        }
        if !self.domain.trim_end_matches('.').split('.').all(is_label) {
            check
                .error("domain", format!("`domain` is {:?}, which is no name in DNS", self.domain))
                .note("services are found below it, as in orders.service.consul")
                .help("use letters, digits and hyphens, with dots between");
        }
        for (key, value) in [("datacenter", Some(&self.datacenter)), ("node", self.node.as_ref())] {
            if value.is_some_and(|value| !is_label(value)) {
                check
                    .error(key, format!("`{key}` is no label in DNS"))
                    .note("it is part of names in DNS, as in web-1.node.dc1.consul")
                    .help("use letters, digits, hyphens and underscores, 63 at most");
            }
        }
        if self.address.is_unspecified() {
            check
                .error("address", format!("`address` is {}, to which nobody can connect", self.address))
                .note("instances that register without an address are told to be there")
                .help("write the address of this machine that others reach");
        }
    }
}

/// Loopback, link-local, and what RFC 1918, RFC 6598 and RFC 4193 set aside.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use forebay_config::{Inputs, check_declarations, load};

    use super::*;

    /// The whole file.
    #[derive(Debug, Settings)]
    struct Root {
        /// The registry.
        registry: Option<RegistrySettings>,
    }

    fn read(file: &str) -> Result<Option<RegistrySettings>, String> {
        let files = |_: &Path| Ok(file.as_bytes().to_vec());
        let loaded =
            load::<Root>(Inputs { file: Some("forebay.toml".into()), files: &files, ..Inputs::default() });
        loaded.map(|loaded| loaded.value.registry).map_err(|diagnostics| diagnostics.to_string())
    }

    #[test]
    fn it_is_there_when_it_is_written() {
        assert_eq!(check_declarations::<Root>(), Vec::<String>::new());
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("[registry]\n"), Ok(Some(RegistrySettings::default())));
    }

    #[test]
    fn names_may_be_asked_for_in_a_private_network() {
        for address in ["10.1.2.3:53", "172.17.0.1:53", "100.64.0.1:53", "[fd00::1]:53", "127.0.0.53:53"] {
            assert!(read(&format!("[registry]\ndns = '{address}'\n")).is_ok(), "{address}");
        }
    }

    #[test]
    fn what_nobody_could_reach_or_anybody_could_is_refused() {
        for (line, words) in [
            ("listen = '0.0.0.0:8500'", "not a loopback address"),
            ("dns = '0.0.0.0:8600'", "neither on loopback nor in a private network"),
            ("dns = '[2001:db8::1]:8600'", "neither on loopback nor in a private network"),
            ("dns = '203.0.113.7:8600'", "neither on loopback nor in a private network"),
            ("domain = 'con sul'", "no name in DNS"),
            ("datacenter = 'a.b'", "no label in DNS"),
            ("node = 'a b'", "no label in DNS"),
            ("address = '0.0.0.0'", "nobody can connect"),
        ] {
            let error = read(&format!("[registry]\n{line}\n")).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
