//! Activation: waiting jobs become leased ones, and their answer arrives or not.

use std::rc::Rc;

use super::batch::Delivery;
use super::job::{Job, State};
use super::queue::Next;
use super::timers::Due;
use super::{Batch, Blueprint, Store};

const DEFAULT_TENANT: &str = "<default>";

/// Which jobs are asked for, and on what terms.
pub(crate) struct Pick<'a> {
    pub(crate) job_type: &'a str,
    /// Tenants to draw from, in this order; none means the default tenant.
    pub(crate) tenants: &'a [Rc<str>],
    pub(crate) max: u32,
    pub(crate) lease_ms: u64,
    pub(crate) worker: Rc<str>,
    pub(crate) with_lease: bool,
    /// Take jobs too that were leased once, as is right with a lease and on servers that know none.
    pub(crate) lease_only_too: bool,
}

/// A job about to be activated.
pub(crate) struct View<'a> {
    pub(crate) key: u64,
    pub(crate) blueprint: &'a Blueprint,
    pub(crate) variables: &'a str,
    pub(crate) retries: i32,
    pub(crate) priority: i32,
    pub(crate) deadline: u64,
    pub(crate) seq: u64,
}

/// What whoever builds the answer says to one more job.
pub(crate) enum Admit {
    /// It is in the answer.
    Taken,
    /// The answer has no room for it; later ones may have.
    Full,
    /// No answer has room for it.
    Oversize,
}

impl Store {
    /// Activates up to `pick.max` jobs, handing each to `admit`. None when there was none.
    pub(crate) fn activate(
        &mut self,
        pick: &Pick<'_>,
        now: u64,
        mut admit: impl FnMut(&View<'_>) -> Admit,
    ) -> Option<Rc<Batch>> {
        let deadline = now.saturating_add(pick.lease_ms);
        let batch = Rc::new(Batch::new(deadline, pick.worker.clone(), pick.with_lease, self.next_seq));
        let mut keys = Vec::new();
        let names = pick.tenants.iter().map(|name| &**name);
        for tenant in names.chain(pick.tenants.is_empty().then_some(DEFAULT_TENANT)) {
            let queue = self.queue_ids.get(pick.job_type).and_then(|ids| ids.get(tenant));
            let Some(queue) = queue.copied() else { continue };
            self.draw(queue, pick, &batch, &mut keys, &mut admit);
        }
        if keys.is_empty() {
            return None;
        }
        self.account.in_flight += keys.len() as u64;
        batch.fill(keys);
        self.timers.push(deadline, Due::Batch(batch.clone()));
        self.compact_timers();
        Some(batch)
    }

    fn draw(
        &mut self,
        queue: u32,
        pick: &Pick<'_>,
        batch: &Rc<Batch>,
        keys: &mut Vec<u64>,
        admit: &mut impl FnMut(&View<'_>) -> Admit,
    ) {
        while keys.len() < pick.max as usize {
            let Some(next) = self.queue_mut(queue).and_then(|queue| queue.pop(pick.lease_only_too)) else {
                return;
            };
            let key = self.key_of(next);
            let Some(job) = self.jobs.get_mut(&key) else { continue };
            let seq = self.next_seq;
            let view = View {
                key,
                blueprint: &job.blueprint,
                variables: job.variables(),
                retries: job.retries,
                priority: job.priority,
                deadline: batch.deadline,
                seq,
            };
            match admit(&view) {
                Admit::Taken => {
                    self.next_seq += 1;
                    job.begin(seq, batch.clone());
                    keys.push(key);
                }
                Admit::Full => return self.put_back_quietly(key),
                Admit::Oversize => {
                    job.state = State::Incident;
                    job.notes().message = Some("The job does not fit into an activation answer".into());
                    self.account.incidents += 1;
                }
            }
        }
    }

    fn key_of(&mut self, next: Next) -> u64 {
        match next {
            Next::Returned(key) => key,
            Next::Fresh(key, blueprint) => {
                self.jobs.insert(key, Job::new(blueprint));
                key
            }
            Next::Endless(blueprint) => {
                let key = self.next_key;
                self.next_key += 1;
                self.account.created += 1;
                self.jobs.insert(key, Job::new(blueprint));
                key
            }
        }
    }

    fn put_back_quietly(&mut self, key: u64) {
        let ready = self.ready.len();
        self.put_back(key);
        self.ready.truncate(ready);
    }

    /// The answer reached its client.
    pub(crate) fn delivered(&mut self, batch: &Batch) {
        batch.delivery.set(Delivery::Whole);
    }

    /// The answer did not reach its client. With `give_back` its jobs become activatable at once, as they do on
    /// servers that notice; otherwise their leases run on.
    pub(crate) fn undelivered(&mut self, batch: &Batch, give_back: bool) {
        batch.delivery.set(Delivery::Cut);
        for (key, seq) in batch.activations() {
            let Some(job) = self.jobs.get_mut(&key).filter(|job| job.is_held(seq)) else { continue };
            if !job.undelivered {
                job.undelivered = true;
                self.account.undelivered += 1;
            }
            if give_back {
                self.end_activation(key, false);
                self.put_back(key);
            }
        }
    }
}

impl Job {
    fn begin(&mut self, seq: u64, batch: Rc<Batch>) {
        self.state = State::Activated;
        self.seq = seq;
        self.until = batch.deadline;
        self.activations += 1;
        self.leased |= batch.leased;
        self.cut = false;
        self.undelivered = false;
        self.refused = 0;
        if !batch.leased {
            self.unanswered += 1;
        }
        self.batch = Some(batch);
    }

    /// True while this activation holds the job.
    pub(super) fn is_held(&self, seq: u64) -> bool {
        self.state == State::Activated && self.seq == seq
    }
}
