//! Intake: what an activation brought goes into the ledger and on to the workers.

use std::rc::Rc;
use std::time::Duration;

use crate::fleet::Fleet;
use crate::job::{Job, Lease};
use crate::state::JobType;

impl Fleet {
    /// How long a poll of a type may be held.
    pub(crate) fn hold_of(&self, kind: &JobType) -> Duration {
        let usual = || self.settings.hold(self.capabilities().notices_departed_clients, self.grace_ms.get());
        kind.hold.unwrap_or_else(usual)
    }

    /// Puts activated jobs into the ledger and dispatches them; those that nobody here may run go straight back.
    pub(crate) fn take_jobs(
        self: &Rc<Self>,
        job_type: usize,
        jobs: Vec<Job>,
        fetch_turn: u32,
        sent_at: Duration,
        received_at: Duration,
    ) {
        let (mut back, mut suspects) = (Vec::new(), false);
        let mut state = self.state.borrow_mut();
        let Some((lease, hold)) = state.types.get(job_type).map(|kind| (kind.lease, self.hold_of(kind)))
        else {
            return;
        };
        self.observe(&jobs, sent_at, received_at, lease);
        let refusal = if self.activating.get() {
            state.refusal(job_type, fetch_turn)
        } else {
            Some("the fleet is draining".into())
        };
        for job in jobs {
            let end = match job.deadline_ms {
                Some(deadline) => self.clock.borrow().local_end(deadline, lease, received_at, hold),
                None => received_at + lease / 2,
            };
            let solitary = !state.poison.is_empty() && state.poison.is_solitary(job.key(), received_at);
            let id = state.ledger.insert(job, job_type, Lease { received_at, end });
            if fetch_turn != 0
                && let Some(entry) = state.ledger.get_mut(id)
            {
                entry.fetch_turn = fetch_turn;
            }
            let Some(kind) = state.types.get_mut(job_type) else { return };
            kind.counters.activated += 1;
            if refusal.is_some() {
                back.push(id);
            } else if solitary {
                state.ledger.get_mut(id).into_iter().for_each(|entry| entry.solitary = true);
                state.enqueue(id, false);
                suspects = true;
            } else {
                kind.queue.push_back(id);
            }
        }
        let home = state.list(job_type).or_else(|| {
            let home = if suspects { state.home(job_type) } else { None };
            home.map(|(pool, _)| pool)
        });
        drop(state);
        self.holding.notify_one();
        for id in back {
            self.hand_back(id, refusal.as_deref().unwrap_or_default(), 0);
        }
        if let Some(pool) = home {
            self.dispatch(pool);
        }
    }

    /// Learns about the engine's clock from the earliest and the latest deadline of an answer.
    fn observe(&self, jobs: &[Job], sent_at: Duration, received_at: Duration, lease: Duration) {
        let deadlines = || jobs.iter().filter_map(|job| job.deadline_ms);
        let mut clock = self.clock.borrow_mut();
        for deadline in [deadlines().min(), deadlines().max()].into_iter().flatten() {
            clock.observe(sent_at, received_at, deadline, lease);
        }
    }
}
