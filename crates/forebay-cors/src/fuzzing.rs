//! What the target of `fuzz/` claims of any request's fields. Compiled for it and for the tests alone.

use std::path::Path;
use std::sync::LazyLock;

use forebay_config::{Inputs, Settings, load};
use forebay_http::{Fields, Section};

use crate::{Ask, CorsSettings, Policy, Verdict};

/// Policies of every kind, numbered by an input's first byte.
const TABLES: [&str; 4] = [
    "origins = ['https://*.a.example', 'https://b.example', 'http://localhost:*']\ncredentials = true\n\
     methods = ['*']\nheaders = ['*', 'authorization']",
    "origins = ['*']\nheaders = ['x-a', 'x-b', 'content-type']\nmethods = ['GET', 'PUT']",
    "origins = ['*']\ncredentials = true\ndangerously_allow_any_origin_with_credentials = true",
    "origins = ['https://b.example']\nprivate_network = true\nheaders = ['*']\nmethods = ['*']",
];

/// One table.
#[derive(Debug, Settings)]
struct Root {
    /// The policy.
    cors: CorsSettings,
}

static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let policy = |table: &&str| {
        let text = format!("[cors]\n{table}\n");
        let read = |_: &Path| Ok(text.as_bytes().to_vec());
        let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
        load::<Root>(inputs).ok().map(|loaded| Policy::new(&loaded.value.cors))
    };
    TABLES.iter().filter_map(policy).collect()
});

/// The first byte chooses a policy; then, by lines: origin, method, headers, private network.
pub fn hostile(data: &[u8]) {
    assert_eq!(POLICIES.len(), TABLES.len(), "a table does not load");
    let Some((&first, rest)) = data.split_first() else { return };
    let mut section = Section::new();
    let names = [
        "origin",
        "access-control-request-method",
        "access-control-request-headers",
        "access-control-request-private-network",
    ];
    for (name, line) in names.iter().zip(rest.split(|&byte| byte == b'\n')) {
        // No other control bytes get past the codec.
        let value: Vec<u8> =
            line.iter().map(|&byte| if byte == b'\t' { byte } else { byte.max(b' ') }).collect();
        section.append(name, &value);
    }
    check(&POLICIES[usize::from(first) % POLICIES.len()], &section);
}

/// Decides twice about the same fields and looks at what comes out: the same both times, no byte that a response may not
/// carry, and no origin but `*`, the one that asked, or one of the policy's.
fn check(policy: &Policy, request: &Section) {
    for method in ["OPTIONS", "GET"] {
        let ask = Ask { method, scheme: "https", authority: "api.example" };
        let (first, second) = (respond(policy, &ask, request), respond(policy, &ask, request));
        assert_eq!(first, second, "decisions depend on more than the request");
        for (name, value) in &first {
            assert!(value.iter().all(|&byte| byte >= b' ' || byte == b'\t'), "control byte in {name}");
            if *name == "access-control-allow-origin" {
                let asked = request.value("origin").unwrap_or_default();
                let fixed = policy.is_static();
                assert!(fixed || value == asked, "{:?}", String::from_utf8_lossy(value));
            }
        }
    }
}

fn respond(policy: &Policy, ask: &Ask<'_>, request: &Section) -> Vec<(&'static str, Vec<u8>)> {
    let own = |edits: &crate::Edits<'_>| edits.fields().map(|(name, value)| (name, value.to_vec())).collect();
    match policy.decide(ask, request) {
        Verdict::Answer(preflight) => own(&preflight.edits()),
        Verdict::Pass(decision) => own(&policy.edits(&decision)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/cors");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).expect("a corpus") {
            hostile(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
            count += 1;
        }
        assert!(count >= 10, "the corpus has only {count} inputs");
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_decision(data in vec(any::<u8>(), 0..400)) {
            hostile(&data);
        }
    }
}
