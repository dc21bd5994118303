//! The frames of the link, and what can be wrong with them.

use std::fmt;

use bytes::Bytes;

use super::outcome::Outcome;

/// The largest frame: 16 times the largest message Camunda takes (4 MB), and little enough that one worker
/// that sends rubbish cannot exhaust the supervisor's memory.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;

/// Bytes of a frame's length.
pub(super) const LENGTH_BYTES: usize = 4;

/// The byte that tells frames apart; those of the two directions differ, so that a mix-up is an error.
pub(super) mod kind {
    pub(in crate::link) const JOB: u8 = 1;
    pub(in crate::link) const DRAIN: u8 = 2;
    pub(in crate::link) const CANCEL: u8 = 3;
    pub(in crate::link) const LIMIT: u8 = 4;
    pub(in crate::link) const READY: u8 = 16;
    pub(in crate::link) const START_FAILED: u8 = 17;
    pub(in crate::link) const OUTCOME: u8 = 18;
    pub(in crate::link) const LOG: u8 = 19;
    pub(in crate::link) const LOGS_DROPPED: u8 = 20;
}

/// The byte that tells outcomes apart.
pub(super) mod outcome_kind {
    pub(in crate::link) const COMPLETE: u8 = 0;
    pub(in crate::link) const FAIL: u8 = 1;
    pub(in crate::link) const ERROR: u8 = 2;
    pub(in crate::link) const HAND_BACK: u8 = 3;
}

/// A frame that the core sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToWorker {
    /// A job to start: `lane u16 | type_index u16 | number u64 | body`.
    Job {
        /// Index of the lane in the pool's list.
        lane: u16,
        /// Index of the job type in the pool's list of handlers.
        type_index: u16,
        /// The job's number in its lane, one more than the last.
        number: u64,
        /// The engine's bytes of the job.
        body: Bytes,
    },
    /// Nothing more comes; the worker exits once what it took is settled.
    Drain,
    /// The outcome of this job is no longer wanted: `lane u16 | number u64 | reason`.
    Cancel {
        /// Index of the lane.
        lane: u16,
        /// The job's number in its lane.
        number: u64,
        /// Why, for the handler's author.
        reason: String,
    },
    /// The handler of this job has run for as long as it may: `lane u16 | number u64 | limit_ms u64`.
    Limit {
        /// Index of the lane.
        lane: u16,
        /// The job's number in its lane.
        number: u64,
        /// The limit.
        limit_ms: u64,
    },
}

/// A frame that a worker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToCore {
    /// The worker takes jobs from now on.
    Ready,
    /// The worker cannot take jobs: `utf-8`.
    StartFailed {
        /// What happened, where, and the remedy.
        error: String,
    },
    /// A job is settled: `lane u16 | slot u16 | number u64 | run_ns u64 | outcome`.
    Outcome {
        /// Which job, where, and how long it ran.
        head: OutcomeHead,
        /// What it ended in.
        outcome: Outcome,
    },
    /// A structured log record: `level u8 | lane u16 | number u64 | JSON`.
    Log {
        /// Python's level number.
        level: u8,
        /// Index of the lane.
        lane: u16,
        /// The job's number in its lane, zero for a record of no job.
        number: u64,
        /// The record, a JSON object.
        record: Bytes,
    },
    /// Log records that were dropped since the last such frame, because too many waited: `count u64`.
    LogsDropped {
        /// How many.
        count: u64,
    },
}

/// Which job an outcome belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeHead {
    /// Index of the lane.
    pub lane: u16,
    /// Index of the slot in its lane.
    pub slot: u16,
    /// The job's number in its lane.
    pub number: u64,
    /// Nanoseconds from the job's start to its outcome.
    pub run_ns: u64,
}

/// Why a stream of frames cannot be read on, or a frame cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// A frame without a kind.
    Empty,
    /// A frame over [`MAX_FRAME`].
    TooLong {
        /// Bytes of kind and payload.
        length: usize,
    },
    /// A kind that this direction does not have.
    UnknownKind {
        /// The kind.
        kind: u8,
    },
    /// A payload that does not have the shape of its kind.
    Malformed {
        /// The kind.
        kind: u8,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A frame that makes no sense at this point of the worker's life.
    OutOfTurn {
        /// What it says.
        what: &'static str,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a link frame has no kind"),
            Self::TooLong { length } => {
                write!(f, "a link frame of {length} bytes is over the limit of {MAX_FRAME}")
            }
            Self::UnknownKind { kind } => write!(f, "a link frame has the unknown kind {kind}"),
            Self::Malformed { kind, what } => write!(f, "a link frame of kind {kind} is malformed: {what}"),
            Self::OutOfTurn { what } => write!(f, "a link frame comes out of turn: {what}"),
        }
    }
}

impl std::error::Error for FrameError {}
