//! Pool generations: declared, put into service, paused, retired. One step switches job types from old generations
//! to new ones, so that activation never stops. It knows neither processes nor why a generation comes or goes.

use std::rc::Rc;

use crate::activate::Poller;
use crate::fleet::Fleet;
use crate::ledger::JobId;
use crate::settings::PoolSpec;
use crate::state::{JobType, Pool, PoolType, State};
use crate::{tasks, watch};

/// Why jobs go back whose type has left the fleet, or whose variables were chosen by handlers that have left.
const UNSERVED: &str = "no handler of this fleet runs the job type any more";
const STALE: &str = "the handlers were reloaded and need other variables of the job";

impl Fleet {
    /// Takes in a generation; it serves at once unless it stands by.
    pub(crate) fn declare_pool(self: &Rc<Self>, id: u32, spec: &PoolSpec) {
        let mut state = self.state.borrow_mut();
        let indexes: Vec<usize> = spec.types.iter().map(|kind| state.type_index(&kind.job_type)).collect();
        let pool = Pool::new(id, spec, indexes.into_iter());
        self.look_every.set(self.look_every.get().min(watch::interval(&pool)));
        state.pools.push(pool);
        drop(state);
        if !spec.standby {
            self.switch_pools(&[id], &[]);
        }
    }

    /// In one step: the job types of `begin` go to these generations, and those of `end` are retired.
    pub(crate) fn switch_pools(self: &Rc<Self>, begin: &[u32], end: &[u32]) {
        let mut state = self.state.borrow_mut();
        let mut stale = Vec::new();
        for id in begin {
            stale.extend(state.begin(*id));
        }
        let leaving: Vec<u64> = end.iter().flat_map(|id| state.retire(*id)).collect();
        let unpolled =
            state.types.iter_mut().enumerate().filter(|(_, kind)| !kind.polled && kind.is_served());
        let fresh: Vec<usize> = unpolled.map(|(index, kind)| (index, kind.polled = true).0).collect();
        drop(state);
        for job_type in fresh {
            let state = self.state.borrow();
            let name = state.types.get(job_type).map(|kind| Rc::clone(&kind.name)).unwrap_or_default();
            drop(state);
            for second in [false, true] {
                tasks::keep(self, format!("poller of {name}"), move |fleet, pulse| {
                    Poller::new(fleet, job_type, second, pulse).run()
                });
            }
        }
        self.return_unwanted(&stale);
        for worker in leaving {
            self.drain_worker(worker);
        }
        self.state.borrow_mut().forget_retired();
        self.dispatch_all();
        self.wake_pollers();
    }

    /// Activates nothing for this generation and hands back what waits for it; None ends that.
    pub(crate) fn pause_pool(self: &Rc<Self>, id: u32, reason: Option<&str>) {
        let mut state = self.state.borrow_mut();
        let Some(pool) = state.pool(id) else { return };
        pool.paused = reason.map(Rc::from);
        let workers: Vec<u64> = pool.workers.iter().map(|worker| worker.id).collect();
        drop(state);
        if reason.is_some() {
            self.return_unwanted(&[]);
            for worker in workers {
                let taken = self.take_unstarted(worker);
                self.put_back(taken);
            }
        }
        self.wake_pollers();
    }

    /// Hands back the waiting jobs that nobody here may run, and gives up held polls that would bring more of them.
    fn return_unwanted(self: &Rc<Self>, stale: &[usize]) {
        let mut state = self.state.borrow_mut();
        let (mut back, mut unwanted): (Vec<(JobId, Rc<str>)>, Vec<usize>) = (Vec::new(), stale.to_vec());
        for index in 0..state.types.len() {
            let turn = state.types.get(index).map_or(0, |kind| kind.fetch_turn);
            let refusal = state.refusal(index, turn);
            if refusal.is_some() {
                unwanted.push(index);
            }
            let refusal = refusal.or_else(|| stale.contains(&index).then(|| Rc::from(STALE)));
            if let Some(refusal) = refusal {
                back.extend(state.empty_queues(index).into_iter().map(|id| (id, Rc::clone(&refusal))));
            }
        }
        drop(state);
        if !unwanted.is_empty() && self.capabilities().notices_departed_clients {
            self.transport.half_close_polls(|job_type| unwanted.contains(&job_type));
        }
        for (id, refusal) in back {
            self.hand_back(id, &refusal, 0);
        }
    }
}

impl JobType {
    fn is_served(&self) -> bool {
        !self.serving.is_empty()
    }

    /// Takes what a new generation asks for; true when jobs that are here may lack some.
    fn adopt(&mut self, own: &PoolType) -> bool {
        let lacking = match (&self.fetch, &own.spec.fetch) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(before), Some(wanted)) => wanted.iter().any(|name| !before.contains(name)),
        };
        self.configure(&own.spec);
        self.fetch_turn += u32::from(lacking);
        lacking
    }
}

impl State {
    /// Why a job of this type that was asked for in that turn must not wait here; None when it may.
    pub(crate) fn refusal(&self, job_type: usize, fetch_turn: u32) -> Option<Rc<str>> {
        let Some((pool, _)) = self.home(job_type) else { return Some(UNSERVED.into()) };
        let paused = self.pools.get(pool).and_then(|pool| pool.paused.clone());
        if paused.is_some() {
            return paused;
        }
        let current = self.types.get(job_type).is_some_and(|kind| kind.fetch_turn == fetch_turn);
        (!current).then(|| STALE.into())
    }

    /// Whether a poll of that turn was given up by this side.
    pub(crate) fn is_stale(&self, job_type: usize, fetch_turn: u32) -> bool {
        self.refusal(job_type, fetch_turn).is_some()
    }

    /// Puts a generation into service; the types whose waiting jobs may lack variables that it needs.
    fn begin(&mut self, id: u32) -> Vec<usize> {
        let Self { pools, types, .. } = self;
        let Some(pool) = pools.iter().find(|pool| pool.id == id) else { return Vec::new() };
        let mut stale = Vec::new();
        for (place, own) in pool.types.iter().enumerate() {
            let Some(kind) = types.get_mut(own.job_type) else { continue };
            // The first handlers of a type find nothing here that others asked for.
            if kind.adopt(own) && kind.polled {
                stale.push(own.job_type);
            }
            kind.serving.push((id, place));
        }
        stale
    }

    /// Takes a generation out of service; its workers.
    fn retire(&mut self, id: u32) -> Vec<u64> {
        for kind in &mut self.types {
            kind.serving.retain(|(serving, _)| *serving != id);
        }
        let Some(pool) = self.pool(id) else { return Vec::new() };
        pool.retired = true;
        pool.workers.iter().map(|worker| worker.id).collect()
    }

    /// Drops the retired generations that have no worker left.
    pub(crate) fn forget_retired(&mut self) {
        self.pools.retain(|pool| !pool.retired || !pool.workers.is_empty());
    }
}
