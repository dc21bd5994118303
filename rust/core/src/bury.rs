//! Bury: reads a dead worker's link to its end, then sorts what it held: settled, started, unstarted.

use std::rc::Rc;

use crate::events::{Event, StartedJob};
use crate::fleet::Fleet;
use crate::job::now;
use crate::ledger::JobId;
use crate::link::Outcome;
use crate::poison::{Death, Sentence};
use crate::recorder::Progress;
use crate::settle::Work;
use crate::state::{Blame, Sent, Solitude, Worker};

/// A job that its worker had started.
struct Started {
    id: JobId,
    lane: usize,
    number: u64,
    running: bool,
}

impl Fleet {
    /// A worker process is dead: reads its link to the end, then sorts what it held.
    pub(crate) fn bury(self: &Rc<Self>, worker: u64, reason: &str) {
        let settled = self.read_to_end(worker);
        let mut state = self.state.borrow_mut();
        let Some((pool_index, index)) = state.place(worker) else { return };
        let Some(pool) = state.pools.get_mut(pool_index) else { return };
        let owner = pool.workers.remove(index);
        if let Some(waker) = &owner.waker {
            waker.wake_by_ref();
        }
        let (unstarted, started) = sort(&owner);
        for id in unstarted.iter().chain(started.iter().map(|job| &job.id)) {
            let job_type = state.ledger.get(*id).map(|entry| entry.job_type);
            if let Some(kind) = job_type.and_then(|index| state.types.get_mut(index)) {
                kind.sent -= 1;
            }
        }
        drop(state);
        let jobs = started.iter().filter_map(|job| self.describe(job)).collect();
        let blamed = is_jobs_fault(&owner, &started);
        let (requeued, total) = (unstarted.len() as u64, started.len() as u64);
        let failed = self.judge(&owner, started, reason, blamed);
        self.put_back(unstarted);
        let (reason, handed_back) = (reason.to_owned(), total - failed);
        let buried = Event::Buried { worker, reason, settled, requeued, handed_back, failed, blamed, jobs };
        self.events.push(&buried);
        self.state.borrow_mut().forget_retired();
        self.wake_pollers();
        self.tell_if_drained();
    }

    /// Settles what a dead worker had started; returns how many of them failed for good.
    fn judge(self: &Rc<Self>, owner: &Worker, started: Vec<Started>, reason: &str, blamed: bool) -> u64 {
        let death = Death { cause: reason, alone: started.len() == 1, retries: 0, blamed };
        let mut failed = 0;
        for job in started {
            match &owner.blame {
                Some(Blame::Overdue(over)) => {
                    let own =
                        over.iter().find(|(lane, number, _)| (*lane, *number) == (job.lane, job.number));
                    let Some((_, _, words)) = own else {
                        self.hand_back(job.id, &format!("{reason}; the fault lies with another job"), 0);
                        continue;
                    };
                    failed += 1;
                    self.fail(job.id, &format!("{words}; {reason}"), None, None);
                }
                Some(Blame::Nobody) => self.hand_back(job.id, reason, 0),
                Some(Blame::Mute(lane, number)) if (*lane, *number) != (job.lane, job.number) => {
                    self.hand_back(job.id, &format!("{reason}; the fault lies with another job"), 0);
                }
                None if !job.running => self.hand_back(job.id, reason, 0),
                Some(Blame::Mute(..)) | None => {
                    failed += u64::from(self.suspect(owner.id, job.id, death));
                }
            }
        }
        failed
    }

    /// A process died while this job ran in it, and nobody knows why; true when that convicts the job.
    fn suspect(self: &Rc<Self>, worker: u64, id: JobId, death: Death<'_>) -> bool {
        let mut state = self.state.borrow_mut();
        let state_ref = &mut *state;
        let Some(entry) = state_ref.ledger.get(id) else { return false };
        let (key, job_type) = (entry.job.key().to_owned(), entry.job_type);
        let death = Death { retries: entry.job.retries, ..death };
        let sentence = state_ref.poison.died(&key, death, now());
        let r#type = state_ref.types.get(job_type).map(|kind| kind.name.to_string()).unwrap_or_default();
        drop(state);
        match sentence {
            Sentence::HandBack => self.hand_back(id, death.cause, 0),
            Sentence::Charge(left) => {
                let words = format!(
                    "{}; not for the first time while this job ran, so it costs a retry",
                    death.cause
                );
                self.fail(id, &words, Some(left), Some(0));
            }
            Sentence::Convict { words: message, cleared } => {
                self.fail(id, &message, Some(0), Some(0));
                self.events.push(&Event::JobConvicted { worker, cleared, r#type, key, message });
                return true;
            }
        }
        false
    }

    /// Fails a job whose handler cannot do so any more.
    fn fail(self: &Rc<Self>, id: JobId, message: &str, retries: Option<i32>, backoff_ms: Option<u64>) {
        let backoff_ms = backoff_ms.or(Some(crate::workers::DEFAULT_BACKOFF_MS));
        if !self.begin_settling(id) {
            return;
        }
        let outcome = Outcome::Fail { message: message.to_owned(), retries, backoff_ms, variables: None };
        self.outcomes.push(self, Work::settle(id, outcome));
    }

    fn describe(&self, job: &Started) -> Option<StartedJob> {
        let state = self.state.borrow();
        let entry = state.ledger.get(job.id)?;
        let r#type = state.types.get(entry.job_type)?.name.to_string();
        Some(StartedJob { r#type, key: entry.job.key().to_owned(), running: job.running })
    }
}

/// What had not started, in order, and what had.
fn sort(owner: &Worker) -> (Vec<JobId>, Vec<Started>) {
    let (mut unstarted, mut started) = (Vec::new(), Vec::new());
    for (lane_index, lane) in owner.lanes.iter().enumerate() {
        for (number, Sent { id, .. }) in lane.out() {
            let progress = owner.recorder.classify(lane_index as u16, number);
            let running = matches!(progress, Progress::Running { .. });
            match progress {
                Progress::Unstarted => unstarted.push(*id),
                _ => started.push(Started { id: *id, lane: lane_index, number, running }),
            }
        }
    }
    (unstarted, started)
}

/// Whether the death says something about a job and nothing about its pool.
fn is_jobs_fault(owner: &Worker, started: &[Started]) -> bool {
    let suspect_died = owner.solitude == Solitude::Held && started.iter().any(|job| job.running);
    matches!(owner.blame, Some(Blame::Overdue(_) | Blame::Nobody)) || suspect_died
}
