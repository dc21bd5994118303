//! Renew: watches the leases of all jobs in flight. A running job's lease is renewed at half its time; a job
//! that has not started by then is handed back.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::fleet::Fleet;
use crate::job::now;
use crate::ledger::{JobId, Stage};
use crate::permits::Acquire;
use crate::recorder::Progress;
use crate::settle::Work;
use crate::state::{Blame, State, WorkerState};
use crate::tasks;

/// Leases are looked at no more often than this.
const MOST_OFTEN: Duration = Duration::from_millis(20);
/// And, while jobs are here, no less often than this.
const LEAST_OFTEN: Duration = Duration::from_secs(1);

/// An outcome takes a millisecond from its handler's return to the core. A worker that owes one for so long and
/// sends nothing else either has lost its link: its jobs would be renewed for ever.
const MUTE: Duration = Duration::from_secs(5);

/// Watches leases while there are jobs.
pub(crate) async fn watch_leases(fleet: Rc<Fleet>) {
    loop {
        let shortest = fleet.state.borrow().ledger.shortest_lease();
        let Some(lease) = shortest else {
            fleet.holding.notified().await;
            continue;
        };
        sleep((lease / 16).clamp(MOST_OFTEN, LEAST_OFTEN)).await;
        fleet.outcomes.look(&fleet, now());
        let due = fleet.state.borrow().ledger.due(now());
        for id in due {
            fleet.attend(id);
        }
    }
}

impl Fleet {
    /// A job's lease is half over: renews it if the job runs, else gives the job back.
    fn attend(self: &Rc<Self>, id: JobId) {
        let (stage, over) = match self.state.borrow().ledger.get(id) {
            Some(entry) => (entry.stage, entry.lease.end <= now()),
            None => return,
        };
        match stage {
            Stage::Waiting => {
                self.forget_waiting(id);
                self.hand_back_late(id);
            }
            Stage::Sent { worker, lane, number } if self.is_mute(worker, lane, number) => {
                if let Some(owner) = self.state.borrow_mut().worker(worker) {
                    owner.blame.get_or_insert(Blame::Mute(lane, number));
                }
                self.break_worker(worker, "it has not sent its outcome of a job whose handler returned");
            }
            // Nothing but a late completion is any use now.
            Stage::Sent { .. } if over => {}
            Stage::Sent { worker, lane, number } => {
                let started = self
                    .state
                    .borrow_mut()
                    .worker(worker)
                    .is_none_or(|owner| owner.recorder.next(lane as u16) > number);
                if started {
                    self.renew(id);
                } else {
                    let taken = self.take_unstarted(worker);
                    self.requeue(taken);
                }
            }
            Stage::Settling => {}
        }
    }

    /// Whether the job's handler returned long ago and its worker has been silent since.
    fn is_mute(&self, worker: u64, lane: usize, number: u64) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(owner) = state.worker(worker) else { return false };
        if owner.state == WorkerState::Broken
            || owner.recorder.classify(lane as u16, number) != Progress::Returned
        {
            return false;
        }
        let time = now();
        time.saturating_sub(*owner.mute_since.get_or_insert(time)) >= MUTE
    }

    fn forget_waiting(&self, id: JobId) {
        let mut state = self.state.borrow_mut();
        let job_type = state.ledger.get(id).map(|entry| entry.job_type);
        let mut suspects = 0;
        if let Some(kind) = job_type.and_then(|index| state.types.get_mut(index)) {
            kind.queue.retain(|waiting| *waiting != id);
            suspects = kind.suspects.len();
            kind.suspects.retain(|waiting| *waiting != id);
            suspects -= kind.suspects.len();
        }
        state.suspects_waiting -= suspects;
    }

    fn renew(self: &Rc<Self>, id: JobId) {
        let mut state = self.state.borrow_mut();
        let State { ledger, types, .. } = &mut *state;
        let Some(entry) = ledger.get_mut(id) else { return };
        let Some(kind) = types.get(entry.job_type).filter(|kind| kind.renew) else { return };
        entry.renewing = true;
        let (lease, held) = (kind.lease, entry.lease);
        drop(state);
        let fleet = Rc::clone(self);
        let renewal = async move {
            // A job that is lost costs the engine more than one request above the cap; and there has to be time
            // for another try when this one finds no answer.
            let urgent_at = held.end.saturating_sub(lease * 3 / 8);
            // Held until the renewal is concluded, whatever that takes.
            let permit = fleet.permit(urgent_at).await;
            fleet.outcomes.push(&fleet, Work::renew(id, lease, permit));
        };
        tasks::once(self, "renewal", renewal, move |fleet| fleet.forsake(id, true));
    }

    /// Waits for a permit. At `urgent_at` it is granted whatever the cap.
    pub(crate) async fn permit(self: &Rc<Self>, urgent_at: Duration) -> Permit {
        loop {
            let freed = self.permit_freed.notified();
            let answer = self.permits.borrow_mut().try_acquire_by(now(), urgent_at);
            match answer {
                Acquire::Granted(_) => {
                    self.permits_held.set(self.permits_held.get() + 1);
                    return Permit(Rc::clone(self));
                }
                Acquire::Wait { until } => {
                    let pause = until.saturating_sub(now()).max(Duration::from_millis(1));
                    let _ = tokio::time::timeout(pause, freed).await;
                }
            }
        }
    }
}

/// The right to have one poll or renewal on its way; it goes back when this is dropped, however that comes about.
pub(crate) struct Permit(Rc<Fleet>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.permits_held.set(self.0.permits_held.get().saturating_sub(1));
        self.0.permits.borrow_mut().release();
        self.0.permit_freed.notify_one();
    }
}
