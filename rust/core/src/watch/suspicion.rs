//! Suspicion: workers that do not move although they have work, as their flight recorders show it.

use std::time::Duration;

use serde::Serialize;

use crate::events::Event;
use crate::fleet::Fleet;
use crate::recorder::{Progress, SlotState, now_ns};
use crate::state::{PoolLane, State, Worker, WorkerState};

/// An idle worker that did not start a job in time stays a suspect for so long.
const IGNORES_FOR: Duration = Duration::from_secs(4);

/// Jobs over their limit that one event names.
const MOST_NAMED: usize = 16;

/// A worker that does not move although it has work.
#[derive(Debug, Serialize)]
pub struct Suspicion {
    pub worker: u64,
    /// For how long nothing has started, returned or turned there.
    pub quiet_ms: u64,
    pub running: usize,
    pub slots: usize,
    /// A lane has room and does not start the jobs that wait for it.
    pub starved: bool,
    pub over: Vec<OverLimit>,
}

/// A job that runs longer than its limit.
#[derive(Debug, Serialize)]
pub struct OverLimit {
    pub r#type: String,
    pub key: String,
    pub limit_ms: u64,
    pub ran_ms: u64,
}

impl Fleet {
    /// Tells the supervisor which workers do not move, and once when there are none any more.
    pub(super) fn look_at_workers(&self, time: Duration) {
        let workers = self.state.borrow_mut().suspicions(time, self.watch_every);
        if self.suspected.replace(!workers.is_empty()) || !workers.is_empty() {
            self.events.push(&Event::Suspects { workers });
        }
    }
}

impl State {
    /// Workers that have had work and not moved for `least`, run jobs that were told to stop, or are shunned.
    fn suspicions(&mut self, time: Duration, least: Duration) -> Vec<Suspicion> {
        let mut found = Vec::new();
        for pool in &mut self.pools {
            let (limits, lanes) = (pool.has_limits(), &pool.lanes);
            for worker in &mut pool.workers {
                let quiet = quiet_for(worker, time);
                let told = limits && worker.lanes.iter().any(|lane| lane.out().any(|(_, sent)| sent.told));
                if quiet.is_some_and(|quiet| quiet >= least) || told || worker.shunned {
                    found.push(describe(worker, lanes, quiet.unwrap_or_default()));
                }
            }
        }
        for suspicion in &mut found {
            suspicion.over = self.over_limit(suspicion.worker);
        }
        found
    }

    fn over_limit(&self, worker: u64) -> Vec<OverLimit> {
        let Some((pool, index)) = self.place(worker) else { return Vec::new() };
        let Some(pool) = self.pools.get(pool) else { return Vec::new() };
        let Some(owner) = pool.workers.get(index) else { return Vec::new() };
        let at = now_ns();
        let lanes = owner.lanes.iter().enumerate();
        let told = lanes.flat_map(|(index, lane)| {
            lane.out()
                .filter(|(_, sent)| sent.told)
                .map(move |(number, sent)| (index, number, sent.type_index))
        });
        let over = told.filter_map(|(lane, number, kind)| {
            let (r#type, key) = self.name_sent(owner, lane, number)?;
            let limit = pool.types.get(kind)?.soft?;
            let ran_ms = match owner.recorder.classify(lane as u16, number) {
                Progress::Running { since_ns, .. } => at.saturating_sub(since_ns) / 1_000_000,
                _ => return None,
            };
            Some(OverLimit { r#type, key, limit_ms: limit.as_millis() as u64, ran_ms })
        });
        over.take(MOST_NAMED).collect()
    }
}

/// What the flight recorder shows of a suspect.
fn describe(worker: &Worker, lanes: &[PoolLane], quiet: Duration) -> Suspicion {
    let running = |lane: usize, slots: usize| {
        let slots = (0..slots as u16).filter_map(|slot| worker.recorder.slot(lane as u16, slot));
        slots.filter(|view| view.state == SlotState::Running).count()
    };
    let counts: Vec<(usize, usize)> =
        lanes.iter().enumerate().map(|(index, lane)| (running(index, lane.slots), lane.slots)).collect();
    // Jobs that were taken back say nothing: the worker may have been about to start them.
    let starved = worker
        .lanes
        .iter()
        .zip(&counts)
        .any(|(lane, (running, slots))| running < slots && lane.jobs > *running);
    Suspicion {
        worker: worker.id,
        quiet_ms: quiet.as_millis() as u64,
        running: counts.iter().map(|(running, _)| running).sum(),
        slots: counts.iter().map(|(_, slots)| slots).sum(),
        starved,
        over: Vec::new(),
    }
}

/// For how long this worker has had work and not moved; notes what the recorder has counted.
fn quiet_for(worker: &mut Worker, time: Duration) -> Option<Duration> {
    let counted = worker.recorder.counters();
    let has_work = worker.lanes.iter().any(|lane| lane.jobs > 0 || lane.ignores);
    let moved = counted != worker.seen;
    worker.seen = counted;
    if moved {
        worker.lanes.iter_mut().for_each(|lane| lane.ignores = false);
    }
    if worker.state == WorkerState::Starting || moved || !has_work {
        worker.quiet_since = None;
        return None;
    }
    let quiet = time.saturating_sub(*worker.quiet_since.get_or_insert(time));
    for lane in &mut worker.lanes {
        // By now it is known whether the process is stopped; if not, it may try again.
        lane.stuck = false;
        lane.ignores &= quiet < IGNORES_FOR;
    }
    Some(quiet)
}
