//! What discovery reads of a `[service.NAME]` table.

use std::time::Duration;

use forebay_config::{Check, Node, OneOrMany, Problem, Reader, Settings, Shape, Share, Value};

use crate::definition::ServiceDefinition;
use crate::health::{CheckKind, HealthCheck};
use crate::outlier::OutlierSettings;
use crate::resolution::ResolutionSettings;
use crate::source::Source;

/// Where endpoints are found and how they are probed.
#[derive(Clone, Debug, Settings)]
pub struct DiscoverySettings {
    /// Where its endpoints are found: addresses, URLs, `dns:` and `dns+srv:` names, `file:` paths, `registry`, one or a list of any mix.
    #[setting(min_length = 1, example = ["127.0.0.1:9001", "127.0.0.1:9002"])]
    pub endpoints: OneOrMany<Source>,
    /// Active health checks; without them every endpoint gets requests.
    #[setting(example = { path = "/healthz", every = "2s" })]
    pub health: Option<HealthSettings>,
    /// When an endpoint is left alone for what requests met there.
    pub eject: EjectionSettings,
}

/// Ejection of endpoints that fail requests, whatever health checks say.
#[derive(Clone, Debug, Settings)]
#[settings(check = EjectionSettings::check)]
pub struct EjectionSettings {
    /// After so many 5xx answers in a row; 0 for never.
    #[setting(default = 5, max = 1000)]
    pub errors: u32,
    /// After so many failures to reach it in a row: refused, broken off, timed out; 0 for never.
    #[setting(default = 5, max = 1000)]
    pub unreached: u32,
    /// Whether one that fails far more often than the others is ejected too. Needs five endpoints with a hundred requests
    /// in ten seconds each.
    #[setting(default = true)]
    pub compare_rates: bool,
    /// How long the first time; the n-th time n times as long.
    #[setting(default = "10s", min = "100ms", max = "1h")]
    pub base: Duration,
    /// Never longer.
    #[setting(default = "5m", min = "100ms", max = "1d")]
    pub max: Duration,
    /// At most this share of the endpoints at the same time, rounded down; one always stays. `"0%"` turns ejection off.
    #[setting(default = "50%")]
    pub share: Share,
}

impl EjectionSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if self.base > self.max {
            check
                .error("base", "the first ejection may not be longer than the longest")
                .help("make `base` shorter or `max` longer");
        }
        if self.share.fraction() > 1.0 {
            check.error("share", "there are no more endpoints than all").help("write \"100%\" or less");
        }
    }

    fn outlier(&self) -> Option<OutlierSettings> {
        let share_max_percent = (self.share.fraction() * 100.0).round() as u32;
        let EjectionSettings { errors, unreached, compare_rates, base, max, .. } = *self;
        (share_max_percent > 0).then_some(OutlierSettings {
            errors,
            unreached,
            compare_rates,
            base,
            max,
            share_max_percent,
        })
    }
}

/// Active health checks. A path alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "path", check = HealthSettings::check)]
pub struct HealthSettings {
    /// Asked with GET; any 2xx is healthy. Without a path, a connection that opens is enough.
    #[setting(example = "/healthz")]
    pub path: Option<ProbePath>,
    /// Time between two probes of one endpoint.
    #[setting(default = "2s", min = "100ms", max = "1h")]
    pub every: Duration,
    /// How long one probe may take.
    #[setting(default = "1s", min = "10ms", max = "1m")]
    pub timeout: Duration,
    /// Successes in a row that bring an unhealthy endpoint back.
    #[setting(default = 2, min = 1, max = 100)]
    pub healthy_after: u32,
    /// Failures in a row that take a healthy endpoint out.
    #[setting(default = 3, min = 1, max = 100)]
    pub unhealthy_after: u32,
}

impl HealthSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if self.timeout > self.every {
            check
                .error("timeout", "a probe may not outlast the time to the next one")
                .help("make `timeout` shorter or `every` longer");
        }
    }
}

/// Path and query of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePath(pub Box<str>);

impl Value for ProbePath {
    const SHAPE: Shape = Shape::text("a path", "\"/healthz\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<ProbePath> {
        reader.text(node, &Self::SHAPE, |text| {
            if !text.starts_with('/') {
                return Err(Problem::new("does not begin with a slash").help(format!("write \"/{text}\"")));
            }
            if let Some(odd) = text.chars().find(|&c| !c.is_ascii_graphic() || c == '#') {
                return Err(Problem::new(format!("has {odd:?}, which a request cannot carry"))
                    .help("encode it with a percent sign"));
            }
            Ok(ProbePath(text.into()))
        })
    }
}

impl Value for Source {
    const SHAPE: Shape = Shape::text("an endpoint or where to find some", "\"127.0.0.1:9001\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Source> {
        // A file's path is relative to the file that names it.
        let folder = reader.folder(node).to_owned();
        reader.text(node, &Self::SHAPE, |text| {
            let source = text.parse::<Source>().map_err(|error: crate::Error| {
                Problem::new(format!("cannot be used: {error}")).note(error.note()).help(error.help())
            })?;
            Ok(source.within(&folder))
        })
    }
}

impl DiscoverySettings {
    /// The definition they come to.
    pub fn definition(&self) -> ServiceDefinition {
        ServiceDefinition {
            sources: self.endpoints.to_vec(),
            resolution: ResolutionSettings::default(),
            health: self.health.as_ref().map(HealthSettings::health_check),
            outlier: self.eject.outlier(),
        }
    }
}

impl HealthSettings {
    fn health_check(&self) -> HealthCheck {
        let base = match &self.path {
            Some(path) => HealthCheck::http(&path.0),
            None => HealthCheck { kind: CheckKind::Tcp, ..HealthCheck::tcp() },
        };
        HealthCheck {
            interval: self.every,
            interval_fast: base.interval_fast.min(self.every),
            timeout: self.timeout,
            healthy_after: self.healthy_after,
            unhealthy_after: self.unhealthy_after,
            ..base
        }
    }
}
