//! Handlers whose time is over, for the thread that tells them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use super::lock;

/// A job whose handler has run for as long as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Index of the lane.
    pub lane: u16,
    /// The job's number in the lane.
    pub number: u64,
    /// The limit.
    pub limit_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Limits {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Limit>,
    closed: bool,
}

impl Limits {
    pub(super) fn push(&self, limit: Limit) {
        lock(&self.queue).waiting.push_back(limit);
        self.changed.notify_one();
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        lock(&self.queue).closed = true;
        self.changed.notify_all();
    }

    pub(super) fn wait(&self) -> Option<Limit> {
        let waits = |queue: &mut Queue| queue.waiting.is_empty() && !queue.closed;
        let queue = self.changed.wait_while(lock(&self.queue), waits);
        queue.unwrap_or_else(PoisonError::into_inner).waiting.pop_front()
    }
}
