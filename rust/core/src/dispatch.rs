//! Dispatch: moves jobs that wait in the core to workers, and takes back what waits behind a slow one.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::fleet::Fleet;
use crate::job::now;
use crate::ledger::{JobId, Stage};
use crate::link::encode_job;
use crate::pick::{LaneView, Waiting, is_long, pick};
use crate::state::{Sent, State, Worker};

/// A job that was given to a worker and has not started in this time goes to another one that is free.
const PATIENCE: Duration = Duration::from_millis(2);

impl Fleet {
    /// Gives waiting jobs of a pool to its workers, as far as they have room.
    pub(crate) fn dispatch(self: &Rc<Self>, pool_index: usize) {
        let mut late = Vec::new();
        let mut state = self.state.borrow_mut();
        let lanes = state.pools.get(pool_index).map_or(0, |pool| pool.lanes.len());
        let mut sent = state.needs_solitude(pool_index) && state.dispatch_alone(pool_index, &mut late);
        for lane in 0..lanes {
            sent |= state.dispatch_lane(pool_index, lane, &mut late);
        }
        if sent && let Some(pool) = state.pools.get_mut(pool_index) {
            pool.workers.iter_mut().filter(|worker| !worker.out.is_empty()).for_each(Worker::flush);
            self.prefetched.notify_one();
        }
        drop(state);
        for id in late {
            self.hand_back_late(id);
        }
    }

    /// Gives waiting jobs of every pool to workers.
    pub(crate) fn dispatch_all(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        for index in 0..state.types.len() {
            state.list(index);
        }
        let pools = state.pools.len();
        drop(state);
        for index in 0..pools {
            self.dispatch(index);
        }
    }

    /// Takes back every job that this worker has not started. Returns them in order.
    pub(crate) fn take_unstarted(&self, worker: u64) -> Vec<JobId> {
        let mut state = self.state.borrow_mut();
        let Some((pool, index)) = state.place(worker) else { return Vec::new() };
        let lanes = state.pools.get(pool).map_or(0, |pool| pool.lanes.len());
        (0..lanes).flat_map(|lane| state.revoke_lane(pool, index, lane)).collect()
    }

    /// Puts jobs back to the front of their queues, in order, and dispatches them anew; those that nobody here
    /// may run go back to the engine.
    pub(crate) fn requeue(self: &Rc<Self>, ids: Vec<JobId>) {
        let mut state = self.state.borrow_mut();
        let mut back = Vec::new();
        for id in ids.into_iter().rev() {
            let Some(entry) = state.ledger.get(id) else { continue };
            let (job_type, fetch_turn) = (entry.job_type, entry.fetch_turn);
            if let Some(refusal) = state.refusal(job_type, fetch_turn) {
                state.ledger.get_mut(id).into_iter().for_each(|entry| entry.stage = Stage::Waiting);
                back.push((id, refusal));
            } else {
                state.enqueue(id, true);
            }
        }
        drop(state);
        for (id, refusal) in back {
            self.hand_back(id, &refusal, 0);
        }
        self.dispatch_all();
    }
}

/// Looks, while jobs wait in workers, for ones that wait behind a slow job although another worker is free.
pub(crate) async fn watch_prefetch(fleet: Rc<Fleet>) {
    loop {
        fleet.prefetched.notified().await;
        loop {
            sleep(PATIENCE).await;
            let (waiting, stuck) = fleet.state.borrow_mut().find_stuck();
            if !stuck.is_empty() {
                let mut state = fleet.state.borrow_mut();
                let taken: Vec<JobId> = stuck
                    .into_iter()
                    .flat_map(|(pool, worker, lane)| state.revoke_lane(pool, worker, lane))
                    .collect();
                drop(state);
                fleet.requeue(taken);
            }
            if !waiting {
                break;
            }
        }
    }
}

impl State {
    /// Dispatches one lane of a pool; true when something was sent. Jobs too late to start go to `late`.
    fn dispatch_lane(&mut self, pool_index: usize, lane: usize, late: &mut Vec<JobId>) -> bool {
        let (mut sent, mut failures) = (false, 0);
        let time = now();
        loop {
            let Some(pool) = self.pools.get_mut(pool_index) else { return sent };
            let Some(ring) = pool.lanes.get_mut(lane).map(|lane| &mut lane.ring) else { return sent };
            if failures >= ring.len() {
                return sent;
            }
            let Some(type_index) = ring.pop_front() else { return sent };
            let found = self.choose(pool_index, lane, type_index);
            if let Some((worker, count)) = found {
                self.send(pool_index, worker, type_index, count, time, late);
                (sent, failures) = (true, 0);
            } else {
                failures += 1;
            }
            self.relist(pool_index, lane, type_index);
        }
    }

    /// Puts a type back into the ring while jobs of it wait and this pool is where they go.
    fn relist(&mut self, pool_index: usize, lane: usize, type_index: usize) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        let Some(job_type) = pool.types.get(type_index).map(|kind| kind.job_type) else { return };
        let waits = self.types.get(job_type).is_some_and(|kind| !kind.queue.is_empty());
        let stays = waits && self.home(job_type).is_some_and(|(home, _)| home == pool_index);
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        if let Some(kind) = pool.types.get_mut(type_index) {
            kind.listed = stays;
        }
        if stays {
            if let Some(lane) = pool.lanes.get_mut(lane) {
                lane.ring.push_back(type_index);
            }
        } else if waits {
            self.list(job_type);
        }
    }

    fn choose(&self, pool_index: usize, lane: usize, type_index: usize) -> Option<(usize, usize)> {
        let pool = self.pools.get(pool_index)?;
        let kind = pool.types.get(type_index)?;
        let job_type = self.types.get(kind.job_type)?;
        let waiting =
            Waiting { jobs: job_type.queue.len(), mean_ns: job_type.run.mean_ns(), slots: kind.slots };
        let slots = pool.lanes.get(lane)?.slots;
        let views = pool.workers.iter().map(|worker| match worker.lanes.get(lane) {
            Some(lane) if worker.is_open() => lane.view(slots, type_index),
            _ => LaneView { stuck: true, ..LaneView::default() },
        });
        pick(waiting, views)
    }

    fn send(
        &mut self,
        pool_index: usize,
        worker: usize,
        type_index: usize,
        count: usize,
        time: Duration,
        late: &mut Vec<JobId>,
    ) {
        let Self { ledger, types, pools, .. } = self;
        let Some(pool) = pools.get_mut(pool_index) else { return };
        let Some(kind) = pool.types.get(type_index) else { return };
        let Some(job_type) = types.get_mut(kind.job_type) else { return };
        let Some(worker) = pool.workers.get_mut(worker) else { return };
        let Some(lane) = worker.lanes.get_mut(kind.lane) else { return };
        let mean_ns = job_type.run.mean_ns();
        let short_ns = if is_long(mean_ns) { None } else { mean_ns };
        let mut bytes_sent = 0;
        for _ in 0..count {
            let Some(id) = job_type.queue.pop_front() else { return };
            let Some(entry) = ledger.get_mut(id) else { continue };
            if entry.lease.half() <= time {
                late.push(id);
                continue;
            }
            let bytes = entry.job.raw.len();
            let number = lane.push(Sent { id, type_index, short_ns, bytes, told: false });
            let (lane_index, type_index) = (kind.lane as u16, type_index as u16);
            if encode_job(&mut worker.out, lane_index, type_index, number, &entry.job.raw).is_err() {
                // Larger than a frame may be: it can never run here; at half its lease it is handed back.
                lane.take(number);
                late.push(id);
                continue;
            }
            entry.stage = Stage::Sent { worker: worker.id, lane: kind.lane, number };
            job_type.sent += 1;
            bytes_sent += bytes;
            if bytes_sent > 1024 * 1024 {
                return;
            }
        }
    }

    /// Takes back what this lane of a worker has not started.
    pub(crate) fn revoke_lane(&mut self, pool_index: usize, worker: usize, lane: usize) -> Vec<JobId> {
        let Self { types, pools, .. } = self;
        let Some(pool) = pools.get_mut(pool_index) else { return Vec::new() };
        let Some(worker) = pool.workers.get_mut(worker) else { return Vec::new() };
        let Some(state) = worker.lanes.get_mut(lane) else { return Vec::new() };
        let highest = state.highest();
        // A broken worker may have written anything into the word.
        let first = worker.recorder.revoke(lane as u16, highest).max(state.lowest());
        let mut taken = Vec::new();
        for number in first..=highest {
            let Some(sent) = state.take(number) else { continue };
            let job_type = pool.types.get(sent.type_index).map(|kind| kind.job_type);
            if let Some(kind) = job_type.and_then(|index| types.get_mut(index)) {
                kind.sent -= 1;
            }
            taken.push(sent.id);
        }
        // With jobs still out, an outcome will come and end this; without, the lane is simply free.
        state.stuck = state.jobs > 0;
        state.ignores |= state.jobs == 0 && !taken.is_empty();
        taken
    }

    /// Whether jobs wait unstarted in any worker, and the lanes (pool, worker, lane) whose jobs should leave:
    /// nothing has started there since the last look, and another worker of the pool is free.
    fn find_stuck(&mut self) -> (bool, Vec<(usize, usize, usize)>) {
        let (mut waiting, mut stuck) = (false, Vec::new());
        for (pool_index, pool) in self.pools.iter_mut().enumerate() {
            for lane in 0..pool.lanes.len() {
                let slots = pool.lanes.get(lane).map_or(0, |lane| lane.slots);
                let mut candidates = Vec::new();
                let mut free = false;
                for (index, worker) in pool.workers.iter_mut().enumerate() {
                    let next = worker.recorder.next(lane as u16);
                    let open = worker.is_open();
                    let Some(state) = worker.lanes.get_mut(lane) else { continue };
                    let unstarted = next <= state.highest();
                    let moved = next != state.seen_next;
                    state.seen_next = next;
                    if unstarted && !moved {
                        candidates.push(index);
                    } else {
                        free |= open && state.jobs < slots;
                    }
                    waiting |= unstarted;
                }
                if free {
                    stuck.extend(candidates.into_iter().map(|worker| (pool_index, worker, lane)));
                }
            }
        }
        (waiting, stuck)
    }
}
