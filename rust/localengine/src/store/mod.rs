//! The job store. Owns every job, its queues, its lease and the account of its activations. It is sans-I/O:
//! time is an argument (milliseconds of the engine's clock), and it knows no wire format.

mod activate;
mod answers;
mod batch;
mod blueprint;
mod bounded;
mod defects;
mod history;
mod job;
mod latency;
mod look;
mod queue;
mod settle;
mod sweep;
#[cfg(test)]
mod tests;
mod timers;
mod update;

pub(crate) use activate::{Admit, Pick, View};
pub(crate) use answers::{Fence, Mark};
pub(crate) use batch::Batch;
pub(crate) use blueprint::Blueprint;
pub use blueprint::NewJobs;
pub(crate) use history::Ending;
pub(crate) use job::State;
pub(crate) use look::Look;
pub(crate) use settle::{Failure, Outcome, Refusal, Settled};
pub(crate) use update::Change;

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::account::Account;
use answers::Answers;
use defects::Defects;
use history::History;
use job::Job;
use latency::{Latency, LatencyReport};
use queue::Queue;
use timers::Timers;

/// Keys carry their partition in the high bits, as Camunda's do; everything here is partition 1.
pub(crate) const FIRST_KEY: u64 = 1 << 51;

/// All jobs of the engine.
pub(crate) struct Store {
    next_key: u64,
    /// Keys below were forgotten by a reset; commands for them count nowhere.
    known_from: u64,
    /// Number of the next activation, unique over all jobs.
    next_seq: u64,
    jobs: FxHashMap<u64, Job>,
    queues: Vec<Queue>,
    queue_ids: FxHashMap<Rc<str>, FxHashMap<Rc<str>, u32>>,
    timers: Timers,
    answers: Answers,
    account: Account,
    history: History,
    defects: Defects,
    latency: Latency,
    backing_off: u64,
    /// Queues that gained a job since the last `take_ready`.
    ready: Vec<u32>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            next_key: FIRST_KEY,
            known_from: FIRST_KEY,
            next_seq: 1,
            jobs: FxHashMap::default(),
            queues: Vec::new(),
            queue_ids: FxHashMap::default(),
            timers: Timers::default(),
            answers: Answers::default(),
            account: Account::default(),
            history: History::default(),
            defects: Defects::default(),
            latency: Latency::default(),
            backing_off: 0,
            ready: Vec::new(),
        }
    }

    /// Forgets every job and the account. Keys and activation numbers go on, so nothing old is taken for new.
    pub(crate) fn reset(&mut self) {
        let (next_key, next_seq, history) = (self.next_key, self.next_seq, self.history.limit);
        *self = Self::new();
        (self.next_key, self.known_from, self.next_seq) = (next_key, next_key, next_seq);
        self.keep_history(history);
    }

    /// How many ended jobs stay inspectable.
    pub(crate) fn keep_history(&mut self, limit: usize) {
        self.history.limit = limit;
    }

    /// How long completed jobs took.
    pub(crate) fn latency(&self) -> LatencyReport {
        self.latency.report()
    }

    /// Adds `count` jobs of one kind; returns the first and the last key.
    pub(crate) fn add(&mut self, jobs: &NewJobs) -> (u64, u64) {
        let queue = self.queue_id(&jobs.job_type, &jobs.tenant);
        let blueprint = Rc::new(Blueprint::new(jobs, queue, false));
        let count = jobs.count.max(1);
        let first = self.next_key;
        self.next_key += count;
        self.account.created += count;
        if let Some(queue) = self.queue_mut(queue) {
            queue.add(first, count, blueprint);
        }
        self.ready.push(queue);
        (first, self.next_key - 1)
    }

    /// Makes jobs of this kind up whenever they are asked for.
    pub(crate) fn add_endless(&mut self, jobs: &NewJobs) {
        let id = self.queue_id(&jobs.job_type, &jobs.tenant);
        let blueprint = Rc::new(Blueprint::new(jobs, id, true));
        if let Some(queue) = self.queue_mut(id) {
            queue.endless = Some(blueprint);
        }
        self.ready.push(id);
    }

    /// Ends an endless type; false when it was none.
    pub(crate) fn end_endless(&mut self, job_type: &str) -> bool {
        let mut found = false;
        for id in self.queue_ids.get(job_type).into_iter().flat_map(FxHashMap::values) {
            if let Some(queue) = self.queues.get_mut(*id as usize) {
                found |= queue.endless.take().is_some();
            }
        }
        found
    }

    /// Whether a queue gained a job since `take_ready` returned None.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A type that gained a job, each once.
    pub(crate) fn take_ready(&mut self) -> Option<Rc<str>> {
        let id = self.ready.pop()?;
        self.ready.retain(|other| *other != id);
        self.queues.get(id as usize).map(|queue| queue.job_type.clone())
    }

    /// The account as of now.
    pub(crate) fn account(&self) -> Account {
        let mut account = self.account.clone();
        account.waiting = self.backing_off + self.queues.iter().map(|queue| queue.waiting).sum::<u64>();
        account.settled_twice = self.answers.settled_twice;
        account.foreign = self.answers.foreign;
        let known = account.completed
            + account.errors_thrown
            + account.incidents
            + account.waiting
            + account.in_flight;
        account.lost = account.created.saturating_sub(known);
        account
    }

    /// The variables of a live job.
    pub(crate) fn variables(&self, key: u64) -> Option<&str> {
        self.jobs.get(&key).map(Job::variables)
    }

    /// Whether a type has a job that some activation could take.
    pub(crate) fn has_waiting(&self, job_type: &str) -> bool {
        let ids = self.queue_ids.get(job_type).into_iter().flat_map(FxHashMap::values);
        ids.filter_map(|id| self.queues.get(*id as usize))
            .any(|queue| queue.waiting > 0 || queue.endless.is_some())
    }

    /// The tenants that ever had jobs of a type.
    pub(crate) fn tenants(&self, job_type: &str) -> Vec<Rc<str>> {
        self.queue_ids.get(job_type).map(|tenants| tenants.keys().cloned().collect()).unwrap_or_default()
    }

    fn queue_id(&mut self, job_type: &str, tenant: &str) -> u32 {
        if let Some(id) = self.queue_ids.get(job_type).and_then(|tenants| tenants.get(tenant)) {
            return *id;
        }
        let id = self.queues.len() as u32;
        let job_type: Rc<str> = job_type.into();
        self.queues.push(Queue::new(job_type.clone()));
        self.queue_ids.entry(job_type).or_default().insert(tenant.into(), id);
        id
    }

    fn queue_mut(&mut self, id: u32) -> Option<&mut Queue> {
        self.queues.get_mut(id as usize)
    }

    /// Turns a waiting job that exists only as part of a range into one of its own; false when there is none.
    fn materialise(&mut self, key: u64) -> bool {
        if key < self.known_from || key >= self.next_key {
            return false;
        }
        for queue in &mut self.queues {
            if let Some(blueprint) = queue.single_out(key) {
                self.jobs.insert(key, Job::new(blueprint));
                return true;
            }
        }
        false
    }

    /// Makes a job activatable again and tells the held polls of its type.
    fn put_back(&mut self, key: u64) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.state = State::Waiting;
        let (id, priority, leased) = (job.blueprint.queue, job.priority, job.leased);
        if let Some(queue) = self.queue_mut(id) {
            queue.put_back(key, priority, leased);
        }
        self.ready.push(id);
    }
}
