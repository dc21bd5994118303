//! The timer heap: ends of leases and of back-offs.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

use super::Batch;

/// What is due.
pub(super) enum Due {
    /// The leases of one answer end, except those changed since.
    Batch(Rc<Batch>),
    /// The lease or the back-off of one job ends, if its last activation still is this one.
    Job { key: u64, seq: u64 },
}

struct Timer {
    at: u64,
    due: Due,
}

/// See the module. Timers are never removed early; stale ones are recognised when due, or swept by `compact`.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Timer>,
}

impl Timers {
    pub(super) fn push(&mut self, at: u64, due: Due) {
        self.heap.push(Timer { at, due });
    }

    /// Timers set, stale ones included.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// When the next timer is due, stale ones included.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|timer| timer.at)
    }

    /// The next timer that is due.
    pub(super) fn pop(&mut self, now: u64) -> Option<Due> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|timer| timer.due)
    }

    /// Drops stale timers once they outnumber the live ones: long leases of short jobs would pile up.
    pub(super) fn compact(&mut self, live: usize, mut is_live: impl FnMut(u64, &Due) -> bool) {
        if self.len() > 2 * live + 1024 {
            self.heap.retain(|timer| is_live(timer.at, &timer.due));
        }
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Timer {}
