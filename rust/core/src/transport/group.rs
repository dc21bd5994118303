//! The connections of one kind: which protocol the engine was found to speak, and the shared ones.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use tokio::sync::Mutex;

use super::http2::{Seat, Shared};

/// See the module.
#[derive(Default)]
pub(super) struct Group {
    shared: RefCell<Vec<Weak<Shared>>>,
    /// Held by who opens a connection that others may want to share.
    pub(super) opening: Mutex<()>,
    /// How often opening failed, and why the last time.
    failures: Cell<u64>,
    words: RefCell<String>,
    speaks_http1: Cell<bool>,
    sockets: Cell<u64>,
    opened: Cell<u64>,
}

impl Group {
    /// A place on a shared connection, the fullest first, so that the others fall idle.
    pub(super) fn seat(&self) -> Option<Seat> {
        let shared = self.shared.borrow();
        let mut open: Vec<Rc<Shared>> = shared.iter().filter_map(Weak::upgrade).collect();
        open.sort_by_key(|connection| std::cmp::Reverse(connection.seats()));
        open.iter().find_map(|connection| connection.seat())
    }

    /// Adds a connection to share.
    pub(super) fn add(&self, connection: &Rc<Shared>) {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|known| known.strong_count() > 0);
        shared.push(Rc::downgrade(connection));
    }

    /// Whether the last connection spoke HTTP/1.1, which nobody can share.
    pub(super) fn speaks_http1(&self) -> bool {
        self.speaks_http1.get()
    }

    pub(super) fn found_http1(&self, found: bool) {
        self.speaks_http1.set(found);
    }

    /// How often opening a connection has failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.get()
    }

    pub(super) fn failed(&self, words: &str) {
        self.failures.set(self.failures.get() + 1);
        words.clone_into(&mut self.words.borrow_mut());
    }

    /// Why opening failed the last time.
    pub(super) fn words(&self) -> String {
        self.words.borrow().clone()
    }

    /// Open connections.
    pub(super) fn sockets(&self) -> u64 {
        self.sockets.get()
    }

    /// Connections that were opened so far.
    pub(super) fn opened(&self) -> u64 {
        self.opened.get()
    }

    /// Senders on shared connections.
    pub(super) fn seats(&self) -> u64 {
        self.shared.borrow().iter().filter_map(Weak::upgrade).map(|open| open.seats() as u64).sum()
    }
}

/// Counts a connection for as long as it is open.
pub(super) struct Open(Rc<Group>);

impl Open {
    pub(super) fn new(group: &Rc<Group>) -> Self {
        group.sockets.set(group.sockets.get() + 1);
        group.opened.set(group.opened.get() + 1);
        Self(Rc::clone(group))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.sockets.set(self.0.sockets.get().saturating_sub(1));
    }
}
