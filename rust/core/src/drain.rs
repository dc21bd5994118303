//! Drain: nothing new is started, what waits goes back, and the end of it is told once.

use std::rc::Rc;

use crate::events::Event;
use crate::fleet::Fleet;
use crate::ledger::{JobId, Stage};

impl Fleet {
    /// Starts no more polls and hands back every job that has not started.
    pub(crate) fn stop_activation(self: &Rc<Self>) {
        if !self.activating.replace(false) {
            return;
        }
        self.wake_pollers();
        self.permit_freed.notify_waiters();
        self.gate_changed.notify_waiters();
        if self.capabilities().notices_departed_clients {
            self.transport.half_close_polls(|_| true);
        }
        let workers: Vec<u64> =
            self.state.borrow().pools.iter().flat_map(|pool| pool.workers.iter().map(|w| w.id)).collect();
        let mut back = self.take_waiting();
        back.extend(workers.into_iter().flat_map(|worker| self.take_unstarted(worker)));
        for id in back {
            self.hand_back(id, "the fleet is draining", 0);
        }
        self.tell_if_drained();
    }

    /// Hands back every job that still runs and drops the held polls.
    pub(crate) fn give_up(self: &Rc<Self>, reason: &str) {
        self.stop_activation();
        self.abandoned.set(true);
        self.abandon.notify_waiters();
        self.take_back(reason, |_| true);
        self.tell_if_drained();
    }

    /// Hands back every job that was given to one of these workers. It is no death: nobody is a suspect.
    pub(crate) fn take_back(self: &Rc<Self>, reason: &str, from: impl Fn(u64) -> bool) {
        let mut state = self.state.borrow_mut();
        let running = state.ledger.ids_where(|entry| match entry.stage {
            Stage::Sent { worker, .. } => from(worker),
            _ => false,
        });
        for id in &running {
            let Some(Stage::Sent { worker, lane, number }) = state.ledger.get(*id).map(|entry| entry.stage)
            else {
                continue;
            };
            // Its outcome, should it still come, finds nothing under this number.
            if let Some(owner) = state.worker(worker)
                && let Some(lane) = owner.lanes.get_mut(lane)
            {
                lane.take(number);
            }
            let job_type = state.ledger.get(*id).map(|entry| entry.job_type);
            if let Some(kind) = job_type.and_then(|index| state.types.get_mut(index)) {
                kind.sent -= 1;
            }
        }
        drop(state);
        for id in running {
            self.hand_back(id, reason, 0);
        }
    }

    /// Empties every queue.
    fn take_waiting(&self) -> Vec<JobId> {
        let mut state = self.state.borrow_mut();
        (0..state.types.len()).flat_map(|job_type| state.empty_queues(job_type)).collect()
    }

    /// Tells, once, that nothing is left to wait for.
    pub(crate) fn tell_if_drained(&self) {
        if self.activating.get() || self.drained_told.get() {
            return;
        }
        let state = self.state.borrow();
        let polls: u64 = state.types.iter().map(|kind| kind.held_polls).sum();
        if state.ledger.len() == 0 && (polls == 0 || self.abandoned.get()) {
            self.drained_told.set(true);
            self.events.push(&Event::Drained);
        }
    }
}
