//! How long a stop may take.

use std::time::Duration;

/// The two lengths of a stop, both counted from the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    accept_delay: Duration,
    grace: Duration,
}

/// What can be wrong with shutdown settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No time would be left to drain.
    #[error("shutdown grace of {grace:?} is over before its accept delay of {accept_delay:?}")]
    GraceTooShort {
        /// As given.
        accept_delay: Duration,
        /// As given.
        grace: Duration,
    },
}

impl Settings {
    /// `accept_delay` is how long new connections stay welcome after readiness began to fail: as long as load balancers
    /// in front need to notice. `grace` is when the process ends at the latest. It includes the delay, as Kubernetes'
    /// `terminationGracePeriodSeconds` does, so that one number says when a stop is over.
    pub fn new(accept_delay: Duration, grace: Duration) -> Result<Settings, Error> {
        if accept_delay < grace {
            Ok(Settings { accept_delay, grace })
        } else {
            Err(Error::GraceTooShort { accept_delay, grace })
        }
    }

    /// How long connections are still accepted.
    pub fn accept_delay(&self) -> Duration {
        self.accept_delay
    }

    /// When the process ends at the latest.
    pub fn grace(&self) -> Duration {
        self.grace
    }
}

impl Default for Settings {
    /// No delay, since no length suits both a laptop and an unknown load balancer; 25 s of grace, which leave
    /// five of Kubernetes' default thirty.
    fn default() -> Settings {
        Settings { accept_delay: Duration::ZERO, grace: Duration::from_secs(25) }
    }
}
