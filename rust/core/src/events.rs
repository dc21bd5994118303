//! What the core tells the supervisor: a bounded queue and a descriptor that says when it is worth a look.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use serde::Serialize;
use serde_json::value::RawValue;

/// Log records beyond this many waiting events are dropped and counted; other events always fit.
const MOST_WAITING: usize = 10_000;

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
        jobs: Vec<StartedJob>,
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
        Ok(Self { waiting: Mutex::default(), signal })
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
