//! The state of the data path as the supervisor reports it.

use std::time::Duration;

use serde::Serialize;

use crate::audit::Audit;
use crate::events::EngineState;
use crate::fleet::Fleet;
use crate::permits::Severity;
use crate::recorder::{SlotState, now_ns};
use crate::state::{JobType, Pool, State, Worker, WorkerState};
use crate::stats::{Counters, Percentiles};
use crate::transport::Kind;

#[derive(Serialize)]
pub(crate) struct Snapshot {
    engine: EngineStatus,
    types: Vec<TypeStatus>,
    totals: Counters,
    workers: Vec<WorkerStatus>,
    permits: PermitStatus,
    /// Pool generations, those on standby and those whose workers still drain among them.
    generations: usize,
    in_flight: usize,
    held_polls: u64,
    activating: bool,
    link_errors: u64,
    /// Tasks of the core that panicked or got stuck, and were replaced.
    task_failures: u64,
    slot_audit: Audit,
    poison: PoisonStatus,
}

#[derive(Serialize)]
struct PoisonStatus {
    suspects: usize,
    convicted: u64,
}

#[derive(Serialize)]
struct EngineStatus {
    kind: &'static str,
    url: String,
    version: Option<String>,
    state: EngineState,
    message: Option<String>,
    poll_connections: u64,
    outcome_connections: u64,
    poll_streams: u64,
    outcome_streams: u64,
    connections_opened: u64,
}

#[derive(Serialize)]
struct TypeStatus {
    r#type: String,
    pool: String,
    waiting: usize,
    dispatched: u64,
    running: u64,
    settling: u64,
    held_polls: u64,
    refusals: u64,
    most_per_answer: Option<u64>,
    poll_error: Option<String>,
    #[serde(flatten)]
    counters: Counters,
    latency_us: Percentiles,
    run_us: Percentiles,
    wait_us: Percentiles,
}

#[derive(Serialize)]
struct WorkerStatus {
    worker: u64,
    pool_id: u32,
    state: WorkerState,
    busy: u64,
    slots: u64,
    queued: u64,
    jobs: u64,
    running: Vec<Running>,
}

#[derive(Serialize)]
struct Running {
    lane: usize,
    slot: u16,
    r#type: String,
    key: String,
    since_ms: u64,
}

#[derive(Serialize)]
struct PermitStatus {
    cap: Option<u32>,
    in_use: u32,
    state: &'static str,
    refusals: u64,
    outcome_limit: usize,
    outcome_refusals: u64,
}

/// At most this many running jobs of one worker are named; the count is always whole.
const MOST_NAMED: usize = 64;

impl Fleet {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state.borrow();
        let mut running = vec![0u64; state.types.len()];
        let mut workers = Vec::new();
        for pool in &state.pools {
            workers.extend(pool.workers.iter().map(|worker| state.describe(pool, worker, &mut running)));
        }
        let health = self.health.borrow();
        let permits = self.permits.borrow();
        let engine = EngineStatus {
            kind: "camunda",
            url: self.settings.engine.url.clone(),
            version: self.engine.borrow().version(),
            state: health.state,
            message: health.message.clone(),
            poll_connections: self.transport.connections(Kind::Polls),
            outcome_connections: self.transport.connections(Kind::Outcomes),
            poll_streams: self.transport.streams(Kind::Polls),
            outcome_streams: self.transport.streams(Kind::Outcomes),
            connections_opened: self.transport.opened(),
        };
        let types: Vec<_> = running
            .iter()
            .enumerate()
            .filter_map(|(index, running)| state.describe_type(index, *running))
            .collect();
        // Over all types that ever were, so that no sum falls when a type leaves.
        let mut totals = Counters::default();
        state.types.iter().for_each(|kind| totals += &kind.counters);
        Snapshot {
            engine,
            types,
            totals,
            workers,
            permits: PermitStatus {
                cap: permits.cap(),
                in_use: permits.in_use(),
                state: severity(permits.state()),
                refusals: permits.refusals(),
                outcome_limit: self.outcomes.limit(),
                outcome_refusals: self.outcomes.refusals(),
            },
            generations: state.pools.len(),
            in_flight: state.ledger.len(),
            held_polls: state.types.iter().map(|kind| kind.held_polls).sum(),
            activating: self.activating.get(),
            link_errors: self.link_errors.get(),
            task_failures: self.tasks.failures(),
            slot_audit: self.audit.borrow().clone(),
            poison: PoisonStatus { suspects: state.poison.len(), convicted: state.poison.convicted() },
        }
    }
}

impl State {
    fn describe_type(&self, index: usize, running: u64) -> Option<TypeStatus> {
        let kind: &JobType = self.types.get(index)?;
        let pool =
            self.home(index).and_then(|(pool, _)| self.pools.get(pool)).map(|pool| pool.name.to_string());
        if pool.is_none() && kind.here() + kind.held_polls == 0 {
            return None;
        }
        Some(TypeStatus {
            r#type: kind.name.to_string(),
            pool: pool.unwrap_or_default(),
            waiting: kind.queue.len() + kind.suspects.len(),
            dispatched: kind.sent,
            running,
            settling: kind.settling,
            held_polls: kind.held_polls,
            refusals: kind.refusals,
            most_per_answer: (kind.most_per_answer < u64::MAX).then_some(kind.most_per_answer),
            poll_error: kind.poll_error.as_deref().map(str::to_owned),
            counters: kind.counters.clone(),
            latency_us: kind.latency.percentiles(),
            run_us: kind.runs.percentiles(),
            wait_us: kind.waits.percentiles(),
        })
    }

    /// One worker; adds what it runs to the counts by type.
    fn describe(&self, pool: &Pool, worker: &Worker, counts: &mut [u64]) -> WorkerStatus {
        let mut running = Vec::new();
        let (mut busy, mut slots, mut sent) = (0u64, 0u64, 0u64);
        for (lane_index, lane) in pool.lanes.iter().enumerate() {
            slots += lane.slots as u64;
            sent += worker.lanes.get(lane_index).map_or(0, |lane| lane.jobs as u64);
            for slot in 0..lane.slots as u16 {
                let Some(view) = worker.recorder.slot(lane_index as u16, slot) else { continue };
                if view.state != SlotState::Running {
                    continue;
                }
                let sent = worker.lanes.get(lane_index).and_then(|lane| lane.get(view.number));
                let Some(entry) = sent.and_then(|sent| self.ledger.get(sent.id)) else { continue };
                busy += 1;
                if let Some(count) = counts.get_mut(entry.job_type) {
                    *count += 1;
                }
                if running.len() < MOST_NAMED {
                    let since = Duration::from_nanos(now_ns().saturating_sub(view.started_at_ns));
                    let since_ms = since.as_millis() as u64;
                    let Some((name, key)) = self.name_sent(worker, lane_index, view.number) else { continue };
                    running.push(Running { lane: lane_index, slot, r#type: name, key, since_ms });
                }
            }
        }
        let queued = sent.saturating_sub(busy);
        WorkerStatus {
            worker: worker.id,
            pool_id: pool.id,
            state: worker.state,
            busy,
            slots,
            queued,
            jobs: worker.jobs,
            running,
        }
    }

    pub(crate) fn name_sent(&self, worker: &Worker, lane: usize, number: u64) -> Option<(String, String)> {
        let entry = self.ledger.get(worker.lanes.get(lane)?.get(number)?.id)?;
        let name = self.types.get(entry.job_type)?.name.to_string();
        Some((name, entry.job.key().to_owned()))
    }
}

fn severity(value: Severity) -> &'static str {
    match value {
        Severity::Healthy => "healthy",
        Severity::Soft => "soft",
        Severity::Severe => "severe",
    }
}
