//! The fleet's state on the core's thread: job types, pools, workers and the ledger. Plain data and the small
//! steps on it; the loops decide when to take them.

mod lane;
mod worker;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::Notify;

pub(crate) use lane::Sent;
pub(crate) use worker::{Blame, Solitude, Worker, WorkerState};

use crate::ledger::{JobId, Ledger, Stage};
use crate::poison::Poison;
use crate::settings::{PoolSpec, TenantFilter, TypeSpec};
use crate::stats::{Counters, Durations, Rate, RunEstimate};

pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) types: Vec<JobType>,
    pub(crate) by_name: FxHashMap<String, usize>,
    /// The generations that serve, stand by or drain. An index holds within one step only: retired ones leave.
    pub(crate) pools: Vec<Pool>,
    pub(crate) poison: Poison,
    /// Suspects that wait, over all types; while there are none dispatch looks no further.
    pub(crate) suspects_waiting: usize,
    /// Workers may be kept for suspects.
    pub(crate) solitude_used: bool,
}

/// One job type, whichever pools and generations serve it.
pub(crate) struct JobType {
    pub(crate) name: Rc<str>,
    pub(crate) lease: Duration,
    pub(crate) renew: bool,
    pub(crate) fetch: Option<Rc<[String]>>,
    /// Whether it has pollers; they stay, and ask for nothing, when nobody runs the type any more.
    pub(crate) polled: bool,
    /// Counts up when jobs that were activated before may lack variables that are fetched now.
    pub(crate) fetch_turn: u32,
    pub(crate) tenants: Rc<[String]>,
    pub(crate) all_tenants: bool,
    pub(crate) hold: Option<Duration>,
    /// The most jobs that may be here; `u64::MAX` for no bound of the type's own.
    pub(crate) max_jobs: u64,
    /// The most jobs to ask for at once, since an engine could not send more in one answer.
    pub(crate) most_per_answer: u64,
    /// Polls that the engine pushed back.
    pub(crate) refusals: u64,
    /// It has been told that the engine refuses what the type's polls ask for.
    pub(crate) told_refused: bool,
    /// What went wrong with the latest poll, if something did.
    pub(crate) poll_error: Option<Box<str>>,
    /// The pool generations that can run it, newest last: pool id and the type's index there.
    pub(crate) serving: Vec<(u32, usize)>,
    pub(crate) queue: VecDeque<JobId>,
    /// Jobs that wait and have to run alone.
    pub(crate) suspects: VecDeque<JobId>,
    pub(crate) sent: u64,
    pub(crate) settling: u64,
    pub(crate) asked: u64,
    pub(crate) held_polls: u64,
    pub(crate) run: RunEstimate,
    pub(crate) rate: Rate,
    pub(crate) counters: Counters,
    pub(crate) latency: Durations,
    pub(crate) runs: Durations,
    pub(crate) waits: Durations,
    pub(crate) round_trip: Duration,
    pub(crate) job_bytes: f64,
    pub(crate) last_full: bool,
    pub(crate) growth: u64,
    /// Wakes the type's pollers; only while `parked` is worth it.
    pub(crate) wake: Rc<Notify>,
    pub(crate) low_mark: u64,
}

impl JobType {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            lease: Duration::from_secs(60),
            renew: true,
            fetch: None,
            polled: false,
            fetch_turn: 0,
            tenants: Rc::from([]),
            all_tenants: false,
            hold: None,
            max_jobs: u64::MAX,
            most_per_answer: u64::MAX,
            refusals: 0,
            told_refused: false,
            poll_error: None,
            serving: Vec::new(),
            queue: VecDeque::new(),
            suspects: VecDeque::new(),
            sent: 0,
            settling: 0,
            asked: 0,
            held_polls: 0,
            run: RunEstimate::default(),
            rate: Rate::default(),
            counters: Counters::default(),
            latency: Durations::default(),
            runs: Durations::default(),
            waits: Durations::default(),
            round_trip: Duration::from_millis(5),
            job_bytes: 0.0,
            last_full: false,
            growth: 1,
            wake: Rc::new(Notify::new()),
            low_mark: 0,
        }
    }

    /// Jobs that are here, whatever their stage.
    pub(crate) fn here(&self) -> u64 {
        (self.queue.len() + self.suspects.len()) as u64 + self.sent + self.settling
    }

    /// How many more jobs the type's own bound lets in.
    pub(crate) fn room(&self) -> u64 {
        self.max_jobs.saturating_sub(self.here() + self.asked)
    }

    /// Takes over how its handler wants its jobs.
    pub(crate) fn configure(&mut self, spec: &TypeSpec) {
        self.lease = Duration::from_millis(spec.lease_ms);
        self.renew = spec.renew;
        self.fetch = spec.fetch.as_deref().map(Rc::from);
        self.tenants = Rc::from(spec.tenants.as_slice());
        self.all_tenants = spec.tenant_filter == TenantFilter::Assigned;
        self.hold = spec.hold_ms.map(|ms| Duration::from_millis(ms.max(1)));
        self.max_jobs = spec.max_jobs.unwrap_or(u64::MAX);
    }

    /// Wakes the pollers when the backlog has fallen to where they want to know.
    pub(crate) fn poke(&self) {
        if self.here() + self.asked <= self.low_mark {
            self.wake.notify_waiters();
        }
    }
}

/// One generation of a pool.
pub(crate) struct Pool {
    pub(crate) id: u32,
    pub(crate) name: Rc<str>,
    pub(crate) lanes: Vec<PoolLane>,
    pub(crate) types: Vec<PoolType>,
    pub(crate) workers: Vec<Worker>,
    /// Its workers drain; it leaves the state with the last of them.
    pub(crate) retired: bool,
    /// Why nothing is activated for it, and its waiting jobs go back.
    pub(crate) paused: Option<Rc<str>>,
}

pub(crate) struct PoolLane {
    pub(crate) slots: usize,
    /// Indexes of types with jobs that wait, each at most once; taken in turn.
    pub(crate) ring: VecDeque<usize>,
}

pub(crate) struct PoolType {
    pub(crate) job_type: usize,
    pub(crate) lane: usize,
    pub(crate) slots: usize,
    /// What its polls ask for while this generation serves it.
    pub(crate) spec: TypeSpec,
    pub(crate) listed: bool,
    /// Run times after which the handler is told to stop, and its process is killed.
    pub(crate) soft: Option<Duration>,
    pub(crate) hard: Option<Duration>,
}

impl Pool {
    pub(crate) fn new(id: u32, spec: &PoolSpec, job_types: impl Iterator<Item = usize>) -> Self {
        let lanes =
            spec.lanes.iter().map(|lane| PoolLane { slots: lane.slots as usize, ring: VecDeque::new() });
        let types = spec.types.iter().zip(job_types).map(|(kind, job_type)| PoolType {
            job_type,
            lane: kind.lane,
            slots: kind.slots as usize,
            spec: kind.clone(),
            listed: false,
            soft: kind.time_limit_ms.map(Duration::from_millis),
            hard: kind.hard_time_limit_ms.map(Duration::from_millis),
        });
        Self {
            id,
            name: spec.name.as_str().into(),
            lanes: lanes.collect(),
            types: types.collect(),
            workers: Vec::new(),
            retired: false,
            paused: None,
        }
    }

    pub(crate) fn has_limits(&self) -> bool {
        self.types.iter().any(|kind| kind.soft.is_some() || kind.hard.is_some())
    }

    pub(crate) fn ready_workers(&self) -> u64 {
        self.workers.iter().filter(|worker| worker.state == WorkerState::Ready).count() as u64
    }
}

impl State {
    pub(crate) fn new(poison: Poison) -> Self {
        Self {
            ledger: Ledger::default(),
            types: Vec::new(),
            by_name: FxHashMap::default(),
            pools: Vec::new(),
            poison,
            suspects_waiting: 0,
            solitude_used: false,
        }
    }

    /// Puts a job among those that wait: at the front when it comes back, and apart when it has to run alone.
    pub(crate) fn enqueue(&mut self, id: JobId, front: bool) {
        let Some(entry) = self.ledger.get_mut(id) else { return };
        entry.stage = Stage::Waiting;
        let (job_type, solitary) = (entry.job_type, entry.solitary);
        let Some(kind) = self.types.get_mut(job_type) else { return };
        let queue = if solitary { &mut kind.suspects } else { &mut kind.queue };
        if front {
            queue.push_front(id)
        } else {
            queue.push_back(id)
        }
        self.suspects_waiting += usize::from(solitary);
    }

    /// Takes every job of a type that waits.
    pub(crate) fn empty_queues(&mut self, job_type: usize) -> VecDeque<JobId> {
        let Some(kind) = self.types.get_mut(job_type) else { return VecDeque::new() };
        self.suspects_waiting -= kind.suspects.len();
        let mut waiting = std::mem::take(&mut kind.queue);
        waiting.append(&mut kind.suspects);
        waiting
    }

    /// The index of a type by its name, made when it is new.
    pub(crate) fn type_index(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.types.len();
        self.types.push(JobType::new(name));
        self.by_name.insert(name.to_owned(), index);
        index
    }

    pub(crate) fn pool(&mut self, id: u32) -> Option<&mut Pool> {
        self.pools.iter_mut().find(|pool| pool.id == id)
    }

    /// The pool (by index) and the place in it of a worker.
    pub(crate) fn place(&self, worker: u64) -> Option<(usize, usize)> {
        self.pools.iter().enumerate().find_map(|(pool_index, pool)| {
            let index = pool.workers.iter().position(|candidate| candidate.id == worker)?;
            Some((pool_index, index))
        })
    }

    pub(crate) fn worker(&mut self, id: u64) -> Option<&mut Worker> {
        let (pool, index) = self.place(id)?;
        self.pools.get_mut(pool)?.workers.get_mut(index)
    }

    /// The pool generation that gets the type's jobs: the newest that has a ready worker, else the newest.
    pub(crate) fn home(&self, job_type: usize) -> Option<(usize, usize)> {
        let serving = &self.types.get(job_type)?.serving;
        let alive = serving.iter().rev().filter_map(|(id, type_index)| {
            let index = self.pools.iter().position(|pool| pool.id == *id)?;
            Some((index, *type_index))
        });
        let mut first = None;
        for (index, type_index) in alive {
            if self.pools.get(index).is_some_and(|pool| pool.ready_workers() > 0) {
                return Some((index, type_index));
            }
            first = first.or(Some((index, type_index)));
        }
        first
    }

    /// Puts the type into its home's ring if jobs of it wait; returns the home's index among the pools.
    pub(crate) fn list(&mut self, job_type: usize) -> Option<usize> {
        if self.types.get(job_type)?.queue.is_empty() {
            return None;
        }
        let (pool_index, type_index) = self.home(job_type)?;
        let pool = self.pools.get_mut(pool_index)?;
        let kind = pool.types.get_mut(type_index)?;
        if !kind.listed {
            kind.listed = true;
            pool.lanes.get_mut(kind.lane)?.ring.push_back(type_index);
        }
        Some(pool_index)
    }
}
