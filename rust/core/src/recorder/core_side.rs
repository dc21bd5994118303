//! The core's side of the recorder: makes the file, revokes, and reads what it does not trust.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::{Layout, Line};
use super::mapping::Mapping;
use super::{Counters, LaneSpec, Progress, SlotState, SlotView, word};

/// How often a slot is read anew when the worker writes it at the same moment.
const READS: usize = 4;

/// The flight recorder of one worker, as the core has it.
///
/// Every call is a few loads of shared memory: no system call, no lock. Lanes are indexes into the list given
/// to [`create`](Self::create); one that does not exist has no slots and never starts anything.
#[derive(Debug)]
pub struct Recorder {
    mapping: Mapping,
    layout: Layout,
    lanes: Box<[LaneSpec]>,
    /// Per lane, the lowest value that the word can have had since the last revocation: a worker's rubbish
    /// cannot bring back what was revoked.
    floors: Box<[AtomicU64]>,
}

impl Recorder {
    /// Make the recorder of a new worker. The descriptor goes to the worker; the core's mapping needs it no more.
    ///
    /// Fails with `InvalidInput` for an impossible list of lanes, else with what the system says.
    pub fn create(lanes: &[LaneSpec]) -> io::Result<(Self, OwnedFd)> {
        let layout = Layout::new(lanes)?;
        let (mapping, fd) = Mapping::create(layout.lines())?;
        layout.format(mapping.lines());
        let floors = lanes.iter().map(|_| AtomicU64::new(1)).collect();
        Ok((Self { mapping, layout, lanes: lanes.into(), floors }, fd))
    }

    /// The lanes it was made for.
    #[must_use]
    pub fn lanes(&self) -> &[LaneSpec] {
        &self.lanes
    }

    /// Revoke every job of the lane that has not started, up to `highest_sent`; returns the word before it.
    ///
    /// With the returned n, the jobs n..=`highest_sent` are revoked: they never started and never will. When n
    /// is `highest_sent` + 1, nothing was left to revoke. The next job sent has the number `highest_sent` + 1.
    pub fn revoke(&self, lane: u16, highest_sent: u64) -> u64 {
        let after = highest_sent.saturating_add(1);
        let (Some(next), Some(floor)) = (self.word(lane), self.floors.get(usize::from(lane))) else {
            return after;
        };
        let before = word::revoke(next, highest_sent);
        let least = floor.fetch_max(after, Ordering::Relaxed).min(after);
        before.clamp(least, after)
    }

    /// The number that may start next. More than one above the highest sent means that the worker is broken.
    #[must_use]
    pub fn next(&self, lane: u16) -> u64 {
        let floor = self.floors.get(usize::from(lane)).map_or(1, |floor| floor.load(Ordering::Relaxed));
        self.word(lane).map_or(1, |next| next.load(Ordering::Acquire)).max(floor)
    }

    /// What slot `index` of the lane says; none when it does not exist or is being written again and again.
    ///
    /// A running slot counts only while its number is below [`next`](Self::next), and not if that number was revoked.
    #[must_use]
    pub fn slot(&self, lane: u16, index: u16) -> Option<SlotView> {
        let line = self.slot_lines(lane).get(usize::from(index))?;
        let read = (0..READS).find_map(|_| word::read(&line.slot()))?;
        let (state, tid) = SlotState::unpack(read.state);
        Some(SlotView { number: read.number, started_at_ns: read.started_at_ns, state, tid })
    }

    /// How far job `number` of the lane came. Exact once the worker is known dead, and only for jobs that were
    /// sent and not revoked; for a living worker it may be a moment behind.
    #[must_use]
    pub fn classify(&self, lane: u16, number: u64) -> Progress {
        word::classify(self.next(lane), self.slot_lines(lane).iter().map(Line::slot), number)
    }

    /// What the worker has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let Some(line) = self.layout.counters(self.mapping.lines()) else { return Counters::default() };
        let [started, returned, loop_turns] = line.counters().map(|word| word.load(Ordering::Relaxed));
        Counters { started, returned, loop_turns }
    }

    fn word(&self, lane: u16) -> Option<&AtomicU64> {
        self.layout.lane(self.mapping.lines(), usize::from(lane)).map(Line::next)
    }

    fn slot_lines(&self, lane: u16) -> &[Line] {
        self.layout.slots(self.mapping.lines(), usize::from(lane))
    }
}
