//! One worker process as the core knows it: its link, its flight recorder, its lanes.

use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use tokio::net::UnixStream;

use super::Pool;
use super::lane::WorkerLane;
use crate::link::{FrameReader, ToCore};
use crate::recorder::{Counters as Turns, Recorder};

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WorkerState {
    /// It has not reported ready.
    Starting,
    /// It takes jobs.
    Ready,
    /// It takes no more jobs and finishes what it runs.
    Draining,
    /// Its link is of no use any more; its death is awaited.
    Broken,
}

/// Whether a worker is kept for a suspect, which runs with nothing else in its process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Solitude {
    /// It is not.
    #[default]
    No,
    /// It finishes what it has and gets nothing more before a suspect.
    Wanted,
    /// A suspect has it.
    Held,
}

/// Why a worker was killed, where jobs of it are to blame or nobody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blame {
    /// No job of it: each is handed back.
    Nobody,
    /// The job (lane and number) whose outcome never came.
    Mute(usize, u64),
    /// Jobs (lane, number, what to say) that ran over their limit.
    Overdue(Vec<(usize, u64, String)>),
}

pub(crate) struct Worker {
    pub(crate) id: u64,
    pub(crate) state: WorkerState,
    pub(crate) solitude: Solitude,
    pub(crate) blame: Option<Blame>,
    /// The watchdog says that it does not move: it gets nothing.
    pub(crate) shunned: bool,
    /// What the recorder had counted at the last look, and since when that has not changed although there is work.
    pub(crate) seen: Turns,
    pub(crate) quiet_since: Option<Duration>,
    pub(crate) socket: Rc<UnixStream>,
    pub(crate) recorder: Recorder,
    pub(crate) reader: FrameReader<ToCore>,
    pub(crate) out: Vec<u8>,
    /// It has not read what was sent so far, and its socket is full.
    pub(crate) clogged: bool,
    /// Wakes the task that owns the socket.
    pub(crate) waker: Option<Waker>,
    pub(crate) lanes: Vec<WorkerLane>,
    pub(crate) jobs: u64,
    pub(crate) drain_told: bool,
    /// Since when an outcome is due and nothing has come over the link.
    pub(crate) mute_since: Option<Duration>,
}

impl Worker {
    pub(crate) fn new(id: u64, socket: Rc<UnixStream>, recorder: Recorder, pool: &Pool) -> Self {
        let types = pool.types.len();
        Self {
            id,
            state: WorkerState::Starting,
            solitude: Solitude::No,
            blame: None,
            shunned: false,
            seen: Turns::default(),
            quiet_since: None,
            socket,
            recorder,
            reader: FrameReader::new(),
            out: Vec::new(),
            clogged: false,
            waker: None,
            lanes: pool.lanes.iter().map(|_| WorkerLane::new(types)).collect(),
            jobs: 0,
            drain_told: false,
            mute_since: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.jobs == 0)
    }

    /// Whether it takes jobs.
    pub(crate) fn is_usable(&self) -> bool {
        self.state == WorkerState::Ready && !self.shunned
    }

    /// Whether dispatch may give it any job: one that is stopped would be sent the same jobs again and again, as each
    /// time they are taken back from it.
    pub(crate) fn is_open(&self) -> bool {
        self.is_usable() && self.solitude == Solitude::No && !self.clogged
    }

    /// Writes what waits; what does not fit is left to the worker's task.
    pub(crate) fn flush(&mut self) {
        while !self.out.is_empty() {
            match self.socket.try_write(&self.out) {
                Ok(written) if written == self.out.len() => self.out.clear(),
                Ok(written) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // The peer is gone; its pidfd tells the rest.
                Err(_) => self.out.clear(),
            }
        }
        self.clogged = !self.out.is_empty();
        if self.clogged
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }
}
