//! Tells people what discovery notices: endpoints that come, go, fall ill and recover, sources that fall silent.

use forebay_clock::Clock;
use forebay_discovery::{Change, Health};
use forebay_gateway::Ejections;
use forebay_registry::Handle;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Logs every change, for as long as there may be any, counts what no core counts, and has the registry look at what
/// requests could not reach.
pub(crate) async fn tell(
    mut changes: Receiver<Change>,
    clock: Clock,
    ejections: Ejections,
    registry: Option<Handle>,
) {
    loop {
        match changes.recv().await {
            Ok(change) => {
                if let Change::Ejected { service, ejection, .. } = &change {
                    ejections.count(service, ejection.cause);
                }
                if let (Change::Suspected { address, .. }, Some(registry)) = (&change, &registry) {
                    registry.suspect(*address);
                }
                log(&change, &clock);
            }
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "changes of endpoints went unlogged"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn log(change: &Change, clock: &Clock) {
    match change {
        Change::Endpoints { service, set } => {
            tracing::info!(
                service = &**service,
                endpoints = set.endpoints().len(),
                "service has other endpoints"
            );
        }
        Change::Health { service, address, health: Health::Unhealthy, reason } => {
            let reason = reason.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(service = &**service, endpoint = %address, reason, "endpoint is unhealthy");
        }
        Change::Health { service, address, health, .. } => {
            tracing::info!(service = &**service, endpoint = %address, health = health.text(), "endpoint changed");
        }
        Change::Advertised { service, address, reason: Some(reason) } => {
            tracing::warn!(service = &**service, endpoint = %address, reason = &**reason, "endpoint is critical");
        }
        Change::Advertised { service, address, reason: None } => {
            tracing::info!(service = &**service, endpoint = %address, "endpoint is critical no longer");
        }
        // Whoever could not reach it said so.
        Change::Suspected { .. } => {}
        Change::Ejected { service, address, ejection } => {
            let for_s = ejection.until.since(clock.now()).as_secs();
            let cause = ejection.cause.to_string();
            tracing::warn!(service = &**service, endpoint = %address, cause, for_s, "endpoint is left alone");
        }
        Change::Standing { service, report } => {
            let standing = report.standing.describe(clock.now());
            if report.standing.is_trouble() {
                tracing::warn!(service = &**service, source = %report.source, standing, "source changed");
            } else {
                tracing::info!(service = &**service, source = %report.source, standing, "source changed");
            }
        }
    }
}
