//! The worker's side of the recorder: starts and finishes jobs with a few stores, no system call.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use super::layout::{Layout, Line};
use super::mapping::Mapping;
use super::{LaneSpec, word};

/// The flight recorder of this worker process.
#[derive(Debug)]
pub struct WorkerRecorder {
    mapping: Mapping,
    layout: Layout,
}

/// What came of an attempt to start a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It runs.
    Started,
    /// It may not start: the lane's word is at this number.
    Refused {
        /// Above the job's number when it was revoked; anything else is a mistake of the core.
        next: u64,
    },
}

impl WorkerRecorder {
    /// Map the file that the core made for these lanes.
    ///
    /// Fails with `InvalidInput` when it was made for others or is not sealed.
    pub fn open(fd: BorrowedFd<'_>, lanes: &[LaneSpec]) -> io::Result<Self> {
        let layout = Layout::new(lanes)?;
        let mapping = Mapping::open(fd, layout.lines())?;
        layout.check(mapping.lines())?;
        Ok(Self { mapping, layout })
    }

    /// Start job `number` in a slot that runs nothing. Calls for one lane must not overlap.
    #[inline]
    pub fn start(&self, lane: u16, slot: u16, number: u64, at_ns: u64, tid: u32) -> Start {
        let lines = self.mapping.lines();
        let (Some(lane_line), Some(slot_line)) =
            (self.layout.lane(lines, usize::from(lane)), self.slot(lines, lane, slot))
        else {
            return Start::Refused { next: 0 };
        };
        match word::start(lane_line.next(), &slot_line.slot(), number, at_ns, tid) {
            Ok(()) => {
                self.count(0);
                Start::Started
            }
            Err(next) => Start::Refused { next },
        }
    }

    /// The handler in the slot returned.
    #[inline]
    pub fn finish(&self, lane: u16, slot: u16, tid: u32) {
        if let Some(line) = self.slot(self.mapping.lines(), lane, slot) {
            word::finish(&line.slot(), tid);
            self.count(1);
        }
    }

    /// The loop lane came round.
    #[inline]
    pub fn loop_turned(&self) {
        self.count(2);
    }

    /// The number that may start next in the lane.
    #[must_use]
    pub fn next(&self, lane: u16) -> u64 {
        let line = self.layout.lane(self.mapping.lines(), usize::from(lane));
        line.map_or(0, |line| line.next().load(Ordering::Acquire))
    }

    #[inline]
    fn slot<'a>(&self, lines: &'a [Line], lane: u16, slot: u16) -> Option<&'a Line> {
        self.layout.slots(lines, usize::from(lane)).get(usize::from(slot))
    }

    #[inline]
    fn count(&self, counter: usize) {
        if let Some(line) = self.layout.counters(self.mapping.lines())
            && let Some(word) = line.counters().get(counter)
        {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }
}
