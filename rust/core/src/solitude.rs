//! Solitude: gives a suspect a worker of its own, with nothing beside it and nothing prefetched, so that the next
//! death tells whose fault it was.

use std::time::Duration;

use crate::job::now;
use crate::ledger::{JobId, Stage};
use crate::link::encode_job;
use crate::state::{Sent, Solitude, State};

impl State {
    /// Whether suspects wait, or workers of this pool are kept for them.
    pub(crate) fn needs_solitude(&self, pool: usize) -> bool {
        let kept = |pool: &crate::state::Pool| pool.workers.iter().any(|own| own.solitude != Solitude::No);
        // Suspects are rare; workers are kept for one only after it waited.
        self.suspects_waiting > 0 || (self.solitude_used && self.pools.get(pool).is_some_and(kept))
    }

    /// Gives suspects of this pool to workers that have nothing else; true when one was sent.
    pub(crate) fn dispatch_alone(&mut self, pool_index: usize, late: &mut Vec<JobId>) -> bool {
        self.solitude_used = true;
        let (mut room, wanted) = self.room_for_suspects(pool_index);
        let mut wanted = wanted;
        let mut sent = false;
        let time = now();
        let types = self.pools.get(pool_index).map_or(0, |pool| pool.types.len());
        for type_index in 0..types {
            while room > 0 && self.suspect_waits(pool_index, type_index, time, late) {
                let Some(worker) = self.empty_worker(pool_index) else {
                    if wanted == 0 {
                        self.keep_worker(pool_index);
                    }
                    return sent;
                };
                sent |= self.send_alone(pool_index, worker, type_index);
                (room, wanted) = self.room_for_suspects(pool_index);
            }
        }
        self.let_go(pool_index);
        sent
    }

    /// How many more workers suspects may have, and how many are kept for one. Half of a pool stays for the others.
    fn room_for_suspects(&mut self, pool_index: usize) -> (usize, usize) {
        let Some(pool) = self.pools.get_mut(pool_index) else { return (0, 0) };
        let (mut held, mut wanted) = (0, 0);
        for worker in &mut pool.workers {
            if worker.solitude == Solitude::Held && worker.is_empty() {
                worker.solitude = Solitude::No;
            }
            held += usize::from(worker.solitude == Solitude::Held);
            wanted += usize::from(worker.solitude == Solitude::Wanted && worker.is_usable());
        }
        ((pool.ready_workers() as usize / 2).max(1).saturating_sub(held), wanted)
    }

    /// Whether a suspect of this type waits here; those that are too late to start go to `late`.
    fn suspect_waits(
        &mut self,
        pool: usize,
        type_index: usize,
        time: Duration,
        late: &mut Vec<JobId>,
    ) -> bool {
        let kind = self.pools.get(pool).and_then(|pool| pool.types.get(type_index));
        let Some(job_type) = kind.map(|kind| kind.job_type) else { return false };
        if self.home(job_type).is_none_or(|(home, _)| home != pool) {
            return false;
        }
        let Some(kind) = self.types.get_mut(job_type) else { return false };
        while let Some(id) = kind.suspects.front().copied() {
            match self.ledger.get(id) {
                Some(entry) if entry.lease.half() > time => return true,
                Some(_) => late.push(id),
                None => {}
            }
            kind.suspects.pop_front();
            self.suspects_waiting -= 1;
        }
        false
    }

    fn empty_worker(&self, pool: usize) -> Option<usize> {
        let workers = &self.pools.get(pool)?.workers;
        workers.iter().position(|own| own.is_usable() && own.solitude != Solitude::Held && own.is_empty())
    }

    /// Keeps the worker with the least to do, and takes back what it has not started.
    fn keep_worker(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        let jobs = |worker: &crate::state::Worker| worker.lanes.iter().map(|lane| lane.jobs).sum::<usize>();
        let open = pool.workers.iter().enumerate().filter(|(_, worker)| worker.is_open());
        let Some((index, _)) = open.min_by_key(|(_, worker)| jobs(worker)) else { return };
        let lanes = pool.lanes.len();
        let taken: Vec<JobId> =
            (0..lanes).flat_map(|lane| self.revoke_lane(pool_index, index, lane)).collect();
        if let Some(worker) = self.pools.get_mut(pool_index).and_then(|pool| pool.workers.get_mut(index)) {
            worker.solitude = Solitude::Wanted;
            worker.lanes.iter_mut().for_each(|lane| (lane.stuck, lane.ignores) = (false, false));
        }
        for id in taken.into_iter().rev() {
            let job_type = self.ledger.get(id).map(|entry| entry.job_type);
            self.enqueue(id, true);
            job_type.and_then(|job_type| self.list(job_type));
        }
    }

    /// No suspect waits any more: workers that were kept for one take jobs again.
    fn let_go(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let mut kept = false;
        for worker in &mut pool.workers {
            if worker.solitude == Solitude::Wanted {
                worker.solitude = Solitude::No;
            }
            kept |= worker.solitude != Solitude::No;
        }
        if !kept && self.suspects_waiting == 0 {
            let anywhere = self.pools.iter().flat_map(|pool| &pool.workers);
            self.solitude_used = anywhere.clone().any(|worker| worker.solitude != Solitude::No);
        }
    }

    fn send_alone(&mut self, pool_index: usize, worker: usize, type_index: usize) -> bool {
        let Self { ledger, types, pools, .. } = self;
        let Some(pool) = pools.get_mut(pool_index) else { return false };
        let Some(kind) = pool.types.get(type_index) else { return false };
        let Some(job_type) = types.get_mut(kind.job_type) else { return false };
        let Some(worker) = pool.workers.get_mut(worker) else { return false };
        let Some(lane) = worker.lanes.get_mut(kind.lane) else { return false };
        let Some(id) = job_type.suspects.pop_front() else { return false };
        self.suspects_waiting -= 1;
        let Some(entry) = ledger.get_mut(id) else { return false };
        let bytes = entry.job.raw.len();
        let number = lane.push(Sent { id, type_index, short_ns: None, bytes, told: false });
        // A job that has run before fits into a frame.
        let _ = encode_job(&mut worker.out, kind.lane as u16, type_index as u16, number, &entry.job.raw);
        entry.stage = Stage::Sent { worker: worker.id, lane: kind.lane, number };
        worker.solitude = Solitude::Held;
        job_type.sent += 1;
        true
    }
}
