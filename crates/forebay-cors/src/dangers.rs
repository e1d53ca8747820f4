//! Refuses policies that would hurt their owner, and those that browsers would not honour, at the value that is to
//! blame. Each danger that could be meant has its own `dangerously_…` setting.

use std::time::Duration;

use forebay_config::{Check, Origin};

use crate::origin::{OriginPattern, Site};
use crate::settings::CorsSettings;

/// What Chromium remembers a preflight for at most (`services/network/cors/preflight_result.cc`).
const CHROMIUM_MAX_AGE: Duration = Duration::from_secs(7200);

impl CorsSettings {
    pub(crate) fn check(&self, check: &mut Check<'_, '_>) {
        let any = self.origins.iter().find(|origin| ***origin == OriginPattern::Any);
        if let Some(any) = any {
            self.check_any(any.origin, check);
        }
        for origin in self.origins.iter() {
            match &origin.value {
                OriginPattern::Any => {}
                OriginPattern::Null => self.check_null(origin.origin, check),
                OriginPattern::Site(site) => self.check_site(site, origin.origin, check),
            }
        }
        self.check_duplicates(check);
        self.check_expose(check);
        self.check_max_age(check);
        if !matches!(self.preflight_status, 200 | 204) {
            check
                .error("preflight_status", format!("{} is not 200 or 204", self.preflight_status))
                .note("browsers take any 2xx, and nothing else is ever needed")
                .help("remove the line to answer with 204");
        }
    }

    fn check_any(&self, any: Origin, check: &mut Check<'_, '_>) {
        if self.origins.len() > 1 {
            check
                .error_at(any, "origin \"*\" stands beside others")
                .note("it allows everybody, so the others would say nothing")
                .help("keep \"*\" alone, or remove it");
        }
        if *self.credentials && !self.dangerously_allow_any_origin_with_credentials {
            check
                .error_at(any, "origin \"*\" with `credentials`")
                .note("any page could act and read with the cookies of whoever visits it")
                .help("list the origins, or set `credentials = false`")
                .help("if this is meant: `dangerously_allow_any_origin_with_credentials = true`");
        }
        if *self.private_network && !self.dangerously_allow_any_origin_to_private_network {
            check
                .error_at(any, "origin \"*\" with `private_network`")
                .note("any page could reach into the network of whoever visits it")
                .help("list the origins")
                .help("if this is meant: `dangerously_allow_any_origin_to_private_network = true`");
        }
    }

    fn check_null(&self, null: Origin, check: &mut Check<'_, '_>) {
        if !self.dangerously_allow_null_origin {
            check
                .error_at(null, "origin \"null\" is nobody in particular")
                .note("any page can send it from a sandboxed frame")
                .help("serve the page over HTTP and list its origin")
                .help("if this is meant: `dangerously_allow_null_origin = true`");
        }
    }

    fn check_site(&self, site: &Site, at: Origin, check: &mut Check<'_, '_>) {
        let with = match (*self.credentials, *self.private_network) {
            (true, _) => "credentials",
            (false, true) => "private_network",
            (false, false) => return,
        };
        if !site.is_secure() && !self.dangerously_allow_insecure_origins {
            check
                .error_at(at, format!("origin \"{site}\" is insecure, with `{with}`"))
                .note("anybody on the network between can put scripts into a page without TLS")
                .help(format!("write \"https{}\"", site.to_string().trim_start_matches("http")))
                .help("if this is meant: `dangerously_allow_insecure_origins = true`");
        }
        if site.is_public_suffix() && !self.dangerously_allow_public_suffix_wildcards {
            check
                .error_at(at, format!("origin \"{site}\" covers a public suffix, with `{with}`"))
                .note(format!("anybody can have a name under `{}`", site.host))
                .help("list the origins that are yours")
                .help("if this is meant: `dangerously_allow_public_suffix_wildcards = true`");
        }
    }

    /// A list that says the same twice was meant to say something else.
    fn check_duplicates(&self, check: &mut Check<'_, '_>) {
        let mut origins: Vec<_> = self.origins.iter().collect();
        origins.sort();
        let same = origins.windows(2).filter(|pair| pair[0] == pair[1]);
        let twice: Vec<_> = same.map(|pair| (pair[1].origin, pair[1].to_string())).collect();
        for (at, text) in twice {
            check.error_at(at, format!("origin \"{text}\" stands twice")).help("remove one");
        }
    }

    fn check_expose(&self, check: &mut Check<'_, '_>) {
        let any = self.expose.iter().find(|name| name.is_any()).filter(|_| *self.credentials);
        if let Some(any) = any {
            check
                .error_at(any.origin, "`expose` has \"*\" with `credentials`")
                .note("browsers then take it for a header of that name, and nothing is exposed")
                .help("list the headers that scripts are to read");
        }
    }

    fn check_max_age(&self, check: &mut Check<'_, '_>) {
        let age = *self.max_age;
        if age.subsec_nanos() != 0 {
            check
                .error_at(self.max_age.origin, "`max_age` has a fraction of a second")
                .note("the header counts whole seconds")
                .help("write whole seconds");
        }
        if age > CHROMIUM_MAX_AGE && !self.dangerously_allow_long_max_age {
            check
                .error_at(self.max_age.origin, "`max_age` is longer than browsers honour")
                .note("Chromium forgets after 2 hours, Firefox after 24, so what is taken back lasts differently long")
                .help("write at most \"2h\"")
                .help("if this is meant: `dangerously_allow_long_max_age = true`");
        }
    }
}
