//! What the core tells the supervisor: a bounded queue and a descriptor that says when it is worth a look.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::watch::{OverLimit, Suspicion};

/// Log records beyond this many waiting events are dropped and counted; other events always fit.
const MOST_WAITING: usize = 10_000;

/// Levels of log lines, as Python has them.
pub(crate) const INFO: u8 = 20;
pub(crate) const WARNING: u8 = 30;

/// One event.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the members say what the variant names")]
pub enum Event {
    WorkerReady {
        worker: u64,
    },
    WorkerStartFailed {
        worker: u64,
        error: String,
    },
    WorkerBroken {
        worker: u64,
        error: String,
    },
    WorkerDrained {
        worker: u64,
    },
    Buried {
        worker: u64,
        reason: String,
        settled: u64,
        requeued: u64,
        handed_back: u64,
        /// Of the started jobs: failed for a time limit, or as poison.
        failed: u64,
        /// A job that ran alone because of earlier deaths, or one over its limit, is to blame and not the pool.
        blamed: bool,
        jobs: Vec<StartedJob>,
    },
    /// A job is over its hard time limit: its worker has to be killed.
    Overdue {
        worker: u64,
        over: OverLimit,
    },
    /// Workers that do not move, each second while there are any, and an empty list after them.
    Suspects {
        workers: Vec<Suspicion>,
    },
    /// A job was failed as poison, in these words, for the death of this worker and of earlier ones.
    JobConvicted {
        worker: u64,
        /// How many of those deaths have counted against the pool.
        cleared: u32,
        r#type: String,
        key: String,
        message: String,
    },
    /// A task of the core failed; the message says how, and what follows.
    TaskFailed {
        task: String,
        message: String,
    },
    /// The core has ended, for this reason: nothing will happen any more.
    CoreFailed {
        message: String,
    },
    /// The audit found that the books disagreed, and mended them.
    Disagreement {
        what: String,
    },
    Log {
        worker: u64,
        level: u8,
        r#type: Option<String>,
        key: Option<String>,
        record: Box<RawValue>,
    },
    Dropped {
        count: u64,
    },
    Engine {
        state: EngineState,
        message: String,
    },
    Notice {
        level: u8,
        message: String,
    },
    /// The engine refused the credentials: the number of the header, 0 for the one of the settings.
    Unauthorized {
        header: u64,
        message: String,
    },
    JobRejected {
        r#type: String,
        key: String,
        message: String,
    },
    /// The engine refuses what the polls of a type ask for, or takes it again.
    Polls {
        r#type: String,
        refused: bool,
        message: String,
    },
    Drained,
}

/// A job that a dead worker had started.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "named as the engine names them")]
pub struct StartedJob {
    pub r#type: String,
    pub key: String,
    /// Whether its handler was still running; a suspect, then.
    pub running: bool,
}

/// Whether the engine can be worked with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "plain words")]
pub enum EngineState {
    #[default]
    Unknown,
    Up,
    Down,
}

/// The queue between the core's thread and the supervisor.
pub struct Events {
    waiting: Mutex<Waiting>,
    signal: OwnedFd,
    beats: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Vec<u8>>,
    dropped: u64,
}

impl Events {
    /// An empty queue.
    pub fn new() -> io::Result<Self> {
        let signal = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { waiting: Mutex::default(), signal, beats: AtomicU64::new(0) })
    }

    /// The core's thread has taken another look at everything.
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How many looks it has taken.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Readable while [`take`](Self::take) has something to return.
    pub fn signal(&self) -> BorrowedFd<'_> {
        self.signal.as_fd()
    }

    /// Adds an event.
    pub fn push(&self, event: &Event) {
        let Ok(text) = serde_json::to_vec(event) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.events.is_empty() && waiting.dropped == 0;
        match event {
            Event::Dropped { count } => waiting.dropped = waiting.dropped.saturating_add(*count),
            Event::Log { .. } if waiting.events.len() >= MOST_WAITING => {
                waiting.dropped = waiting.dropped.saturating_add(1);
            }
            _ => waiting.events.push_back(text),
        }
        if first {
            // The counter can only be full when the supervisor has not looked for 2^64 events.
            let _ = rustix::io::write(&self.signal, &1u64.to_ne_bytes());
        }
    }

    /// Takes everything that waits, oldest first.
    pub fn take(&self) -> Vec<Vec<u8>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = rustix::io::read(&self.signal, &mut [0u8; 8]);
        let dropped = std::mem::take(&mut waiting.dropped);
        let mut taken: Vec<_> = waiting.events.drain(..).collect();
        drop(waiting);
        if dropped > 0 {
            taken.extend(serde_json::to_vec(&Event::Dropped { count: dropped }).ok());
        }
        taken
    }
}
