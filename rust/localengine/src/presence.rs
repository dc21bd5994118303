//! Which workers are connected. A lease that ends is its fleet's fault only while the fleet lives, and a fleet
//! lives as long as a connection that activated in its worker's name or spoke for a job that it holds.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

/// A worker counts as alive for this long after its last connection closed: connections are replaced in passing.
const GRACE_MS: u64 = 1_000;

/// Names kept before those without a connection are dropped.
const MANY: usize = 1_024;

/// The workers for whom one connection spoke; one, nearly always.
#[derive(Default)]
pub(crate) struct Caller {
    workers: RefCell<Vec<Rc<str>>>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Presence {
    workers: FxHashMap<Rc<str>, Record>,
}

#[derive(Default)]
struct Record {
    connections: u32,
    left_at: u64,
}

impl Presence {
    /// An activation in this worker's name came over this connection.
    pub(crate) fn note(&mut self, caller: &Caller, worker: &str) -> Rc<str> {
        let mut known = caller.workers.borrow_mut();
        if let Some(name) = known.iter().find(|name| ***name == *worker) {
            return name.clone();
        }
        let name = match self.workers.get_key_value(worker) {
            Some((name, _)) => name.clone(),
            None => worker.into(),
        };
        self.workers.entry(name.clone()).or_default().connections += 1;
        known.push(name.clone());
        name
    }

    /// A command for a job that this worker holds came over this connection.
    pub(crate) fn note_holder(&mut self, caller: &Caller, worker: &Rc<str>) {
        let known = caller.workers.borrow().iter().any(|name| Rc::ptr_eq(name, worker));
        if !known {
            self.note(caller, worker);
        }
    }

    /// The connection closed.
    pub(crate) fn leave(&mut self, caller: &Caller, now: u64) {
        for name in caller.workers.take() {
            if let Some(record) = self.workers.get_mut(&name) {
                record.connections = record.connections.saturating_sub(1);
                record.left_at = now;
            }
        }
        if self.workers.len() > MANY {
            self.workers.retain(|_, record| record.lives(now));
        }
    }

    /// Whether a worker of this name is connected, or was a moment ago.
    pub(crate) fn lives(&self, worker: &str, now: u64) -> bool {
        self.workers.get(worker).is_some_and(|record| record.lives(now))
    }
}

impl Record {
    fn lives(&self, now: u64) -> bool {
        self.connections > 0 || now.saturating_sub(self.left_at) < GRACE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_lives_until_shortly_after_its_last_connection() {
        let mut presence = Presence::default();
        let (first, second) = (Caller::default(), Caller::default());
        presence.note(&first, "w");
        presence.note(&first, "w");
        presence.note(&second, "w");
        presence.leave(&first, 10);
        assert!(presence.lives("w", 1_000_000));
        presence.leave(&second, 2_000_000);
        assert!(presence.lives("w", 2_000_000 + GRACE_MS - 1));
        assert!(!presence.lives("w", 2_000_000 + GRACE_MS));
        assert!(!presence.lives("unknown", 0));
    }
}
