//! Watch: looks at each worker's flight recorder for jobs over their time limit and for processes that do not move.
//! It costs a few loads of memory for each worker and second; whoever asks the system about a process is told of
//! suspects only.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use crate::events::Event;
use crate::fleet::Fleet;
use crate::job::now;
use crate::link::encode_limit;
use crate::recorder::{SlotState, now_ns};
use crate::state::{Blame, Pool, State, Worker, WorkerState};

/// Between two looks at everything.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// The shortest time between two looks at time limits.
const MOST_OFTEN: Duration = Duration::from_millis(20);

/// A limit is noticed this share of itself too late, at most.
const SHARE: u32 = 8;

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

/// How often a pool's limits need a look.
pub(crate) fn interval(pool: &Pool) -> Duration {
    let limits = pool.types.iter().flat_map(|kind| [kind.soft, kind.hard]).flatten();
    limits.min().map_or(EVERY, |shortest| (shortest / SHARE).clamp(MOST_OFTEN, EVERY))
}

/// Looks at limits as often as the shortest one asks for, and at everything else each second.
pub(crate) async fn watch_workers(fleet: Rc<Fleet>) {
    let mut next = now() + EVERY;
    loop {
        let pause = fleet.look_every.get().min(next.saturating_sub(now()));
        sleep(pause).await;
        fleet.look_at_limits();
        let time = now();
        if time >= next {
            next = time + EVERY;
            fleet.audit_books();
            fleet.look_at_workers(time);
            fleet.outcomes.look(&fleet, time);
            fleet.tasks.look();
            fleet.transport.look_at_certificates();
            fleet.events.beat();
        }
    }
}

/// What a look at one running job may ask for.
enum Finding {
    Soft { worker: u64, lane: usize, number: u64, limit: Duration },
    Hard { worker: u64, lane: usize, number: u64, limit: Duration, ran: Duration },
}

impl Fleet {
    /// Tells handlers whose time is over, and condemns the workers of those that do not heed it.
    fn look_at_limits(self: &Rc<Self>) {
        let findings = self.state.borrow().findings();
        for finding in findings {
            match finding {
                Finding::Soft { worker, lane, number, limit } => self.tell_limit(worker, lane, number, limit),
                Finding::Hard { worker, lane, number, limit, ran } => {
                    self.overdue(worker, lane, number, limit, ran);
                }
            }
        }
    }

    fn tell_limit(&self, worker: u64, lane: usize, number: u64, limit: Duration) {
        let mut state = self.state.borrow_mut();
        let Some(owner) = state.worker(worker) else { return };
        if owner.lanes.get_mut(lane).is_some_and(|lane| lane.tell(number)) {
            encode_limit(&mut owner.out, lane as u16, number, limit.as_millis() as u64);
            owner.flush();
        }
    }

    /// A job is over its hard limit: its worker gets nothing more, and the supervisor is asked to kill it.
    fn overdue(self: &Rc<Self>, worker: u64, lane: usize, number: u64, limit: Duration, ran: Duration) {
        let named = self.name_sent(worker, lane, number);
        let Some((r#type, key)) = named else { return };
        let (limit_ms, ran_ms) = (limit.as_millis() as u64, ran.as_millis() as u64);
        let words = format!("the handler ran for {}, over its hard time limit of {}", say(ran), say(limit));
        self.blame(worker, Blame::Overdue(vec![(lane, number, words)]));
        let over = OverLimit { r#type, key, limit_ms, ran_ms };
        self.events.push(&Event::Overdue { worker, over });
        self.retreat(worker);
    }

    fn name_sent(&self, worker: u64, lane: usize, number: u64) -> Option<(String, String)> {
        let state = self.state.borrow();
        let (pool, index) = state.place(worker)?;
        state.name_sent(state.pools.get(pool)?.workers.get(index)?, lane, number)
    }

    /// Adds to what a worker is killed for.
    fn blame(&self, worker: u64, blame: Blame) {
        let mut state = self.state.borrow_mut();
        let Some(owner) = state.worker(worker) else { return };
        match (&mut owner.blame, blame) {
            (Some(Blame::Overdue(known)), Blame::Overdue(more)) => known.extend(more),
            (present, blame) => *present = Some(blame),
        }
    }

    /// Gives a worker that is about to be killed nothing more, and its unstarted jobs to others.
    fn retreat(self: &Rc<Self>, worker: u64) {
        if let Some(owner) = self.state.borrow_mut().worker(worker) {
            owner.state = WorkerState::Broken;
        }
        let taken = self.take_unstarted(worker);
        self.put_back(taken);
    }

    /// The watchdog is about to kill this worker.
    pub(crate) fn condemn(self: &Rc<Self>, worker: u64, blameless: bool) {
        let over = self.state.borrow().told_jobs(worker);
        if blameless {
            self.blame(worker, Blame::Nobody);
        } else if !over.is_empty() {
            self.blame(worker, Blame::Overdue(over));
        }
        self.retreat(worker);
    }

    /// The watchdog says that this worker does not move, or does so again.
    pub(crate) fn shun(self: &Rc<Self>, worker: u64, shunned: bool) {
        let mut state = self.state.borrow_mut();
        let Some(owner) = state.worker(worker) else { return };
        owner.shunned = shunned;
        owner.lanes.iter_mut().for_each(|lane| lane.ignores = false);
        drop(state);
        if shunned {
            let taken = self.take_unstarted(worker);
            self.put_back(taken);
        } else {
            self.dispatch_all();
            self.wake_pollers();
        }
    }

    /// Tells the supervisor which workers do not move, and once when there are none any more.
    fn look_at_workers(&self, time: Duration) {
        let workers = self.state.borrow_mut().suspicions(time);
        if self.suspected.replace(!workers.is_empty()) || !workers.is_empty() {
            self.events.push(&Event::Suspects { workers });
        }
    }
}

impl State {
    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let at = now_ns();
        for pool in self.pools.iter().filter(|pool| pool.has_limits()) {
            for worker in pool.workers.iter().filter(|own| own.state != WorkerState::Broken) {
                for (lane_index, lane) in pool.lanes.iter().enumerate() {
                    for slot in 0..lane.slots as u16 {
                        found.extend(finding(pool, worker, lane_index, slot, at));
                    }
                }
            }
        }
        found
    }

    /// The jobs of a worker whose time is over, with what to say of each.
    fn told_jobs(&self, worker: u64) -> Vec<(usize, u64, String)> {
        let Some((pool, index)) = self.place(worker) else { return Vec::new() };
        let Some(pool) = self.pools.get(pool) else { return Vec::new() };
        let Some(owner) = pool.workers.get(index) else { return Vec::new() };
        let lanes = owner.lanes.iter().enumerate();
        let told = lanes.flat_map(|(index, lane)| {
            lane.out()
                .filter(|(_, sent)| sent.told)
                .map(move |(number, sent)| (index, number, sent.type_index))
        });
        told.map(|(lane, number, kind)| {
            let limit = pool.types.get(kind).and_then(|kind| kind.soft).unwrap_or_default();
            (lane, number, format!("the handler did not heed its time limit of {} and hung", say(limit)))
        })
        .collect()
    }

    fn suspicions(&mut self, time: Duration) -> Vec<Suspicion> {
        let mut found = Vec::new();
        for pool in &mut self.pools {
            let (limits, lanes) = (pool.has_limits(), &pool.lanes);
            for worker in &mut pool.workers {
                let quiet = quiet_for(worker, time);
                let told = limits && worker.lanes.iter().any(|lane| lane.out().any(|(_, sent)| sent.told));
                if quiet.is_none_or(|quiet| quiet < EVERY) && !told && !worker.shunned {
                    continue;
                }
                let running = |lane: usize, slots: usize| {
                    let slots = (0..slots as u16).filter_map(|slot| worker.recorder.slot(lane as u16, slot));
                    slots.filter(|view| view.state == SlotState::Running).count()
                };
                let counts: Vec<(usize, usize)> = lanes
                    .iter()
                    .enumerate()
                    .map(|(index, lane)| (running(index, lane.slots), lane.slots))
                    .collect();
                // Jobs that were taken back say nothing: the worker may have been about to start them.
                let starved = worker
                    .lanes
                    .iter()
                    .zip(&counts)
                    .any(|(lane, (running, slots))| running < slots && lane.jobs > *running);
                found.push(Suspicion {
                    worker: worker.id,
                    quiet_ms: quiet.unwrap_or_default().as_millis() as u64,
                    running: counts.iter().map(|(running, _)| running).sum(),
                    slots: counts.iter().map(|(_, slots)| slots).sum(),
                    starved,
                    over: Vec::new(),
                });
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
                crate::recorder::Progress::Running { since_ns, .. } => {
                    at.saturating_sub(since_ns) / 1_000_000
                }
                _ => return None,
            };
            Some(OverLimit { r#type, key, limit_ms: limit.as_millis() as u64, ran_ms })
        });
        over.take(MOST_NAMED).collect()
    }
}

/// What the job of one slot asks for.
fn finding(pool: &Pool, worker: &Worker, lane: usize, slot: u16, at_ns: u64) -> Option<Finding> {
    let view = worker.recorder.slot(lane as u16, slot).filter(|view| view.state == SlotState::Running)?;
    let sent = worker.lanes.get(lane)?.get(view.number)?;
    let kind = pool.types.get(sent.type_index)?;
    let ran = Duration::from_nanos(at_ns.saturating_sub(view.started_at_ns));
    let (worker, number) = (worker.id, view.number);
    match (kind.soft, kind.hard) {
        (_, Some(limit)) if ran >= limit => Some(Finding::Hard { worker, lane, number, limit, ran }),
        (Some(limit), _) if ran >= limit && !sent.told => Some(Finding::Soft { worker, lane, number, limit }),
        _ => None,
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

fn say(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        format!("{} s", (seconds * 100.0).round() / 100.0)
    } else {
        format!("{seconds:.0} s")
    }
}
