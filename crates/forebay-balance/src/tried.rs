//! Remembers which endpoints one request has been to, so that each try goes to another.

/// Endpoints remembered per request. More tries than this are rare, and the request's state stays small.
pub const TRIED_MAX: usize = 8;

/// The endpoints that this request has tried, by index into its fleet.
///
/// Indices mean something only together with the [`Fleet`](crate::Fleet) they came from: a request keeps one
/// balancer for all its tries. Past [`TRIED_MAX`] the oldest is forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    indices: [u32; TRIED_MAX],
    /// Insertions ever made; the next one goes to this, modulo the capacity.
    inserted: usize,
}

impl Tried {
    /// Remembers `index`.
    pub fn insert(&mut self, index: usize) {
        self.indices[self.inserted % TRIED_MAX] = index as u32;
        self.inserted += 1;
    }

    /// Whether `index` is among the remembered.
    pub fn contains(&self, index: usize) -> bool {
        self.indices[..self.inserted.min(TRIED_MAX)].contains(&(index as u32))
    }

    /// Whether this request has not been anywhere yet.
    pub fn is_empty(&self) -> bool {
        self.inserted == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_tried_at_first() {
        assert!(Tried::default().is_empty());
        assert!(!Tried::default().contains(0));
    }

    #[test]
    fn the_oldest_is_forgotten_when_full() {
        let mut tried = Tried::default();
        (0..=TRIED_MAX).for_each(|index| tried.insert(index));
        assert!(!tried.contains(0));
        assert!((1..=TRIED_MAX).all(|index| tried.contains(index)));
    }
}
