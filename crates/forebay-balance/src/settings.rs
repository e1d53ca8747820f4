//! What balancing reads of a `[service.NAME]` table.

use forebay_config::{Node, Problem, Reader, Settings, Shape, Value};

use crate::Policy;

/// How requests spread over a service's endpoints.
#[derive(Clone, Copy, Debug, Settings)]
pub struct BalanceSettings {
    /// Who gets the next request: `least-request` takes the less busy of two endpoints drawn at random,
    /// `round-robin` one after the other.
    #[setting(default = "least-request")]
    pub balance: Policy,
}

impl Value for Policy {
    const SHAPE: Shape = Shape::text("a balancing policy", "\"least-request\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Policy> {
        reader.text(node, &Self::SHAPE, |text| {
            text.parse().map_err(|_| {
                let known: Vec<&str> = Policy::ALL.iter().map(|policy| policy.name()).collect();
                Problem::new("is not known").help(format!("write one of {}", known.join(", ")))
            })
        })
    }
}
