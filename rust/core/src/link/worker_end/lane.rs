//! One lane of the worker: the jobs that wait in it, its slots, and whom to wake.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::gate::Gate;
use super::{Misuse, lock};
use crate::recorder::{LaneKind, LaneSpec, Start, WorkerRecorder, now_ns};

/// A job that came over the link.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) number: u64,
    pub(super) type_index: u16,
    pub(super) body: Bytes,
    /// Its outcome is no longer wanted: it passes through its slot without running.
    pub(super) cancelled: bool,
}

/// A job that was started.
#[derive(Debug)]
pub struct Job {
    /// Index of its slot in the lane.
    pub slot: u16,
    /// Its number in the lane.
    pub number: u64,
    /// Index of its type in the pool's list of handlers.
    pub type_index: u16,
    /// The engine's bytes of the job.
    pub body: Bytes,
}

/// What came of looking for a job.
#[derive(Debug)]
pub enum Take {
    /// This one runs now.
    Job(Job),
    /// Nothing to start; wait with this ticket.
    Empty(u32),
    /// Nothing to start, and nothing more comes.
    Over,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) kind: LaneKind,
    pub(super) index: u16,
    slots: Box<[Cell]>,
    queue: Mutex<Queue>,
    /// False while jobs wait, for the hot path, which does not take the lock.
    empty: AtomicBool,
    /// The highest number that came.
    received: AtomicU64,
    gate: Gate,
    /// An eventfd, for a loop lane.
    pub(super) wake: Option<OwnedFd>,
}

/// The job that a slot runs, zero for none.
#[derive(Debug, Default)]
struct Cell {
    number: AtomicU64,
    started_ns: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    jobs: VecDeque<Queued>,
    /// Free slots of a loop lane.
    free: Vec<u16>,
    /// The loop found no job (or no slot) at its last look, so it wants to be woken for the next one.
    wants_job: bool,
    wants_slot: bool,
    draining: bool,
}

/// The numbers that came have a gap.
#[derive(Debug)]
pub(super) struct OutOfStep;

/// What the end of a job left in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Released {
    /// Nothing waits, and in a loop lane nothing else runs.
    pub(super) idle: bool,
    /// The loop waits for this slot.
    pub(super) wake: bool,
}

impl Lane {
    pub(super) fn new(index: u16, spec: LaneSpec, wake: Option<OwnedFd>) -> Self {
        let is_loop = spec.kind == LaneKind::Loop;
        let slots = u16::try_from(spec.slots).unwrap_or(u16::MAX);
        let queue = Queue {
            jobs: VecDeque::new(),
            free: if is_loop { (0..slots).rev().collect() } else { Vec::new() },
            wants_job: true,
            wants_slot: false,
            draining: false,
        };
        Self {
            kind: spec.kind,
            index,
            slots: (0..slots).map(|_| Cell::default()).collect(),
            queue: Mutex::new(queue),
            empty: AtomicBool::new(true),
            received: AtomicU64::new(0),
            gate: Gate::default(),
            wake,
        }
    }

    /// Start the next job, in `slot` or, for a loop lane, in a free one; none when the recorder's word does not
    /// fit the numbers that came.
    pub(super) fn take(
        &self,
        slot: Option<u16>,
        recorder: &WorkerRecorder,
        tid: u32,
    ) -> Result<Option<Take>, Misuse> {
        if let Some(slot) = slot
            && self.cell(slot)?.number.load(Ordering::Acquire) != 0
        {
            return Err(Misuse::SlotBusy { lane: self.index, slot });
        }
        let at_ns = now_ns();
        let mut queue = lock(&self.queue);
        while let Some(front) = queue.jobs.front() {
            let number = front.number;
            let Some(slot) = slot.or_else(|| queue.free.last().copied()) else {
                queue.wants_slot = true;
                break;
            };
            match recorder.start(self.index, slot, number, at_ns, tid) {
                Start::Refused { next } if next > number => queue.forget_below(next),
                Start::Refused { .. } => return Ok(None),
                Start::Started => {
                    let Some(job) = queue.jobs.pop_front() else { break };
                    if job.cancelled {
                        recorder.finish(self.index, slot, tid);
                        continue;
                    }
                    self.occupy(&mut queue, slot, number, at_ns);
                    let Queued { type_index, body, .. } = job;
                    return Ok(Some(Take::Job(Job { slot, number, type_index, body })));
                }
            }
        }
        queue.wants_job = queue.jobs.is_empty();
        self.empty.store(queue.jobs.is_empty(), Ordering::Release);
        if queue.draining && queue.jobs.is_empty() {
            return Ok(Some(Take::Over));
        }
        Ok(Some(Take::Empty(self.gate.ticket())))
    }

    fn occupy(&self, queue: &mut Queue, slot: u16, number: u64, at_ns: u64) {
        if self.kind == LaneKind::Loop {
            queue.free.pop();
        }
        self.empty.store(queue.jobs.is_empty(), Ordering::Release);
        if let Some(cell) = self.slots.get(usize::from(slot)) {
            cell.started_ns.store(at_ns, Ordering::Relaxed);
            cell.number.store(number, Ordering::Release);
        }
    }

    /// End job `number` in `slot`; returns when it started, or none when that slot does not run it any more.
    pub(super) fn end(&self, slot: u16, number: u64) -> Result<Option<u64>, Misuse> {
        let cell = self.cell(slot)?;
        let started_ns = cell.started_ns.load(Ordering::Relaxed);
        match cell.number.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) if number != 0 => Ok(Some(started_ns)),
            _ if number == 0 || number > self.received.load(Ordering::Acquire) => {
                Err(Misuse::Number { lane: self.index, number })
            }
            _ => Ok(None),
        }
    }

    /// The job that a slot runs.
    pub(super) fn running(&self, slot: u16) -> Result<Option<u64>, Misuse> {
        let number = self.cell(slot)?.number.load(Ordering::Acquire);
        Ok((number != 0).then_some(number))
    }

    /// Make the slot of an ended job free again.
    pub(super) fn release(&self, slot: u16) -> Released {
        if self.kind != LaneKind::Loop {
            return Released { idle: self.empty.load(Ordering::Acquire), wake: false };
        }
        let mut queue = lock(&self.queue);
        queue.free.push(slot);
        let idle = queue.jobs.is_empty() && queue.free.len() == self.slots.len();
        Released { idle, wake: std::mem::take(&mut queue.wants_slot) }
    }

    /// Add jobs that came; their numbers follow the last one's without a gap, or none is added.
    ///
    /// A taker of this lane who pushes takes one of them itself. Returns whether the loop wants to be woken.
    pub(super) fn push(&self, jobs: &mut Vec<Queued>, by_taker: bool) -> Result<bool, OutOfStep> {
        let mut last = self.received.load(Ordering::Relaxed);
        for job in jobs.iter() {
            last = last.checked_add(1).filter(|next| *next == job.number).ok_or(OutOfStep)?;
        }
        let count = jobs.len() - usize::from(by_taker && !jobs.is_empty());
        let mut queue = lock(&self.queue);
        self.received.store(last, Ordering::Release);
        queue.jobs.extend(jobs.drain(..));
        self.empty.store(false, Ordering::Release);
        self.gate.change();
        let wake = std::mem::take(&mut queue.wants_job);
        drop(queue);
        self.gate.wake(count);
        Ok(wake)
    }

    /// Mark a job whose outcome is no longer wanted; false when it is not waiting here.
    pub(super) fn cancel(&self, number: u64) -> bool {
        let mut queue = lock(&self.queue);
        let found = queue.jobs.iter_mut().find(|job| job.number == number);
        found.map(|job| job.cancelled = true).is_some()
    }

    /// Nothing more comes; with `discard`, what waits is not started either.
    pub(super) fn drain(&self, discard: bool) {
        let mut queue = lock(&self.queue);
        queue.draining = true;
        if discard {
            queue.jobs.clear();
            self.empty.store(true, Ordering::Release);
        }
        self.gate.change();
        drop(queue);
        self.gate.wake(usize::MAX);
    }

    /// True when nothing waits that may still start, and no slot runs a job.
    pub(super) fn is_idle(&self, recorder: &WorkerRecorder) -> bool {
        let mut queue = lock(&self.queue);
        queue.forget_below(recorder.next(self.index));
        self.empty.store(queue.jobs.is_empty(), Ordering::Release);
        queue.jobs.is_empty() && self.slots.iter().all(|cell| cell.number.load(Ordering::Acquire) == 0)
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    fn cell(&self, slot: u16) -> Result<&Cell, Misuse> {
        self.slots.get(usize::from(slot)).ok_or(Misuse::Slot { lane: self.index, slot })
    }
}

impl Queue {
    /// Drop the jobs that were revoked.
    fn forget_below(&mut self, next: u64) {
        while self.jobs.front().is_some_and(|job| job.number < next) {
            self.jobs.pop_front();
        }
    }
}
