//! Arrows between crates point down, so that each can be read, tested and taken away without those above.

use crate::finding::Finding;
use crate::workspace::{Dependency, Kind, Package};

/// A floor of the house and the crates on it. A crate may use what is on the floors below.
struct Floor {
    name: &'static str,
    crates: &'static [&'static str],
    /// Whether crates of this floor may use each other.
    neighbours: bool,
}

/// From the top down; ARCHITECTURE.md says why.
const FLOORS: &[Floor] = &[
    Floor { name: "the binary", crates: &["forebay"], neighbours: false },
    Floor { name: "administration", crates: &["forebay-admin"], neighbours: false },
    Floor {
        name: "the joins",
        crates: &["forebay-gateway", "forebay-queue", "forebay-migrate", "forebay-supervise"],
        neighbours: false,
    },
    Floor {
        name: "the patterns",
        crates: &[
            "forebay-auth",
            "forebay-balance",
            "forebay-cache",
            "forebay-cors",
            "forebay-discovery",
            "forebay-idempotency",
            "forebay-registry",
            "forebay-retry",
            "forebay-versions",
        ],
        neighbours: false,
    },
    Floor { name: "stored state", crates: &["forebay-store"], neighbours: false },
    Floor {
        name: "the ground",
        crates: &[
            "forebay-clock",
            "forebay-config",
            "forebay-config-derive",
            "forebay-http",
            "forebay-shutdown",
            "forebay-telemetry",
        ],
        neighbours: true,
    },
];

/// Used by tests alone. They may use what the joins and everything below offer.
const FOR_TESTS: &[&str] = &["forebay-sim", "forebay-testkit"];
/// Programs beside the product: they use none of its crates and none uses them.
const TOOLS: &[&str] = &["forebay-bench", "xtask"];

/// Where a crate belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Counted from the top.
    Floor(usize),
    ForTests,
    Tool,
}

pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(from) = place(&package.name) else {
            findings.push(unknown(&package.name));
            continue;
        };
        for Dependency { name, kind, .. } in package.dependencies.iter().filter(|dependency| dependency.local)
        {
            // An unknown crate is reported once, as a package.
            let Some(to) = place(name) else { continue };
            if let Some(why) = refusal(from, to, *kind) {
                findings.push(Finding {
                    place: package.name.clone(),
                    what: format!("{} uses {name} {why}", package.name),
                    why: "arrows between crates point down, so that a crate can be read and tested alone",
                    help: "move what both need to a lower crate, or join the two in a higher one",
                });
            }
        }
    }
    findings
}

fn place(name: &str) -> Option<Place> {
    if FOR_TESTS.contains(&name) {
        return Some(Place::ForTests);
    }
    if TOOLS.contains(&name) {
        return Some(Place::Tool);
    }
    FLOORS.iter().position(|floor| floor.crates.contains(&name)).map(Place::Floor)
}

/// Why this arrow may not be, if so; reads on after "a uses b".
fn refusal(from: Place, to: Place, kind: Kind) -> Option<String> {
    /// Administration and the binary know everything, so nothing may know them.
    const JOINS: usize = 2;
    match (from, to) {
        (Place::Tool, _) => Some("though tools stand beside the product".into()),
        (_, Place::Tool) => Some("which is a tool, not a library".into()),
        (Place::ForTests, Place::ForTests) => None,
        (Place::ForTests, Place::Floor(to)) => {
            (to < JOINS).then(|| format!("on the floor of {}", FLOORS[to].name))
        }
        (Place::Floor(_), Place::ForTests) => (kind != Kind::Dev).then(|| "outside its tests".into()),
        (Place::Floor(from), Place::Floor(to)) if from == to => {
            (!FLOORS[from].neighbours).then(|| format!("on the same floor ({})", FLOORS[from].name))
        }
        (Place::Floor(from), Place::Floor(to)) => {
            (to < from).then(|| format!("on a higher floor ({} over {})", FLOORS[to].name, FLOORS[from].name))
        }
    }
}

fn unknown(name: &str) -> Finding {
    Finding {
        place: name.into(),
        what: format!("{name} has no place in the house"),
        why: "every crate stands on a floor that says what it may use",
        help: "place it in FLOORS of xtask/src/tidy/arrows.rs and in ARCHITECTURE.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_arrow(from: &str, to: &str, kind: Kind, allowed: bool) {
        let dependency = Dependency { name: to.into(), kind, local: true };
        let package = Package {
            name: from.into(),
            version: String::new(),
            directory: "/".into(),
            dependencies: vec![dependency],
        };
        let findings = check(&[package]);
        assert_eq!(findings.is_empty(), allowed, "{from} -> {to}: {findings:?}");
    }

    #[test]
    fn arrows_point_down() {
        check_arrow("forebay", "forebay-admin", Kind::Normal, true);
        check_arrow("forebay-gateway", "forebay-retry", Kind::Normal, true);
        check_arrow("forebay-retry", "forebay-gateway", Kind::Normal, false);
        check_arrow("forebay-http", "forebay-store", Kind::Dev, false);
        check_arrow("forebay-http", "forebay-clock", Kind::Normal, true);
    }

    #[test]
    fn patterns_and_joins_do_not_know_their_neighbours() {
        check_arrow("forebay-retry", "forebay-balance", Kind::Normal, false);
        check_arrow("forebay-retry", "forebay-balance", Kind::Dev, false);
        check_arrow("forebay-gateway", "forebay-queue", Kind::Normal, false);
    }

    #[test]
    fn test_crates_are_for_tests() {
        check_arrow("forebay-http", "forebay-testkit", Kind::Dev, true);
        check_arrow("forebay-http", "forebay-testkit", Kind::Normal, false);
        check_arrow("forebay-sim", "forebay-queue", Kind::Normal, true);
        check_arrow("forebay-sim", "forebay-admin", Kind::Normal, false);
    }

    #[test]
    fn tools_stand_apart() {
        check_arrow("xtask", "forebay-http", Kind::Normal, false);
        check_arrow("forebay-http", "forebay-bench", Kind::Dev, false);
    }

    #[test]
    fn a_crate_without_a_place_is_named() {
        check_arrow("forebay-newcomer", "forebay-http", Kind::Normal, false);
    }
}
