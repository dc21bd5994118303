//! The core's end of each link: reads outcomes and writes what did not fit at once.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::net::UnixStream;

use crate::events::Event;
use crate::fleet::Fleet;
use crate::job::now;
use crate::ledger::Stage;
use crate::link::{FrameError, Outcome, OutcomeHead, ToCore, encode_cancel, encode_drain};
use crate::settle::Work;
use crate::state::WorkerState;

/// Failures of handlers wait at least this long for their next try: a repeat of the command is recognised
/// inside the back-off, and a failing dependency does not burn all retries at once.
pub(crate) const DEFAULT_BACKOFF_MS: u64 = 1_000;

/// After this many reads other workers have their turn, however much a flooding one still sends.
const READS_AT_ONCE: usize = 8;

/// Owns one worker's socket until the worker leaves the state or its link fails.
pub(crate) async fn serve(fleet: Rc<Fleet>, worker: u64, socket: Rc<UnixStream>) {
    loop {
        let wake = poll_fn(|cx| {
            let mut state = fleet.state.borrow_mut();
            let Some(owner) = state.worker(worker) else { return Poll::Ready(None) };
            if socket.poll_read_ready(cx).is_ready() {
                return Poll::Ready(Some(true));
            }
            if !owner.out.is_empty() && socket.poll_write_ready(cx).is_ready() {
                return Poll::Ready(Some(false));
            }
            owner.waker = Some(cx.waker().clone());
            Poll::Pending
        });
        match wake.await {
            None => return,
            Some(false) => {
                let mut state = fleet.state.borrow_mut();
                let Some((pool, _)) = state.place(worker) else { return };
                let Some(owner) = state.worker(worker) else { return };
                owner.flush();
                let takes_jobs = !owner.clogged;
                drop(state);
                if takes_jobs {
                    fleet.dispatch(pool);
                }
            }
            Some(true) => {
                if !fleet.read_link(worker, &socket) {
                    return;
                }
            }
        }
    }
}

impl Fleet {
    /// Reads what is there; false when nothing more can come. Death is told by the pidfd, never by this.
    fn read_link(self: &Rc<Self>, worker: u64, socket: &UnixStream) -> bool {
        for _ in 0..READS_AT_ONCE {
            let mut state = self.state.borrow_mut();
            let Some(owner) = state.worker(worker) else { return false };
            let read = socket.try_read(owner.reader.space());
            match read {
                Ok(0) => return false,
                Ok(count) => {
                    owner.reader.filled(count);
                    owner.mute_since = None;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
            drop(state);
            if let Err(error) = self.take_frames(worker) {
                self.break_worker(worker, &error.to_string());
                return false;
            }
        }
        true
    }

    /// Handles every whole frame that was read; returns how many outcomes were among them.
    fn take_frames(self: &Rc<Self>, worker: u64) -> Result<u64, FrameError> {
        let mut settled = 0;
        let time = now();
        let result = loop {
            let frame = match self.state.borrow_mut().worker(worker) {
                Some(owner) => owner.reader.next_frame(),
                None => break Ok(settled),
            };
            match frame {
                Ok(None) => break Ok(settled),
                Ok(Some(ToCore::Outcome { head, outcome })) => {
                    settled += u64::from(self.take_outcome(worker, head, outcome, time));
                }
                Ok(Some(other)) => {
                    if let Err(error) = self.take_word(worker, other) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        if settled > 0 {
            let pool = self.state.borrow().place(worker).map(|(pool, _)| pool);
            if let Some(pool) = pool {
                self.dispatch(pool);
            }
            self.tell_if_empty(worker);
        }
        result
    }

    /// Takes one outcome; false when the job was taken back before, so that nobody wants it.
    fn take_outcome(
        self: &Rc<Self>,
        worker: u64,
        head: OutcomeHead,
        mut outcome: Outcome,
        time: Duration,
    ) -> bool {
        let lane = usize::from(head.lane);
        let mut state = self.state.borrow_mut();
        let Some((pool, index)) = state.place(worker) else { return false };
        let state = &mut *state;
        let Some(pool) = state.pools.get_mut(pool) else { return false };
        let Some(owner) = pool.workers.get_mut(index) else { return false };
        let Some(lane_state) = owner.lanes.get_mut(lane) else { return false };
        (lane_state.stuck, lane_state.ignores) = (false, false);
        let Some(sent) = lane_state.take(head.number) else { return false };
        owner.jobs += 1;
        let Some(entry) = state.ledger.get_mut(sent.id) else { return false };
        lane_state.remember(head.number, entry.job_type, entry.job.key());
        if let Some(kind) = state.types.get_mut(entry.job_type) {
            let run = Duration::from_nanos(head.run_ns);
            kind.sent -= 1;
            kind.run.record(head.run_ns);
            kind.runs.record(run);
            kind.waits.record(time.saturating_sub(entry.lease.received_at).saturating_sub(run));
            if entry.disowned {
                kind.counters.lost += 1;
                kind.poke();
            } else {
                kind.settling += 1;
            }
        }
        if !state.poison.is_empty() {
            state.poison.acquit(entry.job.key());
        }
        if entry.disowned {
            state.ledger.remove(sent.id);
            return true;
        }
        entry.stage = Stage::Settling;
        if let Outcome::Fail { backoff_ms, .. } = &mut outcome {
            backoff_ms.get_or_insert(DEFAULT_BACKOFF_MS);
        }
        self.outcomes.push(self, Work::settle(sent.id, outcome));
        true
    }

    /// Takes every frame that is not an outcome.
    fn take_word(self: &Rc<Self>, worker: u64, word: ToCore) -> Result<(), FrameError> {
        match word {
            ToCore::Ready => self.worker_ready(worker),
            ToCore::StartFailed { error } => {
                if self.state.borrow_mut().worker(worker).is_some_and(|own| own.state == WorkerState::Ready) {
                    return Err(FrameError::OutOfTurn { what: "a failed start, after the worker was ready" });
                }
                self.set_worker_state(worker, WorkerState::Broken);
                self.events.push(&Event::WorkerStartFailed { worker, error });
            }
            ToCore::Log { level, lane, number, record } => {
                let (job_type, key) = self.name_job(worker, usize::from(lane), number);
                let text = String::from_utf8_lossy(&record).into_owned();
                let Ok(record) = RawValue::from_string(text) else { return Ok(()) };
                self.events.push(&Event::Log { worker, level, r#type: job_type, key, record });
            }
            ToCore::LogsDropped { count } => self.events.push(&Event::Dropped { count }),
            ToCore::Outcome { .. } => {}
        }
        Ok(())
    }

    fn worker_ready(self: &Rc<Self>, worker: u64) {
        if self.state.borrow_mut().worker(worker).is_some_and(|owner| owner.state != WorkerState::Starting) {
            return;
        }
        self.set_worker_state(worker, WorkerState::Ready);
        self.events.push(&Event::WorkerReady { worker });
        self.dispatch_all();
        self.wake_pollers();
    }

    /// Lets every poller look again whether it may ask.
    pub(crate) fn wake_pollers(&self) {
        for kind in &self.state.borrow().types {
            kind.wake.notify_waiters();
        }
    }

    fn set_worker_state(&self, worker: u64, next: WorkerState) {
        if let Some(owner) = self.state.borrow_mut().worker(worker) {
            owner.state = next;
        }
    }

    fn name_job(&self, worker: u64, lane: usize, number: u64) -> (Option<String>, Option<String>) {
        let mut state = self.state.borrow_mut();
        let Some(lane) = state.worker(worker).and_then(|owner| owner.lanes.get(lane)) else {
            return (None, None);
        };
        let sent = lane.get(number).copied();
        // Outcomes overtake log records.
        let recent = if sent.is_none() { lane.recall(number).copied() } else { None };
        let (job_type, key) = match (sent.and_then(|sent| state.ledger.get(sent.id)), &recent) {
            (Some(entry), _) => (entry.job_type, Some(entry.job.key())),
            (None, Some(recent)) => (recent.job_type, recent.key()),
            (None, None) => return (None, None),
        };
        (state.types.get(job_type).map(|kind| kind.name.to_string()), key.map(str::to_owned))
    }

    /// A link that cannot be relied on ends its worker: the supervisor is asked to kill it.
    pub(crate) fn break_worker(&self, worker: u64, error: &str) {
        self.link_errors.set(self.link_errors.get() + 1);
        self.set_worker_state(worker, WorkerState::Broken);
        self.events.push(&Event::WorkerBroken { worker, error: error.to_owned() });
    }

    /// Gives this worker nothing more; what it has not started goes to others.
    pub(crate) fn drain_worker(self: &Rc<Self>, worker: u64) {
        let mut state = self.state.borrow_mut();
        let Some(owner) = state.worker(worker) else { return };
        if owner.drain_told {
            return;
        }
        owner.drain_told = true;
        if owner.state != WorkerState::Broken {
            owner.state = WorkerState::Draining;
        }
        drop(state);
        let taken = self.take_unstarted(worker);
        if let Some(owner) = self.state.borrow_mut().worker(worker) {
            encode_drain(&mut owner.out);
            owner.flush();
        }
        self.put_back(taken);
        self.tell_if_empty(worker);
    }

    /// Jobs taken back from a worker: to another one, or to the engine when nothing is started any more.
    pub(crate) fn put_back(self: &Rc<Self>, taken: Vec<crate::ledger::JobId>) {
        if self.activating.get() {
            self.requeue(taken);
        } else {
            for id in taken {
                self.hand_back(id, "the fleet is draining", 0);
            }
        }
    }

    fn tell_if_empty(&self, worker: u64) {
        let mut state = self.state.borrow_mut();
        if state.worker(worker).is_some_and(|owner| owner.drain_told && owner.is_empty()) {
            self.events.push(&Event::WorkerDrained { worker });
        }
    }

    /// Tells a worker that the outcome of this job is no longer wanted.
    pub(crate) fn cancel(&self, worker: u64, lane: usize, number: u64, reason: &str) {
        if let Some(owner) = self.state.borrow_mut().worker(worker)
            && encode_cancel(&mut owner.out, lane as u16, number, reason).is_ok()
        {
            owner.flush();
        }
    }

    pub(crate) fn read_to_end(self: &Rc<Self>, worker: u64) -> u64 {
        let mut settled = 0;
        loop {
            let mut state = self.state.borrow_mut();
            let Some(owner) = state.worker(worker) else { return settled };
            owner.state = WorkerState::Broken;
            let socket = Rc::clone(&owner.socket);
            // Not through the runtime, which may not have looked at the socket since the last bytes came.
            let space = owner.reader.space();
            match rustix::net::recv(&*socket, space, rustix::net::RecvFlags::DONTWAIT) {
                Ok((_, 0)) | Err(_) => return settled,
                Ok((_, count)) => owner.reader.filled(count),
            }
            drop(state);
            match self.take_frames(worker) {
                Ok(count) => settled += count,
                Err(_) => return settled,
            }
        }
    }
}
