//! What the target of `fuzz/` claims of any message from a name server. Compiled for it and for the tests alone.

use domain::base::{Message, Rtype};

use super::message::{addresses, interpret, services};
use crate::answer::ResolveFailure;
use crate::host::HostName;

/// Reads a message as if it answered each kind of question.
///
/// # Panics
/// When something is found that nobody could connect to, or a failure has nothing to say.
pub fn hostile_answer(octets: &[u8]) {
    let Ok(reply) = Message::from_octets(octets.to_vec()) else { return };
    let server = ([127, 0, 0, 1], 53).into();
    let host = HostName::parse("orders.internal").expect("a name");
    let said =
        |failure: ResolveFailure| assert!(!failure.to_string().is_empty() && !failure.public().is_empty());
    for kind in [Rtype::A, Rtype::AAAA] {
        match interpret(&reply, &host, kind, server, addresses) {
            Ok(found) => assert!(!found.records.is_empty()),
            Err(failure) => said(failure),
        }
    }
    match interpret(&reply, &host, Rtype::SRV, server, services) {
        Ok(found) => {
            assert!(!found.records.is_empty());
            for record in found.records {
                assert!(record.port != 0);
                assert_eq!(
                    HostName::parse(record.target.as_str()).as_ref(),
                    Ok(&record.target),
                    "it is looked up next"
                );
            }
        }
        Err(failure) => said(failure),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_corpus_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/dns_answer");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).expect("a corpus") {
            hostile_answer(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
            count += 1;
        }
        assert!(count >= 10, "the corpus has only {count} inputs");
    }
}
