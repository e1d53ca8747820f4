//! What the target `registration` of `fuzz/` claims of anything that clients send: it is read or refused, without a panic,
//! and what was read is within its bounds. Compiled for it and for the tests alone.

use crate::consul::fuzzing as consul;
use crate::query::Query;
use crate::{go_duration, native};

/// The first byte chooses who reads the rest.
pub fn registration(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    match first % 6 {
        0 => consul::service(rest),
        1 => consul::check(rest),
        2 => consul::update(rest),
        3 => native::fuzzing(rest),
        4 => with_text(rest, consul::target),
        _ => with_text(rest, durations),
    }
}

fn with_text(data: &[u8], then: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(data) {
        then(text);
        // Whatever it is, reading it as a query must not fall over either.
        let _ = Query::parse(text);
    }
}

/// What is read and written again is the same.
fn durations(text: &str) {
    if let Ok(read) = go_duration::parse(text) {
        let written = go_duration::write(read);
        assert_eq!(go_duration::parse(&written), Ok(read), "{text} became {written}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/registration");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).expect("a corpus") {
            registration(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
            count += 1;
        }
        assert!(count >= 10, "the corpus has only {count} inputs");
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_reader(data in vec(any::<u8>(), 0..400)) {
            registration(&data);
        }

        #[test]
        fn durations_come_back(nanos in 0..i64::MAX as u64) {
            durations(&format!("{nanos}ns"));
        }
    }
}
