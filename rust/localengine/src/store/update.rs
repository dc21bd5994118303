//! Changes to a live job that are no outcome: timeout, retries, priority, and resolving its incident.

use super::Store;
use super::answers::{Fence, Mark};
use super::job::State;
use super::settle::{Refusal, Settled};
use super::timers::Due;

/// What to change. Whoever makes one has checked its values.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    pub(crate) retries: Option<i32>,
    /// New duration of the lease from now on; zero and less end it.
    pub(crate) timeout_ms: Option<i64>,
    pub(crate) priority: Option<i32>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.retries.is_none() && self.timeout_ms.is_none() && self.priority.is_none()
    }
}

impl Store {
    /// Applies a change. A token is checked only if there is one.
    pub(crate) fn update(&mut self, key: u64, fence: Fence, change: Change, now: u64) -> Settled {
        let refused = |refusal| Settled::refused(refusal, Mark::default());
        if !self.jobs.contains_key(&key) && !self.materialise(key) {
            return refused(Refusal::NotFound);
        }
        let Some(job) = self.jobs.get_mut(&key) else { return refused(Refusal::NotFound) };
        if job.leased && fence != Fence::None && fence != Fence::Seq(job.seq) {
            return refused(Refusal::Fenced);
        }
        if change.timeout_ms.is_some() && job.state != State::Activated {
            return refused(Refusal::InvalidState(job.state));
        }
        let holder = job.batch.as_ref().map(|batch| batch.worker.clone());
        let mark = Mark { key, seq: job.seq, ..Mark::default() };
        if let Some(timeout) = change.timeout_ms {
            job.until = now.saturating_add_signed(timeout);
            self.timers.push(job.until, Due::Job { key, seq: job.seq });
        }
        if let Some(retries) = change.retries {
            job.retries = retries;
        }
        if let Some(priority) = change.priority {
            self.reprioritise(key, priority);
        }
        Settled { result: Ok(()), mark, holder }
    }

    /// Makes a job with an incident activatable again, if it has tries left.
    pub(crate) fn resolve(&mut self, key: u64) -> Result<(), Refusal> {
        let Some(job) = self.jobs.get_mut(&key) else { return Err(Refusal::NotFound) };
        match job.state {
            State::Incident | State::ErrorThrown if job.retries > 0 => {
                self.account.incidents -= 1;
                self.put_back(key);
                Ok(())
            }
            State::Incident | State::ErrorThrown => Err(Refusal::InvalidState(job.state)),
            _ => Err(Refusal::NotFound),
        }
    }

    fn reprioritise(&mut self, key: u64, priority: i32) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let before = job.priority;
        job.priority = priority;
        let (id, leased) = (job.blueprint.queue, job.leased);
        if let Some(queue) = self.queue_mut(id)
            && queue.remove(key, before)
        {
            queue.put_back(key, priority, leased);
        }
    }
}
