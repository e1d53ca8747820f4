//! The `[shutdown]` section of the configuration.

use std::time::Duration;

use forebay_config::{Check, Settings};

/// How the process stops on SIGTERM or SIGINT.
#[derive(Clone, Debug, Settings)]
#[settings(check = ShutdownSettings::check)]
pub struct ShutdownSettings {
    /// How long new connections stay welcome after readiness began to fail: as long as load balancers in front
    /// need to notice.
    #[setting(default = "0s", max = "10m")]
    pub accept_delay: Duration,
    /// How long requests under way may take to finish, the accept delay included; what is left then is cut off.
    #[setting(default = "25s", min = "1ms", max = "1h")]
    pub grace: Duration,
}

impl ShutdownSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if let Err(error) = crate::Settings::new(self.accept_delay, self.grace) {
            check.error("grace", error.to_string()).help("make `grace` longer than `accept_delay`");
        }
    }

    /// What the machine takes; the section was checked when it was read.
    pub fn settings(&self) -> crate::Settings {
        crate::Settings::new(self.accept_delay, self.grace).unwrap_or_default()
    }
}
