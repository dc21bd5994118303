//! The connections of one kind: which protocol the engine was found to speak, and the shared ones.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use tokio::sync::Mutex;

use super::Kind;
use super::http2::{Seat, Shared};

/// Shared connections for outcomes, where one could carry all of them. Both sides take what has come in one piece and
/// answer it in one: on a single connection one of them always waits for the other, and two cores do the work of one.
const WAYS: usize = 2;

/// Senders on each connection, before another is opened for that reason.
const FEW_SEATS: usize = 16;

/// See the module.
pub(super) struct Group {
    kind: Kind,
    /// Shared connections to have, once there are more than a few senders.
    ways: Cell<usize>,
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
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            ways: Cell::new(WAYS),
            shared: RefCell::default(),
            opening: Mutex::default(),
            failures: Cell::new(0),
            words: RefCell::default(),
            speaks_http1: Cell::new(false),
            sockets: Cell::new(0),
            opened: Cell::new(0),
        }
    }

    /// A place on a shared connection. Polls get it on the fullest, so that the others fall idle, outcomes on the
    /// emptiest, so that all are at work.
    pub(super) fn seat(&self) -> Option<Seat> {
        let mut open = self.open();
        open.sort_by_key(|connection| connection.seats());
        if self.kind == Kind::Polls {
            open.reverse();
        }
        open.iter().find_map(|connection| connection.seat())
    }

    /// The same, unless another connection is to be opened first.
    pub(super) fn seat_for_now(&self) -> Option<Seat> {
        if self.wants_way() { None } else { self.seat() }
    }

    /// Whether another shared connection is worth opening although those that there are have places.
    pub(super) fn wants_way(&self) -> bool {
        let open = self.open();
        let seats: usize = open.iter().map(|connection| connection.seats()).sum();
        let many = seats >= open.len() * FEW_SEATS && !open.is_empty();
        self.kind == Kind::Outcomes && open.len() < self.ways.get() && many
    }

    /// No further one could be opened: those that there are have to do, until a new one takes the place of one of them.
    pub(super) fn no_more_ways(&self) {
        self.ways.set(1);
    }

    fn open(&self) -> Vec<Rc<Shared>> {
        let shared = self.shared.borrow();
        shared.iter().filter_map(Weak::upgrade).filter(|connection| !connection.ended()).collect()
    }

    /// Adds a connection to share.
    pub(super) fn add(&self, connection: &Rc<Shared>) {
        self.ways.set(WAYS);
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
