//! Before anything is measured: does this proxy do the work that the others do?

use std::collections::BTreeSet;

use crate::client::{Client, field};
use crate::failure::Failure;
use crate::peer::Running;
use crate::traffic;

/// Enough for round robin to come by both upstreams, health checks or not.
const REQUESTS: usize = 4;

/// Fails unless it adds `X-Forwarded-For` and `Via` to requests and `Via` to responses, and uses both upstreams.
pub(crate) fn check(proxy: &Running, upstreams: [u16; 2]) -> Result<(), Failure> {
    let name = proxy.kind.name();
    let mut client = Client::connect(proxy.address)?;
    let mut seen = BTreeSet::new();
    for _ in 0..REQUESTS {
        let reply = client.get(traffic::ECHO)?;
        let request = String::from_utf8_lossy(&reply.body);
        require(
            field(&request, "X-Forwarded-For") == Some("127.0.0.1"),
            name,
            "X-Forwarded-For to requests",
        )?;
        require(field(&request, "Via").is_some(), name, "Via to requests")?;
        require(field(&reply.head, "Via").is_some(), name, "Via to responses")?;
        seen.extend(field(&request, "Upstream-Port").and_then(|port| port.parse::<u16>().ok()));
    }
    if seen != BTreeSet::from(upstreams) {
        return Err(Failure::run(format!("{name} does not take both upstreams in turn: {seen:?}")));
    }
    Ok(())
}

fn require(holds: bool, name: &str, what: &str) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    Err(Failure::run(format!(
        "{name} does not add {what}\n   = note: a comparison is fair only if all do the same work"
    )))
}
