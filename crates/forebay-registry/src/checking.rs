//! What may be registered. Refuses what could not be told to anybody, and what would grow without end.

use std::net::IpAddr;
use std::time::Duration;

use forebay_config::is_token;

use crate::check::{CheckKind, CheckSpec};
use crate::instance::Registration;
use crate::refusal::Refusal;

/// Names of services and nodes: the longest name DNS can hold is shorter.
pub const NAME_BYTES_MAX: usize = 255;
/// Ids of instances and checks: a name with room for a host, a port and a prefix.
pub const ID_BYTES_MAX: usize = 512;
/// What a node vouches for: far beyond what runs on one machine, and still listed in tens of milliseconds.
pub const INSTANCES_MAX: usize = 10_000;
/// Checks of one instance, or of the node itself: each is asked and listed.
pub const CHECKS_MAX: usize = 64;
/// Tags of one instance; Consul knows no limit, and nobody has so many.
pub const TAGS_MAX: usize = 128;
/// One tag.
pub const TAG_BYTES_MAX: usize = 255;
/// Pairs of metadata, and their sizes: as Consul limits them.
pub const META_MAX: usize = 64;
/// A key of metadata.
pub const META_KEY_BYTES_MAX: usize = 128;
/// A value of metadata.
pub const META_VALUE_BYTES_MAX: usize = 512;
/// Networks in which an instance says where it is: Consul's own names are six.
pub const TAGGED_ADDRESSES_MAX: usize = 16;
/// Ids of checks that stand for something else than a registration: two of one id would speak for each other.
const OWN_CHECKS: [&str; 2] = ["serfHealth", "_node_maintenance"];
/// The same of instances, up to the instance's id.
const OWN_CHECKS_OF_INSTANCES: [&str; 2] = ["_service_maintenance:", "_forebay_state:"];
/// A weight: as Consul limits it.
pub const WEIGHT_MAX: u32 = 65_535;
/// Names and notes of checks, for people.
pub const WORDS_BYTES_MAX: usize = 1024;
/// A URL that a check asks.
pub const URL_BYTES_MAX: usize = 2048;
/// Header fields of a check's request, and bytes of them all.
pub const HEADERS_MAX: usize = 32;
/// See [`HEADERS_MAX`]; no server takes much more.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;
/// Body of a check's request.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Between two probes of one check, at least: ten a second find out anything soon enough.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest time that a check may name: beyond it, it would check nothing.
pub const TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Whether this may be registered, all checks included.
pub(crate) fn check_registration(registration: &Registration) -> Result<(), Refusal> {
    check_name("Name", &registration.service, NAME_BYTES_MAX)?;
    if let Some(id) = &registration.id {
        check_name("ID", id, ID_BYTES_MAX)?;
    }
    check_address("Address", &registration.address)?;
    if registration.tagged_addresses.len() > TAGGED_ADDRESSES_MAX {
        return Err(too_many("TaggedAddresses", TAGGED_ADDRESSES_MAX));
    }
    for (tag, tagged) in &registration.tagged_addresses {
        if tag.trim().is_empty() {
            return Err(Refusal::invalid("TaggedAddresses", "has an address without a tag"));
        }
        check_words("TaggedAddresses", tag, TAG_BYTES_MAX)?;
        check_address("TaggedAddresses", &tagged.address)?;
    }
    let tags = &registration.tags;
    if tags.len() > TAGS_MAX {
        return Err(too_many("Tags", TAGS_MAX));
    }
    tags.iter().try_for_each(|tag| check_words("Tags", tag, TAG_BYTES_MAX))?;
    check_meta(registration.meta.iter().map(|(key, value)| (&**key, &**value)))?;
    let weights = registration.weights;
    if weights.passing == 0 {
        return Err(Refusal::invalid("Weights.Passing", "must be greater than 0"));
    }
    if weights.passing.max(weights.warning) > WEIGHT_MAX {
        return Err(Refusal::invalid("Weights", format!("must not be greater than {WEIGHT_MAX}")));
    }
    if registration.checks.len() > CHECKS_MAX {
        return Err(Refusal::TooMany { what: "checks of an instance", max: CHECKS_MAX });
    }
    registration.checks.iter().try_for_each(check_spec)
}

/// Whether this metadata may be kept.
pub(crate) fn check_meta<'m>(meta: impl ExactSizeIterator<Item = (&'m str, &'m str)>) -> Result<(), Refusal> {
    if meta.len() > META_MAX {
        return Err(too_many("Meta", META_MAX));
    }
    for (key, value) in meta {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if key.is_empty() || key.len() > META_KEY_BYTES_MAX || !key.bytes().all(is_word) {
            let why = format!("has a key that is not 1 to {META_KEY_BYTES_MAX} letters, digits, - and _");
            return Err(Refusal::invalid("Meta", why));
        }
        if value.len() > META_VALUE_BYTES_MAX {
            let why = format!("has a value of {key} longer than {META_VALUE_BYTES_MAX} bytes");
            return Err(Refusal::invalid("Meta", why));
        }
    }
    Ok(())
}

/// Whether this check may be registered.
pub(crate) fn check_spec(spec: &CheckSpec) -> Result<(), Refusal> {
    if let Some(id) = &spec.id {
        check_name("CheckID", id, ID_BYTES_MAX)?;
        if OWN_CHECKS.contains(&&**id) || OWN_CHECKS_OF_INSTANCES.iter().any(|own| id.starts_with(own)) {
            return Err(Refusal::invalid(
                "CheckID",
                format!("{id:?} is that of a check which the registry makes itself"),
            ));
        }
    }
    check_words("Name", &spec.name, WORDS_BYTES_MAX)?;
    if spec.notes.len() > WORDS_BYTES_MAX {
        return Err(too_long("Notes", WORDS_BYTES_MAX));
    }
    if let Some(after) = spec.deregister_after {
        check_time("DeregisterCriticalServiceAfter", after, Duration::from_millis(1))?;
    }
    match &spec.kind {
        CheckKind::Ttl(ttl) => check_time("TTL", *ttl, Duration::from_millis(1)),
        CheckKind::Http(http) => {
            check_address("TLSServerName", &http.tls_server_name)?;
            check_time("Interval", http.interval, INTERVAL_MIN)?;
            check_time("Timeout", http.timeout, Duration::from_millis(1))?;
            check_url(&http.url)?;
            if http.method.len() > 32 || !is_token(&http.method) {
                return Err(Refusal::invalid("Method", "is no method of HTTP"));
            }
            check_header(
                http.header
                    .iter()
                    .flat_map(|(name, values)| values.iter().map(move |value| (&**name, &**value))),
            )?;
            if http.body.len() > BODY_BYTES_MAX {
                return Err(too_long("Body", BODY_BYTES_MAX));
            }
            Ok(())
        }
        CheckKind::Tcp(tcp) => {
            check_time("Interval", tcp.interval, INTERVAL_MIN)?;
            check_time("Timeout", tcp.timeout, Duration::from_millis(1))?;
            split_host_port(&tcp.address)
                .map(drop)
                .ok_or_else(|| Refusal::invalid("TCP", "is not an address and a port, as in 127.0.0.1:5432"))
        }
    }
}

fn check_name(field: &'static str, name: &str, bytes_max: usize) -> Result<(), Refusal> {
    if name.trim().is_empty() {
        return Err(Refusal::invalid(field, "is missing"));
    }
    check_words(field, name, bytes_max)
}

fn check_words(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.len() > bytes_max {
        return Err(too_long(field, bytes_max));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::invalid(field, "has a control character"));
    }
    Ok(())
}

/// What one registration has too many of is for its sender to leave out: nothing that is deregistered makes room.
fn too_many(field: &'static str, max: usize) -> Refusal {
    Refusal::invalid(field, format!("has more than {max}"))
}

fn too_long(field: &'static str, bytes_max: usize) -> Refusal {
    Refusal::invalid(field, format!("is longer than {bytes_max} bytes"))
}

fn check_time(field: &'static str, time: Duration, min: Duration) -> Result<(), Refusal> {
    if time < min {
        return Err(Refusal::invalid(field, format!("must be at least {min:?}")));
    }
    if time > TIME_MAX {
        return Err(Refusal::invalid(field, "must not be longer than 30 days"));
    }
    Ok(())
}

/// An IP address or a host's name, or nothing for the node's.
fn check_address(field: &'static str, address: &str) -> Result<(), Refusal> {
    check_words(field, address, NAME_BYTES_MAX)?;
    if address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_unspecified()) {
        return Err(Refusal::invalid(field, "is one that nobody can connect to; name the one others use"));
    }
    let is_part = |label: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_word)
    };
    let labels = address.strip_suffix('.').unwrap_or(address);
    // A last label of digits alone is no name's: 999.1.1.1 was meant as an address (RFC 1123 section 2.1).
    let is_numeric =
        labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    let is_host = labels.split('.').all(is_part) && !is_numeric;
    if !address.is_empty() && !is_host && address.parse::<IpAddr>().is_err() {
        return Err(Refusal::invalid(field, "is neither an IP address nor a host's name"));
    }
    Ok(())
}

fn check_url(url: &str) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::invalid("HTTP", why));
    if url.len() > URL_BYTES_MAX {
        return Err(too_long("HTTP", URL_BYTES_MAX));
    }
    if url.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
        return refuse("has a space, a control character or a letter beyond ASCII; percent-encode it");
    }
    let Some((scheme, rest)) = url.split_once("://") else { return refuse("is no URL: it has no scheme") };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return refuse("begins with neither http:// nor https://");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse("has a password in it; send it in Header");
    }
    let port = if scheme.eq_ignore_ascii_case("http") { ":80" } else { ":443" };
    let is_whole =
        split_host_port(authority).is_some() || split_host_port(&format!("{authority}{port}")).is_some();
    if is_whole { Ok(()) } else { refuse("names no host, or no valid port") }
}

/// The host, without brackets, and the port.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok())?,
        None if host.contains(':') => return None,
        None => host,
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
    (!host.is_empty() && host.len() <= NAME_BYTES_MAX && host.bytes().all(is_host)).then_some((host, port))
}

fn check_header<'h>(fields: impl Iterator<Item = (&'h str, &'h str)>) -> Result<(), Refusal> {
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in fields {
        (count, bytes) = (count + 1, bytes + name.len() + value.len());
        if !is_token(name) {
            return Err(Refusal::invalid("Header", "has a name that is no field of HTTP"));
        }
        if value.bytes().any(|byte| byte == 0x7f || (byte < b' ' && byte != b'\t')) {
            return Err(Refusal::invalid("Header", "has a value with a control character"));
        }
    }
    if count > HEADERS_MAX {
        return Err(too_many("Header", HEADERS_MAX));
    }
    if bytes > HEADER_BYTES_MAX {
        return Err(too_long("Header", HEADER_BYTES_MAX));
    }
    Ok(())
}
