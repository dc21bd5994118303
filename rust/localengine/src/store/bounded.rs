//! A map that forgets its oldest entries beyond a limit.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

/// Entries kept. Only activations that ended without a definite answer get one, so this covers a million faults
/// whose commands may still come.
const LIMIT: usize = 1 << 20;

/// A map of bounded size.
pub(super) struct Bounded<V> {
    map: FxHashMap<u64, V>,
    /// Insertion order; may name keys that were removed since.
    order: VecDeque<u64>,
}

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self { map: FxHashMap::default(), order: VecDeque::new() }
    }
}

impl<V> Bounded<V> {
    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        self.map.get_mut(&key)
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<V> {
        self.map.remove(&key)
    }

    pub(super) fn insert(&mut self, key: u64, value: V) {
        if self.map.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > LIMIT {
            if let Some(oldest) = self.order.pop_front() {
                self.map.remove(&oldest);
            }
        }
    }
}
