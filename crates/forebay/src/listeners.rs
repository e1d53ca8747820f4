//! Which listeners a configuration has. Finds those that cannot be opened, those that want the same port and those that a
//! service leads back to, before anything is opened, and says of a port that cannot be had which setting asked for it. Opens
//! none: what other processes hold is found when it is bound.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use forebay_config::{Check, Node, Origin};
use forebay_discovery::Place;
use forebay_registry::RegistrySettings;

use crate::root::Root;

/// A listener as it is configured.
pub(crate) struct Listener {
    /// The setting, through its tables.
    path: Vec<String>,
    address: SocketAddr,
    /// Its place, where the setting is a list.
    number: usize,
}

/// Reports what is wrong with listeners, by themselves and among each other.
pub(crate) fn check(root: &Root, check: &mut Check<'_, '_>) {
    let listeners = of(root);
    check_addresses(&listeners, check);
    check_clashes(&listeners, check);
    check_circles(root, &listeners, check);
}

/// An address that is the same on every network of the machine means none of them.
fn check_addresses(listeners: &[Listener], check: &mut Check<'_, '_>) {
    for listener in listeners {
        let SocketAddr::V6(address) = listener.address else { continue };
        if address.ip().is_unicast_link_local() && address.scope_id() == 0 {
            let origin = listener.origin(check).unwrap_or(Origin::DEFAULT);
            let (key, ip, port) = (listener.key(), address.ip(), address.port());
            check
                .error_at(
                    origin,
                    format!("`{key}` is {address}, an address that each network has for itself"),
                )
                .note("without a network the system does not know where to listen")
                .help(format!(
                    "name the interface by its number, as in [{ip}%2]:{port} (`ip link` shows it)"
                ));
        }
    }
}

/// Every listener whose port another one has already.
fn check_clashes(listeners: &[Listener], check: &mut Check<'_, '_>) {
    for (number, listener) in listeners.iter().enumerate() {
        let Some(other) = listeners[..number].iter().find(|other| clash(other.address, listener.address))
        else {
            continue;
        };
        // Told where somebody can change it.
        let (told, other) =
            if listener.origin(check).is_some() { (listener, other) } else { (other, listener) };
        let place = other
            .origin(check)
            .map_or_else(|| "the default".to_owned(), |origin| check.place(origin).to_string());
        let origin = told.origin(check).unwrap_or(Origin::DEFAULT);
        check
            .error_at(
                origin,
                format!("`{}` is {}, which `{}` has already", told.key(), told.address, other.key()),
            )
            .note(format!("each port has one listener; the other is {} from {place}", other.address))
            .help("choose another port for one of the two, or 0 for any that is free");
    }
}

/// Services that are reached where their own requests come in.
fn check_circles(root: &Root, listeners: &[Listener], check: &mut Check<'_, '_>) {
    for (name, settings) in &root.service {
        for (number, source) in settings.discovery.endpoints.iter().enumerate() {
            let Place::Address(address) = source.place else { continue };
            let path = ["service", name.as_str(), "endpoints"];
            let leads_here = |listener: &&Listener| {
                let is_entrance = listener.path[0] == "gateway" || listener.path[..2] == path[..2];
                is_entrance && reaches(address, listener.address)
            };
            let Some(entrance) = listeners.iter().find(leads_here) else { continue };
            let origin = written(&path, number, check).unwrap_or(Origin::DEFAULT);
            check
                .warning_at(
                    origin,
                    format!("`{}` has {address}, where `{}` takes requests", path.join("."), entrance.key()),
                )
                .note(
                    "a request to it comes back as another one, again and again, until its head is too large",
                )
                .help("write the port on which the service itself listens");
        }
    }
}

/// The listener that has this address, as written.
pub(crate) fn at(root: &Root, address: SocketAddr) -> Option<Listener> {
    of(root).into_iter().find(|listener| listener.address == address)
}

/// The listener that is open since the process was started like this, and leaves no room for one at this address. Ports of
/// services come and go with reloads and are none of these.
pub(crate) fn in_the_way(started: &Root, address: SocketAddr) -> Option<Listener> {
    of(started).into_iter().find(|listener| !listener.is_local() && clash(listener.address, address))
}

fn of(root: &Root) -> Vec<Listener> {
    let listener = |path: &[&str], address, number| {
        let path = path.iter().map(|&part| part.to_owned()).collect();
        Listener { path, address, number }
    };
    let front = root.gateway.listen.iter().enumerate();
    let mut listeners: Vec<Listener> =
        front.map(|(number, address)| listener(&["gateway", "listen"], *address, number)).collect();
    listeners.push(listener(&["admin", "listen"], root.admin.listen, 0));
    if let Some(registry) = registry(root) {
        listeners.push(listener(&["registry", "listen"], registry.listen, 0));
        listeners.push(listener(&["registry", "dns"], registry.dns, 0));
    }
    for (name, settings) in &root.service {
        let Some(port) = &settings.local_port else { continue };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.value));
        listeners.push(listener(&["service", name.as_str(), "local_port"], address, 0));
    }
    listeners
}

impl Listener {
    /// The setting's name.
    pub(crate) fn key(&self) -> String {
        self.path.join(".")
    }

    fn is_local(&self) -> bool {
        self.path[0] == "service"
    }

    /// Where it was written; nowhere, where a default stands.
    fn origin(&self, check: &Check<'_, '_>) -> Option<Origin> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        written(&path, self.number, check)
    }
}

/// Where a setting was written, or one of those that are a list of it.
fn written(path: &[&str], number: usize, check: &Check<'_, '_>) -> Option<Origin> {
    let written = check.node(path)?;
    Some(written.as_list().and_then(|list| list.get(number)).map_or(written.origin(), Node::origin))
}

/// The registry that will run: the one that is written, or the default one that a service asks for.
fn registry(root: &Root) -> Option<RegistrySettings> {
    let asks = |settings: &forebay_gateway::settings::ServiceSettings| {
        let mut endpoints = settings.discovery.endpoints.iter();
        endpoints.any(|source| matches!(source.place, Place::Registry { .. }))
    };
    match &root.registry {
        Some(registry) => Some(registry.clone()),
        None => root.service.values().any(asks).then(RegistrySettings::default),
    }
}

/// Whether the kernel gives only one of two listeners its port.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() != 0 && one.port() == other.port() && (covers(ip, other_ip) || covers(other_ip, ip))
}

/// Whether who connects to an address reaches this listener for certain: another machine may have the same port.
fn reaches(address: SocketAddr, listener: SocketAddr) -> bool {
    let (ip, listens) = (address.ip().to_canonical(), listener.ip().to_canonical());
    address.port() == listener.port() && (ip == listens || ip.is_loopback() && covers(listens, ip))
}

/// Whether who listens on one address listens on the other. `[::]` takes IPv4 as well.
fn covers(one: IpAddr, other: IpAddr) -> bool {
    match one {
        IpAddr::V4(one) => one.is_unspecified() && other.is_ipv4() || IpAddr::V4(one) == other,
        IpAddr::V6(one) => one.is_unspecified() || IpAddr::V6(one) == other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use forebay_config::{Inputs, load};

    use super::*;

    #[track_caller]
    fn check(file: &str, expected: Result<(), &str>) {
        let read = |_: &Path| Ok(file.as_bytes().to_vec());
        let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
        let found = load::<Root>(inputs).map(drop).map_err(|diagnostics| diagnostics.to_string());
        assert_eq!(found, expected.map_err(|text| text.trim_end().to_owned()), "{file}");
    }

    #[track_caller]
    fn clashes(file: &str, expected: &[&str]) {
        let read = |_: &Path| Ok(file.as_bytes().to_vec());
        let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
        let found =
            load::<Root>(inputs).map(drop).map_err(|diagnostics| diagnostics.to_string()).unwrap_err();
        let found: Vec<&str> = found.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
        assert_eq!(found, expected, "{file}");
    }

    #[test]
    fn both_lines_are_named() {
        check(
            "[gateway]\nlisten = \"127.0.0.1:8500\"\n[registry]\nlisten = \"127.0.0.1:8500\"\n",
            Err(include_str!("listeners.golden")),
        );
    }

    #[test]
    fn any_two_listeners_may_clash() {
        clashes(
            "[gateway]\nlisten = \"0.0.0.0:9180\"\n",
            &["`gateway.listen` is 0.0.0.0:9180, which `admin.listen` has already"],
        );
        clashes(
            "[gateway]\nlisten = [\"127.0.0.1:1\", \"[::]:8600\"]\n[registry]\n",
            &["`gateway.listen` is [::]:8600, which `registry.dns` has already"],
        );
        // No table says so, and a registry runs.
        clashes(
            "[gateway]\nlisten = \"127.0.0.1:8500\"\n[service.a]\nendpoints = \"registry\"\n",
            &["`gateway.listen` is 127.0.0.1:8500, which `registry.listen` has already"],
        );
        clashes(
            "[registry]\ndns = \"127.0.0.1:7001\"\n[service.a]\nendpoints = \"127.0.0.1:1\"\nlocal_port = 7001\n\
             [service.b]\nendpoints = \"127.0.0.1:1\"\nlocal_port = 7002\n\
             [service.c]\nendpoints = \"127.0.0.1:1\"\nlocal_port = 7002\n",
            &[
                "`service.a.local_port` is 127.0.0.1:7001, which `registry.dns` has already",
                "`service.c.local_port` is 127.0.0.1:7002, which `service.b.local_port` has already",
            ],
        );
        clashes(
            "[registry]\nlisten = \"127.0.0.1:7001\"\ndns = \"127.0.0.1:7001\"\n[gateway]\nlisten = [\"127.0.0.1:2\", \"127.0.0.1:2\"]\n",
            &[
                "`registry.dns` is 127.0.0.1:7001, which `registry.listen` has already",
                "`gateway.listen` is 127.0.0.1:2, which `gateway.listen` has already",
            ],
        );
    }

    #[test]
    fn an_address_of_one_network_needs_to_say_which() {
        clashes(
            "[gateway]\nlisten = [\"[fe80::1%3]:80\", \"[fe80::1]:81\"]\n",
            &["`gateway.listen` is [fe80::1]:81, an address that each network has for itself"],
        );
    }

    #[test]
    fn a_service_that_leads_back_to_where_its_requests_come_from_is_told() {
        let warnings = |listen: &str, service: &str| {
            let file = format!("[gateway]\nlisten = \"{listen}\"\n[service.a]\n{service}\n");
            let read = |_: &Path| Ok(file.as_bytes().to_vec());
            let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
            load::<Root>(inputs).unwrap().warnings.to_string()
        };
        assert_eq!(
            warnings("127.0.0.1:80", "endpoints = [\"127.0.0.1:81\", \"127.0.0.1:80\"]"),
            include_str!("listeners_circle.golden").trim_end()
        );
        let own = "endpoints = \"127.0.0.1:82\"\nlocal_port = 82";
        assert!(warnings("127.0.0.1:80", own).contains("where `service.a.local_port` takes requests"));
        assert!(warnings("[::]:80", "endpoints = \"127.0.0.1:80\"").contains("`gateway.listen`"));
        // Another machine's.
        assert_eq!(warnings("0.0.0.0:80", "endpoints = \"10.0.0.9:80\""), "");
        assert_eq!(warnings("10.0.0.8:80", "endpoints = \"127.0.0.1:80\""), "");
    }

    #[test]
    fn other_addresses_and_ports_that_the_kernel_chooses_do_not() {
        check(
            "[gateway]\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            Ok(()),
        );
        check("[gateway]\nlisten = \"10.0.0.1:9180\"\n", Ok(()));
        check("[gateway]\nlisten = [\"[::1]:80\", \"127.0.0.1:80\", \"0.0.0.0:81\", \"[::1]:81\"]\n", Ok(()));
        // Nothing finds its endpoints in a registry, so none runs.
        check("[gateway]\nlisten = \"127.0.0.1:8500\"\n", Ok(()));
    }
}
