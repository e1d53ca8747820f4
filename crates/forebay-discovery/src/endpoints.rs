//! A service's endpoints in their order, in chunks that a set shares with those it follows: a change of one copies its
//! chunk, and not twenty thousand counted pointers. What differs between two sets is found by what they do not share.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::ops::{Index, Range};
use std::sync::Arc;

use crate::live::EndpointId;
use crate::service::LiveEndpoint;

/// Endpoints of a chunk when it is made; it may grow to twice as many. Of 10,000, a change copies these and 157 pointers.
const CHUNK: usize = 64;
/// One that has shrunk below goes together with the one beside it, so that a set never comes to many small ones.
const CHUNK_MIN: usize = CHUNK / 4;

type Chunk = Arc<[LiveEndpoint]>;

/// Endpoints in a stable order.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// None is empty.
    chunks: Vec<Chunk>,
    /// The place of each chunk's first one.
    starts: Vec<usize>,
    count: usize,
}

/// What is another in one set than in the set before.
#[derive(Clone, Debug)]
pub enum EndpointChange {
    /// It came.
    Came(LiveEndpoint),
    /// It is described otherwise.
    Changed(LiveEndpoint),
    /// It is gone.
    Gone(EndpointId),
}

impl Endpoints {
    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &LiveEndpoint> {
        self.into_iter()
    }

    /// The one at this place, if there are so many.
    pub fn get(&self, place: usize) -> Option<&LiveEndpoint> {
        (place < self.count).then(|| &self[place])
    }

    /// What has changed since `before`, in no order; with few changes between the two, found by a look at few endpoints.
    pub fn changes_since(&self, before: &Endpoints) -> Vec<EndpointChange> {
        // Mostly one chunk differs, so what is the same is found by going along from both ends.
        let is_same = |(one, other): &(&Chunk, &Chunk)| Arc::ptr_eq(one, other);
        let head = self.chunks.iter().zip(&before.chunks).take_while(is_same).count();
        let (new, old) = (&self.chunks[head..], &before.chunks[head..]);
        let tail = new.iter().rev().zip(old.iter().rev()).take_while(is_same).count();
        let (new, old) = (&new[..new.len() - tail], &old[..old.len() - tail]);
        let pointers = |of: &[Chunk]| of.iter().map(Arc::as_ptr).collect::<HashSet<_>>();
        let (here, there) = (pointers(new), pointers(old));
        let unshared = old.iter().filter(|chunk| !here.contains(&Arc::as_ptr(chunk)));
        let mut old: HashMap<EndpointId, &LiveEndpoint> =
            unshared.flat_map(|chunk| chunk.iter()).map(|old| (old.live.id(), old)).collect();
        let mut changes = Vec::new();
        let unshared = new.iter().filter(|chunk| !there.contains(&Arc::as_ptr(chunk)));
        for new in unshared.flat_map(|chunk| chunk.iter()) {
            match old.remove(&new.live.id()) {
                Some(old) if Arc::ptr_eq(&old.endpoint, &new.endpoint) => {}
                Some(_) => changes.push(EndpointChange::Changed(new.clone())),
                None => changes.push(EndpointChange::Came(new.clone())),
            }
        }
        changes.extend(old.into_keys().map(EndpointChange::Gone));
        changes
    }

    /// Those at these places.
    pub(crate) fn range(&self, places: Range<usize>) -> impl Iterator<Item = &LiveEndpoint> {
        let first = self.starts.partition_point(|&start| start <= places.start).saturating_sub(1);
        let skipped = places.start - self.starts.get(first).copied().unwrap_or_default();
        self.chunks[first..].iter().flat_map(|chunk| chunk.iter()).skip(skipped).take(places.len())
    }

    /// Among those at these places, which stand in the order that `compare` goes by, the place of one or where it would be.
    pub(crate) fn search(
        &self,
        places: Range<usize>,
        compare: impl Fn(&LiveEndpoint) -> Ordering,
    ) -> Result<usize, usize> {
        let (mut low, mut high) = (places.start, places.end);
        while low < high {
            let middle = low.midpoint(high);
            match compare(&self[middle]) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    pub(crate) fn replace(&mut self, place: usize, endpoint: LiveEndpoint) {
        let chunk = self.chunk_of(place);
        let at = place - self.starts[chunk];
        let mut endpoints = self.chunks[chunk].to_vec();
        endpoints[at] = endpoint;
        self.chunks[chunk] = endpoints.into();
    }

    pub(crate) fn insert(&mut self, place: usize, endpoint: LiveEndpoint) {
        if self.chunks.is_empty() {
            *self = [endpoint].into_iter().collect();
            return;
        }
        // Behind the last one is in the last chunk.
        let chunk = self.chunk_of(place);
        let mut endpoints = self.chunks[chunk].to_vec();
        endpoints.insert(place - self.starts[chunk], endpoint);
        self.put(chunk..chunk + 1, endpoints);
    }

    pub(crate) fn remove(&mut self, place: usize) -> LiveEndpoint {
        let chunk = self.chunk_of(place);
        let mut endpoints = self.chunks[chunk].to_vec();
        let gone = endpoints.remove(place - self.starts[chunk]);
        let mut chunks = chunk..chunk + 1;
        if endpoints.len() < CHUNK_MIN
            && let Some(next) = self.chunks.get(chunk + 1)
        {
            endpoints.extend_from_slice(next);
            chunks.end += 1;
        }
        self.put(chunks, endpoints);
        gone
    }

    /// Puts endpoints in the place of whole chunks: as one chunk, as two if they are many, as none if there are none.
    fn put(&mut self, chunks: Range<usize>, mut endpoints: Vec<LiveEndpoint>) {
        let behind = if endpoints.len() > 2 * CHUNK { endpoints.split_off(CHUNK) } else { Vec::new() };
        let new = [endpoints, behind].into_iter().filter(|endpoints| !endpoints.is_empty()).map(Arc::from);
        self.chunks.splice(chunks, new);
        self.count();
    }

    /// Says where each chunk starts.
    fn count(&mut self) {
        self.count = 0;
        self.starts.clear();
        for chunk in &self.chunks {
            self.starts.push(self.count);
            self.count += chunk.len();
        }
    }

    fn chunk_of(&self, place: usize) -> usize {
        self.starts.partition_point(|&start| start <= place) - 1
    }
}

impl FromIterator<LiveEndpoint> for Endpoints {
    fn from_iter<T: IntoIterator<Item = LiveEndpoint>>(endpoints: T) -> Endpoints {
        let mut left = endpoints.into_iter().peekable();
        let mut all = Endpoints::default();
        while left.peek().is_some() {
            all.chunks.push(left.by_ref().take(CHUNK).collect());
        }
        all.count();
        all
    }
}

impl Index<usize> for Endpoints {
    type Output = LiveEndpoint;

    fn index(&self, place: usize) -> &LiveEndpoint {
        let chunk = self.chunk_of(place);
        &self.chunks[chunk][place - self.starts[chunk]]
    }
}

impl<'a> IntoIterator for &'a Endpoints {
    type Item = &'a LiveEndpoint;
    type IntoIter = std::iter::FlatMap<
        std::slice::Iter<'a, Chunk>,
        std::slice::Iter<'a, LiveEndpoint>,
        fn(&'a Chunk) -> std::slice::Iter<'a, LiveEndpoint>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

#[cfg(test)]
mod tests {
    use forebay_clock::Moment;
    use proptest::prelude::*;

    use super::*;
    use crate::endpoint::{Endpoint, Target};
    use crate::live::LiveState;

    fn endpoint(number: u32) -> LiveEndpoint {
        let target = Target::new(([10, 0, 0, 1], 80).into());
        LiveEndpoint {
            endpoint: Arc::new(Endpoint::new(&"a".into(), &"http://10.0.0.1:80".parse().unwrap(), &target)),
            live: Arc::new(LiveState::new(EndpointId(number), Moment::START)),
        }
    }

    /// Ids with what describes them.
    fn seen(endpoints: &Endpoints) -> Vec<(u32, *const Endpoint)> {
        endpoints.iter().map(|it| (it.live.id().0, Arc::as_ptr(&it.endpoint))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_a_vector_whose_changes_are_known(
            size in 0..400u32,
            changes in prop::collection::vec((0..3u8, 0..400usize), 0..200),
        ) {
            let mut plain: Vec<LiveEndpoint> = (0..size).map(endpoint).collect();
            let mut chunked: Endpoints = plain.iter().cloned().collect();
            let mut number = size;
            let (before, was) = (chunked.clone(), seen(&chunked));
            for (kind, at) in changes {
                let at = at % (plain.len() + 1);
                if kind == 0 {
                    number += 1;
                    plain.insert(at, endpoint(number));
                    chunked.insert(at, plain[at].clone());
                } else if at == plain.len() {
                    continue;
                } else if kind == 1 {
                    plain[at].endpoint = Arc::new((*plain[at].endpoint).clone());
                    chunked.replace(at, plain[at].clone());
                } else {
                    prop_assert_eq!(chunked.remove(at).live.id(), plain.remove(at).live.id());
                }
            }
            let flat: Endpoints = plain.iter().cloned().collect();
            prop_assert_eq!(seen(&chunked), seen(&flat));
            prop_assert_eq!(chunked.len(), plain.len());
            prop_assert!((0..plain.len()).all(|at| Arc::ptr_eq(&chunked[at].live, &plain[at].live)));
            let middle = plain.len() / 3..plain.len() / 2;
            prop_assert!(chunked.range(middle.clone()).map(|it| it.live.id()).eq(plain[middle].iter().map(|it| it.live.id())));
            prop_assert_eq!(&seen(&before), &was);
            prop_assert!(chunked.chunks.iter().all(|chunk| (1..=2 * CHUNK).contains(&chunk.len())));

            let mut followed: HashMap<u32, *const Endpoint> = was.into_iter().collect();
            for change in chunked.changes_since(&before) {
                match change {
                    EndpointChange::Came(it) => {
                        prop_assert!(followed.insert(it.live.id().0, Arc::as_ptr(&it.endpoint)).is_none());
                    }
                    EndpointChange::Changed(it) => {
                        prop_assert!(followed.insert(it.live.id().0, Arc::as_ptr(&it.endpoint)).is_some());
                    }
                    EndpointChange::Gone(id) => prop_assert!(followed.remove(&id.0).is_some()),
                }
            }
            prop_assert_eq!(followed, seen(&chunked).into_iter().collect::<HashMap<_, _>>());
        }
    }

    #[test]
    fn all_but_a_chunk_is_shared() {
        let before: Endpoints = (0..1000).map(endpoint).collect();
        let mut after = before.clone();
        after.remove(500);
        let shared =
            after.chunks.iter().filter(|chunk| before.chunks.iter().any(|old| Arc::ptr_eq(old, chunk)));
        assert_eq!((shared.count(), after.chunks.len()), (15, 16));
    }
}
