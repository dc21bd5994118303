//! The flight recorder: a shared memory file per worker process that says what each slot runs.
//!
//! It answers without a message which jobs a worker had started when it died, which slot hangs and how busy it
//! is, and it holds the start/revoke word of each lane: the number of the job that may start next. Starting a
//! job and revoking all that have not started are compare-and-swaps on that word, so a job is never both.
//!
//! The file is sealed against shrinking and growing, so a worker cannot take the core down by truncating it.
//! A worker may write rubbish into it; what the core reads is range-checked and never trusted for more than
//! the jobs of that worker.

mod core_side;
mod layout;
mod mapping;
#[cfg(test)]
mod model;
mod word;
mod worker_side;

pub use core_side::Recorder;
pub use worker_side::{Start, WorkerRecorder};

use serde::{Deserialize, Serialize};

/// How a lane runs its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneKind {
    /// In the worker's main thread, one at a time.
    Main,
    /// In threads, one per slot.
    Threads,
    /// As tasks of an asyncio loop.
    Loop,
}

/// One lane of a worker process; as JSON a pair, `["threads", 4]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "(LaneKind, u32)", into = "(LaneKind, u32)")]
pub struct LaneSpec {
    /// How it runs its jobs.
    pub kind: LaneKind,
    /// How many jobs it runs at once, 1 to 65,535.
    pub slots: u32,
}

impl From<(LaneKind, u32)> for LaneSpec {
    fn from((kind, slots): (LaneKind, u32)) -> Self {
        Self { kind, slots }
    }
}

impl From<LaneSpec> for (LaneKind, u32) {
    fn from(lane: LaneSpec) -> Self {
        (lane.kind, lane.slots)
    }
}

/// What a slot does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// Never used, or its job was revoked at the last moment.
    Idle,
    /// Its job has started and not returned.
    Running,
    /// Its job has returned; the outcome may still be in the worker.
    Returned,
}

impl SlotState {
    /// State and thread share a word, so that they change together.
    #[inline]
    fn pack(self, tid: u32) -> u64 {
        u64::from(tid) << 32 | self as u64
    }

    /// Rubbish counts as idle.
    fn unpack(word: u64) -> (Self, u32) {
        let state = match word & 0xffff_ffff {
            1 => Self::Running,
            2 => Self::Returned,
            _ => Self::Idle,
        };
        (state, (word >> 32) as u32)
    }
}

/// What one slot of a worker said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotView {
    /// Number of its job in the lane, zero for none.
    pub number: u64,
    /// When that started, on the clock of [`now_ns`]; subtract with saturation.
    pub started_at_ns: u64,
    /// What the slot does.
    pub state: SlotState,
    /// The thread that started it.
    pub tid: u32,
}

/// How far a job came in its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It had not started.
    Unstarted,
    /// It had started and not returned.
    Running {
        /// Index of its slot in the lane.
        slot: u16,
        /// When it started, on the clock of [`now_ns`].
        since_ns: u64,
    },
    /// Its handler had returned; if no outcome came, that was lost with the worker.
    Returned,
}

/// What a worker counts, from zero at its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Jobs started.
    pub started: u64,
    /// Jobs whose handlers returned.
    pub returned: u64,
    /// Times the loop lane came round to take or settle a job.
    pub loop_turns: u64,
}

/// Nanoseconds on CLOCK_MONOTONIC, the recorder's clock, the same in all processes of a host.
#[inline]
#[must_use]
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
