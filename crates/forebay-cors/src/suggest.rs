//! Suggests the smallest change of a policy that would let in who was denied. Leaves the judgement to its reader: it
//! writes text, beside each origin how often it came, and never a dangerous entry.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::denied::{DeniedCall, DeniedCalls};
use crate::explain::list;
use crate::names::{self, is_forbidden_header};
use crate::origin::{OriginPattern, Site};
use crate::origins::Origins;
use crate::policy::Policy;
use crate::settings::CorsSettings;

/// So many subdomains of one host suggest that there will be more: previews, tenants.
const SUBDOMAINS_MIN: usize = 3;

/// A suggestion for `[cors.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Lines of TOML to put in place of those of the same key; empty when nothing was denied that could be let in.
    pub lines: Vec<String>,
    /// Who was denied: `https://shop.example, 31 times: PUT with x-cart`.
    pub seen: Vec<String>,
    /// Origins that are left out, and why.
    pub left_out: Vec<String>,
}

/// Reads what was denied and suggests.
pub fn suggest(settings: &CorsSettings, denied: &DeniedCalls) -> Suggestion {
    let calls = denied.most_frequent();
    let mut suggestion = Suggestion {
        lines: Vec::new(),
        seen: calls.iter().map(|call| told(call)).collect(),
        left_out: Vec::new(),
    };
    let known = Origins::new(settings.origins.iter().map(|origin| &origin.value));
    let mut sites: Vec<Site> = Vec::new();
    let mut let_in: Vec<&DeniedCall> = Vec::new();
    for call in &calls {
        if known.is_any() || known.find(call.origin.as_bytes()).is_some() {
            let_in.push(call);
            continue;
        }
        match OriginPattern::parse(&call.origin) {
            Ok(OriginPattern::Site(site)) if site.is_secure() || !*settings.credentials => {
                let_in.push(call);
                sites.push(site);
            }
            Ok(OriginPattern::Site(_)) => {
                let why = "has no TLS, and the policy allows credentials";
                note(&mut suggestion.left_out, format!("{} {why}", call.origin));
            }
            _ => note(&mut suggestion.left_out, format!("{} can be anybody", call.origin)),
        }
    }
    suggestion.add_origins(settings, sites);
    suggestion.add_methods(settings, &let_in);
    suggestion.add_headers(settings, &let_in);
    suggestion
}

fn note(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

fn told(call: &DeniedCall) -> String {
    let times = if call.count == 1 { "once".to_owned() } else { format!("{} times", call.count) };
    let mut text = format!("{}, {times}: {}", call.origin, call.method);
    if !call.headers.is_empty() {
        let _ = write!(text, " with {}", call.headers.join(", "));
    }
    text
}

impl Suggestion {
    /// The table as it could be written, with who was seen as comments.
    pub fn to_toml(&self, name: &str) -> String {
        let mut text = String::new();
        for seen in &self.seen {
            let _ = writeln!(text, "# {seen}");
        }
        for left_out in &self.left_out {
            let _ = writeln!(text, "# left out: {left_out}");
        }
        let _ = writeln!(text, "[cors.{name}]");
        for line in &self.lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    fn add_origins(&mut self, settings: &CorsSettings, mut sites: Vec<Site>) {
        sites.sort();
        sites.dedup();
        let mut families: BTreeMap<Site, Vec<Site>> = BTreeMap::new();
        for site in sites {
            let family = site.family().unwrap_or_else(|| site.clone());
            families.entry(family).or_default().push(site);
        }
        let mut added = Vec::new();
        for (family, members) in families {
            if members.len() >= SUBDOMAINS_MIN {
                added.push(family.to_string());
            } else {
                added.extend(members.iter().map(|site| site.to_string()));
            }
        }
        if !added.is_empty() {
            let listed: Vec<String> = settings.origins.iter().map(|origin| origin.to_string()).collect();
            self.lines.push(list("origins", &listed, &added));
        }
    }

    fn add_methods(&mut self, settings: &CorsSettings, calls: &[&DeniedCall]) {
        let policy = Policy::new(settings);
        let mut added: Vec<String> = Vec::new();
        for call in calls {
            let loads = names::is_listable_method(&call.method);
            if loads && !policy.allows_method(&call.method) {
                note(&mut added, call.method.clone());
            }
        }
        if !added.is_empty() {
            let listed: Vec<String> = settings.methods.iter().map(|method| method.to_string()).collect();
            self.lines.push(list("methods", &listed, &added));
        }
    }

    fn add_headers(&mut self, settings: &CorsSettings, calls: &[&DeniedCall]) {
        let any = settings.headers.iter().any(|header| header.is_any());
        let listed: Vec<String> = settings.headers.iter().map(|header| header.to_string()).collect();
        let mut added: Vec<String> = Vec::new();
        for header in calls.iter().flat_map(|call| &call.headers) {
            let allowed = listed.contains(header) || (any && header != "authorization");
            if !allowed && !is_forbidden_header(header) && !header.starts_with("access-control-") {
                note(&mut added, header.clone());
            }
        }
        added.sort();
        if !added.is_empty() {
            self.lines.push(list("headers", &listed, &added));
        }
    }
}
