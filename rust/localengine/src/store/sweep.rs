//! The end of leases and back-offs, and what an ended lease says about its fleet.

use super::Store;
use super::batch::Delivery;
use super::job::State;
use super::timers::Due;

impl Store {
    /// When `sweep` has something to do next.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.timers.next_at()
    }

    /// Ends the leases and back-offs that are due. `lives` tells whether a worker still has a connection.
    pub(crate) fn sweep(&mut self, now: u64, lives: impl Fn(&str) -> bool) {
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Batch(batch) => {
                    for (key, seq) in batch.activations() {
                        self.end_if_due(key, seq, now, &lives);
                    }
                }
                Due::Job { key, seq } => self.end_if_due(key, seq, now, &lives),
            }
        }
    }

    fn end_if_due(&mut self, key: u64, seq: u64, now: u64, lives: &impl Fn(&str) -> bool) {
        let Some(job) = self.jobs.get(&key).filter(|job| job.seq == seq && job.until <= now) else { return };
        match job.state {
            State::Activated => {
                self.count_expiry(key, now, lives);
                self.end_activation(key, false);
                self.put_back(key);
            }
            State::BackingOff => {
                self.backing_off -= 1;
                self.put_back(key);
            }
            State::Waiting | State::Incident | State::ErrorThrown => {}
        }
    }

    fn count_expiry(&mut self, key: u64, now: u64, lives: &impl Fn(&str) -> bool) {
        let Some(job) = self.jobs.get(&key) else { return };
        let Some(batch) = &job.batch else { return };
        if job.undelivered {
            return;
        }
        if job.cut || batch.delivery.get() != Delivery::Whole || !lives(&batch.worker) {
            self.account.excused += 1;
        } else {
            self.account.expired += 1;
            self.note_defect(key, now);
        }
    }

    /// The job is no longer held. `answered` says that its holder has, or needs, a definite answer.
    pub(super) fn end_activation(&mut self, key: u64, answered: bool) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        if let Some(batch) = job.batch.take() {
            batch.leave();
            self.account.in_flight -= 1;
            if batch.leased && !answered {
                self.answers.left_open(job.seq, job.cut || job.undelivered);
            }
        }
    }

    pub(super) fn compact_timers(&mut self) {
        let live = (self.account.in_flight + self.backing_off) as usize;
        let jobs = &self.jobs;
        self.timers.compact(live, |at, due| match due {
            Due::Batch(batch) => batch.is_open(),
            Due::Job { key, seq } => jobs.get(key).is_some_and(|job| job.seq == *seq && job.until == at),
        });
    }
}
