//! Keys of jobs that are activated and not yet completed, between the polls and the lanes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// See the module.
#[derive(Default)]
pub(crate) struct Queue {
    keys: Mutex<VecDeque<Bytes>>,
    filled: Notify,
    drained: Notify,
}

impl Queue {
    /// Add the keys of one answer.
    pub(crate) fn push(&self, keys: impl Iterator<Item = Bytes>) {
        self.lock().extend(keys);
        self.filled.notify_one();
    }

    /// Take a key, waiting for one; wakes polls once fewer than `low` are left.
    pub(crate) async fn pop(&self, low: usize) -> Bytes {
        loop {
            let (key, left) = {
                let mut keys = self.lock();
                (keys.pop_front(), keys.len())
            };
            if left + 1 == low {
                self.drained.notify_waiters();
            }
            if let Some(key) = key {
                if left > 0 {
                    self.filled.notify_one();
                }
                return key;
            }
            self.filled.notified().await;
        }
    }

    /// Return once fewer than `low` keys wait.
    pub(crate) async fn below(&self, low: usize) {
        loop {
            let drained = self.drained.notified();
            if self.lock().len() < low {
                return;
            }
            drained.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Bytes>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> impl Iterator<Item = Bytes> {
        (0..count).map(|n| Bytes::from(n.to_string()))
    }

    #[tokio::test]
    async fn every_lane_is_woken_for_its_key() {
        let queue = std::sync::Arc::new(Queue::default());
        let mut lanes = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let queue = queue.clone();
            lanes.spawn(async move { queue.pop(1).await });
        }
        tokio::task::yield_now().await;
        queue.push(keys(10));
        assert_eq!(lanes.join_all().await.len(), 10);
    }

    #[tokio::test]
    async fn a_poll_is_woken_at_the_low_mark() {
        let queue = std::sync::Arc::new(Queue::default());
        queue.push(keys(6));
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.below(4).await }
        });
        tokio::task::yield_now().await;
        for _ in 0..2 {
            queue.pop(4).await;
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        queue.pop(4).await;
        waiting.await.unwrap();
    }
}
