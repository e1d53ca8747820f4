//! What the configuration says about services.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::health::HealthCheck;
use crate::outlier::OutlierSettings;
use crate::resolution::ResolutionSettings;
use crate::source::Source;

/// A service as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceDefinition {
    /// Where its endpoints are found, any mix.
    pub sources: Vec<Source>,
    /// How long answers are believed.
    pub resolution: ResolutionSettings,
    /// How endpoints are probed; `None` leaves them unknown, which is eligible.
    pub health: Option<HealthCheck>,
    /// When endpoints are left alone for what requests met there; `None` for never.
    pub outlier: Option<OutlierSettings>,
}

/// Services by name.
pub type Definitions = BTreeMap<Arc<str>, ServiceDefinition>;
