//! One activation answer: the activations that it carries and whether it reached its client.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

/// Whether an activation answer reached its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Not written to the end yet.
    Pending,
    /// Written to the socket, every byte.
    Whole,
    /// Cut off by a fault or by the client's departure.
    Cut,
}

/// The jobs activated by one request.
pub(crate) struct Batch {
    /// End of their leases unless renewed.
    pub(crate) deadline: u64,
    pub(crate) worker: Rc<str>,
    pub(crate) leased: bool,
    pub(crate) first_seq: u64,
    pub(crate) delivery: Cell<Delivery>,
    /// When it was made, for the latencies.
    pub(super) made: Instant,
    /// Emptied once no job of it is in flight, since the batch stays in the timer heap up to its deadline.
    keys: RefCell<Vec<u64>>,
    open: Cell<u32>,
}

impl Batch {
    pub(super) fn new(deadline: u64, worker: Rc<str>, leased: bool, first_seq: u64) -> Self {
        Self {
            deadline,
            worker,
            leased,
            first_seq,
            delivery: Cell::new(Delivery::Pending),
            made: Instant::now(),
            open: Cell::new(0),
            keys: RefCell::default(),
        }
    }

    /// Says which jobs it carries, in the order of their activation numbers.
    pub(super) fn fill(&self, keys: Vec<u64>) {
        self.open.set(keys.len() as u32);
        self.keys.replace(keys);
    }

    /// One of its activations ended.
    pub(super) fn leave(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        if self.open.get() == 0 {
            self.keys.take();
        }
    }

    /// True while at least one of its jobs is in flight.
    pub(super) fn is_open(&self) -> bool {
        self.open.get() > 0
    }

    /// Keys and activation numbers; empty once none is in flight.
    pub(super) fn activations(&self) -> Vec<(u64, u64)> {
        self.keys.borrow().iter().copied().zip(self.first_seq..).collect()
    }
}
