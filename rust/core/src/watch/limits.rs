//! Time limits of handlers: whose time is over is told so, and who does not heed it is ended with its process.

use std::rc::Rc;
use std::time::Duration;

use super::{EVERY, MOST_OFTEN, OverLimit, say};
use crate::events::Event;
use crate::fleet::Fleet;
use crate::link::encode_limit;
use crate::recorder::{SlotState, now_ns};
use crate::state::{Blame, Pool, State, Worker, WorkerState};

/// A limit is noticed this share of itself too late, at most.
const SHARE: u32 = 8;

/// How often a pool's limits need a look.
pub(crate) fn interval(pool: &Pool) -> Duration {
    let limits = pool.types.iter().flat_map(|kind| [kind.soft, kind.hard]).flatten();
    limits.min().map_or(EVERY, |shortest| (shortest / SHARE).clamp(MOST_OFTEN, EVERY))
}

/// What a look at one running job may ask for.
enum Finding {
    Soft { worker: u64, lane: usize, number: u64, limit: Duration },
    Hard { worker: u64, lane: usize, number: u64, limit: Duration, ran: Duration },
}

impl Fleet {
    /// Tells handlers whose time is over, and condemns the workers of those that do not heed it.
    pub(super) fn look_at_limits(self: &Rc<Self>) {
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
    pub(super) fn told_jobs(&self, worker: u64) -> Vec<(usize, u64, String)> {
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
