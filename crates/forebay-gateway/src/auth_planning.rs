//! Policies of who calls, from their settings: reads the files they name, so that what is wrong with one is known before
//! anything is put in force.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use forebay_auth::{AuthSettings, Jwks, Policy, Source, digest};
use forebay_config::{Check, Name, Origin, Spanned};
use forebay_http::tls;
use forebay_retry::CountedBy;

use crate::plan::AuthPolicy;
use crate::planning::{PlanError, ReadFile, Sections, place_in, trusting};
use crate::settings::{GatewaySettings, RouteSettings};

/// What a route writes that lets everybody in, where a default says otherwise.
pub(crate) const NOBODY: &str = "none";

/// The policy of a table.
pub(crate) fn auth(
    name: &Name,
    settings: &AuthSettings,
    sections: &Sections<'_>,
    read: ReadFile<'_>,
) -> Result<AuthPolicy, PlanError> {
    let broken = || PlanError {
        origin: None,
        problem: format!("[auth.{name}] says nothing"),
        help: "add one of `jwt`, `api_keys`, `forward`, `basic`".to_owned(),
    };
    let policy = Policy::new(name.as_str(), settings).ok_or_else(broken)?;
    let (mut tls, mut initial, mut initial_text) = (None, None, None);
    match policy.source() {
        Some(Source::Url(_)) => tls = client_tls(settings, read)?,
        Some(Source::File(path)) => {
            let error = |problem: String, help: &str| PlanError {
                origin: origin(settings),
                problem: format!("{}: {problem}", path.display()),
                help: help.to_owned(),
            };
            let text =
                read(path).map_err(|wrong| error(format!("cannot be read: {wrong}"), create(settings)))?;
            let material = policy.read(path, &text);
            let material = material.map_err(|wrong| error(wrong.to_string(), "mend the file"))?;
            initial = Some(Arc::new(material));
            initial_text = Some(digest([&text[..]]));
        }
        None => {}
    }
    let service = settings.forward.as_ref().and_then(|to| place_in(sections.services, &to.service.value));
    Ok(AuthPolicy { policy: Arc::new(policy), tls, initial, initial_text, service })
}

/// Where the file is named.
fn origin(settings: &AuthSettings) -> Option<Origin> {
    let jwks = settings.jwt.as_ref().and_then(|jwt| jwt.jwks.as_ref()).map(|jwks| jwks.origin);
    let keys = settings.api_keys.as_ref().map(|keys| keys.file.origin);
    jwks.or(keys).or(settings.basic.as_ref().map(|basic| basic.file.origin))
}

fn create(settings: &AuthSettings) -> &'static str {
    match settings {
        AuthSettings { api_keys: Some(_), .. } => "make the first key with `forebay keys new CONSUMER`",
        AuthSettings { basic: Some(_), .. } => "make it with `htpasswd -cB FILE NAME`",
        _ => "relative paths start at the directory of the file they are written in",
    }
}

fn client_tls(
    settings: &AuthSettings,
    read: ReadFile<'_>,
) -> Result<Option<Arc<rustls::ClientConfig>>, PlanError> {
    let Some(jwt) = &settings.jwt else { return Ok(None) };
    let Some(Spanned { value: Jwks::Url(url), origin }) = &jwt.jwks else { return Ok(None) };
    if url.scheme == forebay_config::Scheme::Http {
        return Ok(None);
    }
    let config = match &jwt.roots {
        Some(file) => trusting(file, read),
        None => tls::client_config(None).map_err(|error| PlanError {
            origin: Some(*origin),
            problem: error.to_string(),
            help: "install the ca-certificates package, or name trusted roots with `roots`".to_owned(),
        }),
    };
    config.map(Some)
}

/// The policy that a route comes to, by its place.
pub(crate) fn of_route(settings: &RouteSettings, sections: &Sections<'_>) -> Option<usize> {
    let named = settings.auth.as_ref().or(sections.gateway.auth.as_ref())?;
    place_in(sections.auth, &named.value)
}

/// Reports policies that are named and not there, and the reserved name.
pub fn check_auth(
    policies: &BTreeMap<Name, AuthSettings>,
    gateway: &GatewaySettings,
    routes: &[Spanned<RouteSettings>],
    check: &mut Check<'_, '_>,
) {
    if policies.contains_key(NOBODY) {
        check
            .error("auth", format!("[auth.{NOBODY}] has a name that means something else"))
            .note(format!("`auth = \"{NOBODY}\"` on a route lets everybody in"))
            .help("choose another name");
    }
    let credentials: Vec<&str> = policies.values().flat_map(AuthSettings::credentials).collect();
    for forward in policies.values().filter_map(|settings| settings.forward.as_ref()) {
        if let Some(name) = forward.copy.iter().find(|name| credentials.contains(&&*name.0)) {
            check
                .error_at(forward.service.origin, format!("`copy` has \"{}\", which carries credentials", name.0))
                .note("fields that are copied are taken off every request, so that nobody can send them from outside")
                .help("have the service answer with a field of its own");
        }
    }
    let named = gateway.auth.iter().chain(routes.iter().filter_map(|route| route.auth.as_ref()));
    for name in named.filter(|name| name.value.as_str() != NOBODY && !policies.contains_key(&name.value)) {
        let known: Vec<String> = policies.keys().map(|name| format!("\"{name}\"")).collect();
        let known =
            if known.is_empty() { String::new() } else { format!("known are {}; ", known.join(", ")) };
        check
            .error_at(name.origin, format!("`auth` names \"{name}\", and there is no [auth.{name}]"))
            .note("names are checked at the start so that no request has to find out")
            .help(format!("{known}\"{NOBODY}\" lets everybody in"));
    }
    check_subjects(policies, gateway, routes, check);
}

/// Reports routes whose keys belong to subjects that nobody has.
fn check_subjects(
    policies: &BTreeMap<Name, AuthSettings>,
    gateway: &GatewaySettings,
    routes: &[Spanned<RouteSettings>],
    check: &mut Check<'_, '_>,
) {
    for route in routes {
        let named = route.auth.as_ref().or(gateway.auth.as_ref());
        if named.is_none_or(|name| name.value.as_str() == NOBODY) {
            check_subjectless(route, check);
        }
        let forward = named.and_then(|name| Some((name, policies.get(&name.value)?.forward.as_ref()?)));
        if let Some((name, forward)) = forward.filter(|(_, forward)| forward.subject.is_none()) {
            check_nameless(route, &name.value, &forward.service.value, check);
        }
    }
}

/// Reports what a route that lets everybody in wants to know of its callers.
fn check_subjectless(route: &Spanned<RouteSettings>, check: &mut Check<'_, '_>) {
    let by = route.rate_limit.as_ref().map(|limit| &limit.by);
    if let Some(by) = by.filter(|by| by.value == CountedBy::Subject) {
        check
            .error_at(by.origin, "`rate_limit` counts by subject, and nobody here has one")
            .note("all requests would count by their addresses, which is another limit")
            .help("add `auth = \"…\"`, or write by = \"address\"");
    }
    if route.idempotency.as_ref().is_some_and(|keys| keys.is_by_subject()) {
        check
            .error_at(
                route.pattern.origin,
                "`idempotency` tells callers apart by subject, and nobody here has one",
            )
            .note("every request with an Idempotency-Key would be refused")
            .help("add `auth = \"…\"`, or choose another `scope`");
    }
}

/// Reports what a route wants to know of callers whom a service lets in without saying who they are.
fn check_nameless(
    route: &Spanned<RouteSettings>,
    policy: &Name,
    service: &impl fmt::Display,
    check: &mut Check<'_, '_>,
) {
    let name_them = format!(
        "name the field of its answer that says who calls, for example [auth.{policy}] forward = \
         {{ service = \"{service}\", subject = \"x-auth-user\" }}"
    );
    let by = route.rate_limit.as_ref().map(|limit| &limit.by);
    if let Some(by) = by.filter(|by| by.value == CountedBy::Subject) {
        check
            .error_at(by.origin, format!("`rate_limit` counts by subject, and [auth.{policy}] names none"))
            .note(format!(
                "service {service} only says whether a caller may: all would count by their addresses"
            ))
            .help(name_them.as_str())
            .help("or write by = \"address\"");
    }
    if route.idempotency.as_ref().is_some_and(|keys| keys.is_by_subject()) {
        check
            .error_at(
                route.pattern.origin,
                format!("`idempotency` tells callers apart by subject, and [auth.{policy}] names none"),
            )
            .note(format!(
                "service {service} says whether a caller may, and without `subject` nobody asks it who that is: \
                 every request with an Idempotency-Key would be refused"
            ))
            .help(name_them)
            .help("or choose another `scope`, for example \"header:X-Api-Key\"");
    }
}

#[cfg(test)]
mod tests {
    use forebay_config::{Inputs, Settings, load};

    use super::*;

    /// What is checked together.
    #[derive(Debug, Settings)]
    #[settings(check = Root::check)]
    struct Root {
        /// As in the product.
        gateway: GatewaySettings,
        /// As in the product.
        route: Vec<Spanned<RouteSettings>>,
        /// As in the product.
        auth: BTreeMap<Name, AuthSettings>,
    }

    impl Root {
        fn check(&self, check: &mut Check<'_, '_>) {
            check_auth(&self.auth, &self.gateway, &self.route, check);
        }
    }

    fn refusal(text: &str) -> Option<String> {
        let text = format!("{text}\n[auth.a]\nbasic = \"users\"\n");
        let file = |_: &std::path::Path| Ok(text.as_bytes().to_vec());
        let inputs = Inputs { file: Some("forebay.toml".into()), files: &file, ..Inputs::default() };
        load::<Root>(inputs).err().map(|wrong| wrong.to_string())
    }

    #[test]
    fn a_limit_by_subject_needs_somebody_to_have_one() {
        let route =
            "[[route]]\nmatch = \"/*\"\nrespond = {}\nrate_limit = { rate = \"1/s\", by = \"subject\" }\n";
        let message = "error: `rate_limit` counts by subject, and nobody here has one\n  --> forebay.toml:";
        for open in [route.to_owned(), format!("[gateway]\nauth = \"a\"\n{route}auth = \"none\"")] {
            let refusal = refusal(&open).expect("nobody is asked who he is");
            assert!(refusal.starts_with(message), "{refusal}");
            assert!(refusal.contains("by = \"subject\" }\n"), "it shows what is written: {refusal}");
        }
        for known in [format!("{route}auth = \"a\""), format!("[gateway]\nauth = \"a\"\n{route}")] {
            assert_eq!(refusal(&known), None);
        }
        let forward = format!("{route}auth = \"f\"\n[auth.f]\nforward = {{ service = \"b\"");
        let nameless = refusal(&format!("{forward} }}")).expect("nobody says who calls");
        assert!(
            nameless.starts_with("error: `rate_limit` counts by subject, and [auth.f] names none\n"),
            "{nameless}"
        );
        let named = refusal(&format!("{forward}, subject = \"x-user\" }}")).unwrap_or_default();
        assert!(!named.contains("subject, and"), "{named}");
    }
}
