//! A fleet's endpoints by index, in chunks that a fleet shares with those it follows: a change of one copies its chunk, and
//! not ten thousand counted pointers. Decides nothing.

use std::ops::{Index, Range};
use std::sync::Arc;

use crate::Amendment;

/// Endpoints in a chunk: of 10,000, a change copies these and 40 pointers to the others, few enough for a pick to find its one
/// in the nearest cache.
pub(crate) const CHUNK: usize = 256;

/// Endpoints by index.
#[derive(Debug)]
pub struct Endpoints<E> {
    /// Full, but for the last one; none is empty.
    chunks: Vec<Arc<[E]>>,
    count: usize,
}

impl<E> Endpoints<E> {
    pub(crate) fn new(endpoints: Vec<E>) -> Endpoints<E> {
        let count = endpoints.len();
        let mut chunks = Vec::with_capacity(count.div_ceil(CHUNK));
        let mut left = endpoints.into_iter();
        while left.len() > 0 {
            chunks.push(left.by_ref().take(CHUNK).collect());
        }
        Endpoints { chunks, count }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// By index, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Indices of the chunks, here or there, that the two do not share, ascending.
    pub(crate) fn unshared<'a>(&'a self, with: &'a Endpoints<E>) -> impl Iterator<Item = Range<usize>> + 'a {
        let count = self.chunks.len().max(with.chunks.len());
        let is_shared = |chunk: &usize| {
            let pair = self.chunks.get(*chunk).zip(with.chunks.get(*chunk));
            pair.is_some_and(|(one, other)| Arc::ptr_eq(one, other))
        };
        (0..count).filter(move |chunk| !is_shared(chunk)).map(|chunk| chunk * CHUNK..(chunk + 1) * CHUNK)
    }
}

// Not derived: nothing is asked of the endpoints.
impl<E> Clone for Endpoints<E> {
    fn clone(&self) -> Endpoints<E> {
        Endpoints { chunks: self.chunks.clone(), count: self.count }
    }
}

impl<E: Clone> Endpoints<E> {
    pub(crate) fn amend(&mut self, amendment: Amendment<E>) {
        match amendment {
            Amendment::Replace(index, endpoint) => self.replace(index, endpoint),
            Amendment::Add(endpoint) => self.push(endpoint),
            Amendment::Remove(index) => self.swap_remove(index),
        }
    }

    pub(crate) fn replace(&mut self, index: usize, endpoint: E) {
        self.change_chunk(index, |chunk| chunk[index % CHUNK] = endpoint);
    }

    pub(crate) fn push(&mut self, endpoint: E) {
        if self.count.is_multiple_of(CHUNK) {
            self.chunks.push([endpoint].into());
        } else {
            self.change_chunk(self.count, |chunk| chunk.push(endpoint));
        }
        self.count += 1;
    }

    /// The last one takes its index.
    pub(crate) fn swap_remove(&mut self, index: usize) {
        let last = self.count - 1;
        if index != last {
            self.replace(index, self[last].clone());
        }
        if last.is_multiple_of(CHUNK) {
            self.chunks.pop();
        } else {
            self.change_chunk(last, |chunk| chunk.truncate(last % CHUNK));
        }
        self.count = last;
    }

    fn change_chunk(&mut self, index: usize, change: impl FnOnce(&mut Vec<E>)) {
        let chunk = &mut self.chunks[index / CHUNK];
        let mut endpoints = chunk.to_vec();
        change(&mut endpoints);
        *chunk = endpoints.into();
    }
}

impl<E> Index<usize> for Endpoints<E> {
    type Output = E;

    fn index(&self, index: usize) -> &E {
        &self.chunks[index / CHUNK][index % CHUNK]
    }
}

impl<'a, E> IntoIterator for &'a Endpoints<E> {
    type Item = &'a E;
    type IntoIter = std::iter::FlatMap<
        std::slice::Iter<'a, Arc<[E]>>,
        std::slice::Iter<'a, E>,
        fn(&'a Arc<[E]>) -> std::slice::Iter<'a, E>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_vector_and_what_was_before_stays_as_it_was(
            size in 0..300usize,
            changes in prop::collection::vec((0..3u8, 0..300usize), 0..80),
        ) {
            let mut plain: Vec<usize> = (0..size).collect();
            let mut chunked = Endpoints::new(plain.clone());
            for (kind, at) in changes {
                let (before, was) = (chunked.clone(), plain.clone());
                match kind {
                    0 => {
                        plain.push(at);
                        chunked.push(at);
                    }
                    1 if at < plain.len() => {
                        plain[at] = at + 1000;
                        chunked.replace(at, at + 1000);
                    }
                    2 if at < plain.len() => {
                        plain.swap_remove(at);
                        chunked.swap_remove(at);
                    }
                    _ => {}
                }
                prop_assert_eq!(chunked.iter().copied().collect::<Vec<_>>(), plain.clone());
                prop_assert_eq!(chunked.len(), plain.len());
                prop_assert!((0..plain.len()).all(|index| chunked[index] == plain[index]));
                prop_assert!(before.iter().eq(&was));
                // Whatever differs is in a chunk that is not shared.
                let unshared: Vec<_> = chunked.unshared(&before).collect();
                prop_assert!(unshared.len() <= 2);
                for index in 0..plain.len().max(was.len()) {
                    let is_other = plain.get(index) != was.get(index);
                    prop_assert!(!is_other || unshared.iter().any(|range| range.contains(&index)));
                }
            }
        }
    }
}
