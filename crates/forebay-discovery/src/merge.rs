//! One list of endpoints from all sources of a service.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::endpoint::{Endpoint, Identity, Target};
use crate::source::Source;

/// Endpoints of one service. A bound on what a wrong or hostile answer can cost in memory, probes and picks;
/// balancing is measured up to this size.
pub const ENDPOINTS_MAX: usize = 10_000;

/// What a service's sources amount to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) endpoints: Vec<Endpoint>,
    /// Which of them each source gave.
    pub(crate) runs: Vec<Range<usize>>,
    /// How many were over [`ENDPOINTS_MAX`].
    pub(crate) left_out: usize,
}

/// Joins the targets in the order given. Of several with one identity the first wins, so the user decides whose
/// weight counts by the order of sources.
pub(crate) fn merge<'a, T: IntoIterator<Item = &'a Target>>(
    service: &Arc<str>,
    found: impl IntoIterator<Item = (&'a Source, T)>,
) -> Merged {
    let mut seen: HashSet<Identity> = HashSet::new();
    let mut merged = Merged::default();
    for (source, targets) in found {
        let start = merged.endpoints.len();
        let new = |target: &&Target| seen.insert((target.address, source.tls.clone()));
        for target in targets.into_iter().filter(new) {
            if merged.endpoints.len() < ENDPOINTS_MAX {
                merged.endpoints.push(Endpoint::new(service, source, target));
            } else {
                merged.left_out += 1;
            }
        }
        merged.runs.push(start..merged.endpoints.len());
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        text.parse().unwrap()
    }

    fn targets(ports: std::ops::Range<u16>) -> Vec<Target> {
        ports.map(|port| Target::new(([10, 0, 0, 1], port).into())).collect()
    }

    #[test]
    fn the_first_source_wins_and_tls_makes_another_endpoint() {
        let (plain, secure) = (source("dns:a.example:80"), source("https://a.example"));
        let mut heavy = targets(80..81);
        heavy[0].weight = 9;
        let found = [(&plain, &heavy[..]), (&plain, &targets(80..82)[..]), (&secure, &targets(80..81)[..])];
        let merged = merge(&"orders".into(), found);
        let seen: Vec<_> =
            merged.endpoints.iter().map(|e| (e.address.port(), e.weight, e.tls.is_some())).collect();
        assert_eq!(seen, [(80, 9, false), (81, 1, false), (80, 1, true)]);
        assert_eq!(merged.runs, [0..1, 1..2, 2..3]);
    }

    #[test]
    fn endpoints_over_the_bound_are_left_out_and_counted() {
        let plain = source("dns:a.example:80");
        let merged = merge(&"orders".into(), [(&plain, &targets(1..10_101)[..])]);
        assert_eq!((merged.endpoints.len(), merged.left_out), (ENDPOINTS_MAX, 100));
    }
}
