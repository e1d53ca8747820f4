//! Answers that hold for a while, each under a digest of its question: bounded, and never older than it was said to be.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use forebay_clock::Moment;

/// Answers of one core, or of all together. A few hundred bytes each: about a megabyte.
pub const ENTRIES_MAX: usize = 4096;

/// Stands for a question. SHA-256: that two share one must not happen, even where somebody wants it to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Each part with its length before it, so that no two lists of parts are one text.
pub fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest(bytes)
}

/// Answers by digest.
#[derive(Debug)]
pub struct Remembered<V> {
    answers: HashMap<Digest, (V, Moment)>,
    entries_max: usize,
}

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Remembered { answers: HashMap::new(), entries_max: ENTRIES_MAX }
    }
}

impl<V: Clone> Remembered<V> {
    /// The answer, if it still holds.
    pub fn get(&self, question: &Digest, now: Moment) -> Option<V> {
        self.find(question, now).map(|(answer, _)| answer)
    }

    /// The answer, and until when it holds.
    pub fn find(&self, question: &Digest, now: Moment) -> Option<(V, Moment)> {
        self.answers.get(question).filter(|(_, until)| now < *until).cloned()
    }

    /// Keeps an answer until then. When it is full, those that hold no more go first, then any.
    pub fn keep(&mut self, question: Digest, answer: V, until: Moment, now: Moment) {
        if self.answers.len() >= self.entries_max && !self.answers.contains_key(&question) {
            self.answers.retain(|_, (_, until)| now < *until);
        }
        if self.answers.len() >= self.entries_max
            && let Some(any) = self.answers.keys().next().copied()
        {
            self.answers.remove(&any);
        }
        self.answers.insert(question, (answer, until));
    }

    /// Number of answers kept.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_holds_until_then_and_no_longer() {
        let mut remembered = Remembered::default();
        let (question, start) = (digest([&b"a"[..]]), Moment::START);
        let until = start + Duration::from_secs(1);
        remembered.keep(question, 1, until, start);
        assert_eq!(remembered.get(&question, start), Some(1));
        assert_eq!(remembered.find(&question, start), Some((1, until)));
        assert_eq!(remembered.get(&question, until), None);
        assert_eq!(remembered.get(&digest([&b"b"[..]]), start), None);
    }

    #[test]
    fn it_never_grows_past_its_bound() {
        let mut remembered = Remembered { answers: HashMap::new(), entries_max: 3 };
        let until = Moment::START + Duration::from_secs(1);
        for number in 0..10_u8 {
            remembered.keep(digest([&[number][..]]), number, until, Moment::START);
            assert!(remembered.len() <= 3);
            assert_eq!(remembered.get(&digest([&[number][..]]), Moment::START), Some(number));
        }
        remembered.keep(digest([&[42][..]]), 42, until + Duration::from_secs(1), until);
        assert_eq!(remembered.len(), 1, "what holds no more goes first");
    }

    #[test]
    fn lists_of_parts_are_told_apart() {
        assert_ne!(digest([&b"ab"[..], b"c"]), digest([&b"a"[..], b"bc"]));
        assert_ne!(digest([&b"a"[..]]), digest([&b"a"[..], b""]));
    }
}
