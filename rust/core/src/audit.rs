//! The slot audit: permits, slots and ledger tell the same story, or the story is counted, told and mended.
//!
//! All books belong to one thread, and each step leaves them in agreement: what the audit finds is a defect that
//! would otherwise cost a slot, a permit or a job's lease for as long as the fleet runs.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use crate::events::Event;
use crate::fleet::Fleet;
use crate::ledger::{Entry, JobId, Stage};
use crate::state::{State, Worker};

/// What the audit has found since the start.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Audit {
    checks: u64,
    disagreements: u64,
    mended: u64,
}

/// What one look at the state found and has mended; jobs that nobody holds are left to the caller.
#[derive(Debug, Default)]
struct Findings {
    words: Vec<String>,
    stray: Vec<JobId>,
}

impl Fleet {
    /// Compares the books, mends what disagrees, and tells of it.
    pub(crate) fn audit_books(self: &Rc<Self>) {
        let mut findings = self.state.borrow_mut().audit();
        self.audit_permits(&mut findings);
        for id in std::mem::take(&mut findings.stray) {
            self.hand_back(id, "the fleet's books had lost sight of the job", 0);
        }
        let found = findings.words.len() as u64;
        let mut audit = self.audit.borrow_mut();
        audit.checks += 1;
        audit.disagreements += found;
        // Each finding is mended on the spot, or it would not be found.
        audit.mended += found;
        drop(audit);
        for what in findings.words {
            self.events.push(&Event::Disagreement { what });
        }
        if found > 0 {
            self.dispatch_all();
            self.wake_pollers();
            self.permit_freed.notify_waiters();
        }
    }

    /// Every permit that is out is held by a poll or a renewal.
    fn audit_permits(&self, findings: &mut Findings) {
        let holders = self.permits_held.get();
        let mut permits = self.permits.borrow_mut();
        if permits.in_use() != holders {
            findings.words.push(format!("{} permits are out for {holders} requests", permits.in_use()));
            permits.correct(holders);
        }
    }

    /// Spoils the books in one way, for a test.
    pub(crate) fn break_books(&self, how: &str) {
        let mut state = self.state.borrow_mut();
        if how == "permit" {
            let _ = self.permits.borrow_mut().try_acquire(crate::job::now());
        }
        for kind in &mut state.types {
            match how {
                "count" => kind.sent += 1,
                "queue" => kind.queue.truncate(kind.queue.len().saturating_sub(1)),
                _ => {}
            }
        }
        for lane in state.workers_mut().filter_map(|own| own.lanes.first_mut()) {
            let Some(number) = lane.out().next().map(|(number, _)| number) else { continue };
            match how {
                "sum" => lane.jobs += 1,
                "lane" => _ = lane.take(number),
                _ => {}
            }
        }
    }
}

impl State {
    fn workers_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.pools.iter_mut().flat_map(|pool| &mut pool.workers)
    }

    fn audit(&mut self) -> Findings {
        let mut findings = Findings::default();
        self.audit_slots(&mut findings);
        self.audit_ledger(&mut findings);
        self.audit_queues(&mut findings);
        self.audit_counts(&mut findings);
        findings
    }

    /// Every job that a worker is said to have stands in the ledger as its own, and the sums are right.
    fn audit_slots(&mut self, findings: &mut Findings) {
        let Self { ledger, pools, .. } = self;
        for worker in pools.iter_mut().flat_map(|pool| &mut pool.workers) {
            let id = worker.id;
            for (index, lane) in worker.lanes.iter_mut().enumerate() {
                let owns = |number: u64, sent: JobId| {
                    let stage = ledger.get(sent).map(|entry| entry.stage);
                    stage == Some(Stage::Sent { worker: id, lane: index, number })
                };
                let ghosts: Vec<u64> = lane
                    .out()
                    .filter(|(number, sent)| !owns(*number, sent.id))
                    .map(|(number, _)| number)
                    .collect();
                for number in ghosts {
                    lane.take(number);
                    findings.words.push(format!(
                        "worker {id} is booked with job {number}, which the ledger has not given to it"
                    ));
                }
                if lane.recount() {
                    findings.words.push(format!("the sums of lane {index} of worker {id} are wrong"));
                }
            }
        }
    }

    /// Every job that the ledger has given to a worker stands in that worker's lane.
    fn audit_ledger(&mut self, findings: &mut Findings) {
        if self.ledger.len() == 0 {
            return;
        }
        let workers: FxHashMap<u64, &Worker> =
            self.pools.iter().flat_map(|pool| &pool.workers).map(|worker| (worker.id, worker)).collect();
        let is_stray = |id: JobId, entry: &Entry| match entry.stage {
            Stage::Sent { worker, lane, number } => workers
                .get(&worker)
                .and_then(|worker| worker.lanes.get(lane)?.get(number))
                .is_none_or(|sent| sent.id != id),
            _ => false,
        };
        let stray: Vec<JobId> =
            self.ledger.iter().filter(|(id, entry)| is_stray(*id, entry)).map(|(id, _)| id).collect();
        for id in stray {
            let Some(entry) = self.ledger.get(id) else { continue };
            findings
                .words
                .push(format!("job {} is given to a worker that does not have it", entry.job.key()));
            if let Some(kind) = self.types.get_mut(entry.job_type) {
                kind.sent = kind.sent.saturating_sub(1);
            }
            findings.stray.push(id);
        }
    }

    /// Every job that waits stands in one queue, and nothing else stands there.
    fn audit_queues(&mut self, findings: &mut Findings) {
        let Self { ledger, types, .. } = self;
        let mut queued = FxHashSet::default();
        for (index, kind) in types.iter_mut().enumerate() {
            for queue in [&mut kind.queue, &mut kind.suspects] {
                let before = queue.len();
                queue.retain(|id| {
                    let waits = |entry: &Entry| entry.stage == Stage::Waiting && entry.job_type == index;
                    ledger.get(*id).is_some_and(waits) && queued.insert(*id)
                });
                if queue.len() != before {
                    findings.words.push(format!(
                        "{} jobs of {:?} are queued and do not wait",
                        before - queue.len(),
                        kind.name
                    ));
                }
            }
        }
        let waiting = ledger.iter().filter(|(_, entry)| entry.stage == Stage::Waiting);
        let lost: Vec<JobId> = waiting.map(|(id, _)| id).filter(|id| !queued.contains(id)).collect();
        for id in lost {
            let key = self.ledger.get(id).map(|entry| entry.job.key().to_owned()).unwrap_or_default();
            findings.words.push(format!("job {key} waits and is in no queue"));
            self.enqueue(id, true);
        }
        let suspects = self.types.iter().map(|kind| kind.suspects.len()).sum();
        if std::mem::replace(&mut self.suspects_waiting, suspects) != suspects {
            findings.words.push(format!("{suspects} suspects wait, another number was noted"));
        }
    }

    /// Each type's counts are those of the ledger.
    fn audit_counts(&mut self, findings: &mut Findings) {
        let mut counts = vec![(0u64, 0u64); self.types.len()];
        for (id, entry) in self.ledger.iter() {
            let Some((sent, settling)) = counts.get_mut(entry.job_type) else { continue };
            match entry.stage {
                Stage::Sent { .. } if !findings.stray.contains(&id) => *sent += 1,
                Stage::Settling => *settling += 1,
                _ => {}
            }
        }
        for (kind, (sent, settling)) in self.types.iter_mut().zip(counts) {
            if (kind.sent, kind.settling) != (sent, settling) {
                let counted = (kind.sent, kind.settling);
                let what = format!(
                    "{counted:?} jobs of {:?} counted as given out and being settled, not {:?}",
                    kind.name,
                    (sent, settling)
                );
                findings.words.push(what);
                (kind.sent, kind.settling) = (sent, settling);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::job::{Job, Lease};
    use crate::poison::{Poison, Rules};

    fn state(jobs: usize) -> (State, Vec<JobId>) {
        let mut state = State::new(Poison::new(Rules { convict_after: 3, charge_every: false }));
        let job_type = state.type_index("work");
        let lease = Lease { received_at: Duration::ZERO, end: Duration::from_secs(9) };
        let job = || Job::new(Bytes::from_static(b"{\"key\":7}"), 7..8, None, 3, None);
        let ids: Vec<JobId> = (0..jobs).map(|_| state.ledger.insert(job(), job_type, lease)).collect();
        ids.iter().for_each(|id| state.enqueue(*id, false));
        (state, ids)
    }

    #[test]
    fn books_that_agree_are_left_alone() {
        let (mut state, ids) = state(3);
        state.ledger.get_mut(ids[1]).unwrap().solitary = true;
        assert!(state.audit().words.is_empty());
        assert_eq!(state.types[0].queue.len(), 3);
    }

    #[test]
    fn a_job_that_waits_in_no_queue_is_queued_again() {
        let (mut state, ids) = state(3);
        state.types[0].queue.truncate(2);
        assert_eq!(state.audit().words, ["job 7 waits and is in no queue"]);
        assert!(state.types[0].queue.contains(&ids[2]));
        assert!(state.audit().words.is_empty());
    }

    #[test]
    fn what_is_queued_twice_or_does_not_wait_leaves_the_queue() {
        let (mut state, ids) = state(3);
        state.types[0].queue.push_back(ids[0]);
        state.ledger.get_mut(ids[1]).unwrap().stage = Stage::Settling;
        state.types[0].settling = 1;
        assert_eq!(state.audit().words.len(), 1);
        assert_eq!(state.types[0].queue, [ids[0], ids[2]]);
        assert!(state.audit().words.is_empty());
    }

    #[test]
    fn a_job_given_to_nobody_is_handed_back() {
        let (mut state, ids) = state(1);
        state.types[0].queue.clear();
        state.types[0].sent = 1;
        state.ledger.get_mut(ids[0]).unwrap().stage = Stage::Sent { worker: 9, lane: 0, number: 1 };
        let findings = state.audit();
        assert_eq!(findings.stray, ids);
        assert_eq!((findings.words.len(), state.types[0].sent), (1, 0));
    }
}
