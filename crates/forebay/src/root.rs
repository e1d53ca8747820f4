//! The whole configuration file: sections of several crates, joined.

use std::collections::BTreeMap;

use forebay_admin::AdminSettings;
use forebay_auth::AuthSettings;
use forebay_config::{Check, Name, Settings, Spanned};
use forebay_cors::CorsSettings;
use forebay_gateway::check_auth;
use forebay_gateway::planning::Sections;
use forebay_gateway::settings::{GatewaySettings, RouteSettings, ServiceSettings, check_routes};
use forebay_registry::RegistrySettings;
use forebay_shutdown::ShutdownSettings;
use forebay_store::{StateSettings, StoreSettings};

use crate::listeners;

/// Everything that can be configured.
#[derive(Clone, Debug, Settings)]
#[settings(check = Root::check)]
pub(crate) struct Root {
    /// The front listener and what holds for all routes.
    pub(crate) gateway: GatewaySettings,
    /// Who answers: `[service.NAME]`.
    pub(crate) service: BTreeMap<Name, ServiceSettings>,
    /// What goes where: `[[route]]`.
    pub(crate) route: Vec<Spanned<RouteSettings>>,
    /// What pages of other origins may do: `[cors.NAME]`.
    pub(crate) cors: BTreeMap<Name, CorsSettings>,
    /// Who may call: `[auth.NAME]`.
    pub(crate) auth: BTreeMap<Name, AuthSettings>,
    /// Probes, metrics, and what the process knows about itself.
    pub(crate) admin: AdminSettings,
    /// Which instances of which services run where.
    pub(crate) registry: Option<RegistrySettings>,
    /// How the process stops.
    pub(crate) shutdown: ShutdownSettings,
    /// Where state is kept.
    pub(crate) state: StateSettings,
    /// Where state is kept that several nodes share.
    pub(crate) store: StoreSettings,
    /// What Forebay says about itself.
    pub(crate) log: LogSettings,
}

/// Forebay's own messages, on standard error.
#[derive(Clone, Debug, Settings)]
pub(crate) struct LogSettings {
    /// The least important that is said.
    #[setting(default = "info")]
    pub(crate) level: LogLevel,
    /// Text on a terminal, JSON otherwise, when not given.
    #[setting(restart)]
    pub(crate) format: Option<LogFormat>,
}

/// How important a message is.
#[derive(Clone, Copy, Debug, Settings)]
pub(crate) enum LogLevel {
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// Something happened.
    Info,
    /// For those who look for a fault.
    Debug,
    /// Everything, libraries included.
    Trace,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, Settings)]
pub(crate) enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Lines for people.
    Text,
}

impl Root {
    /// What the gateway's plan is made of.
    pub(crate) fn sections(&self) -> Sections<'_> {
        Sections {
            gateway: &self.gateway,
            services: &self.service,
            routes: &self.route,
            cors: &self.cors,
            auth: &self.auth,
            registry: self.registry.as_ref(),
        }
    }

    fn check(&self, check: &mut Check<'_, '_>) {
        check_routes(&self.route, check);
        check_auth(&self.auth, &self.gateway, &self.route, check);
        listeners::check(self, check);
    }
}
