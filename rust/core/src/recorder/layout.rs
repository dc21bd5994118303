//! Where things are in the recorder's file. Each lane and slot has a cache line of its own, so that threads
//! of a worker and the core do not slow each other down.

use std::io;
use std::sync::atomic::AtomicU64;

use super::LaneSpec;
use super::word::SlotWords;

/// "jobfleet" in ASCII.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"jobfleet");

/// Changes with every change of this file; supervisor and worker may run from different installations
/// while one is being upgraded.
pub(super) const VERSION: u64 = 1;

/// One cache line of the file.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct Line([AtomicU64; 8]);

impl Line {
    /// The header line: magic, version, lanes, all slots.
    pub(super) fn header(&self) -> [&AtomicU64; 4] {
        [&self.0[0], &self.0[1], &self.0[2], &self.0[3]]
    }

    /// The counters' line: started, returned, loop turns.
    #[inline]
    pub(super) fn counters(&self) -> [&AtomicU64; 3] {
        [&self.0[0], &self.0[1], &self.0[2]]
    }

    /// A lane's line: its start/revoke word.
    #[inline]
    pub(super) fn next(&self) -> &AtomicU64 {
        &self.0[0]
    }

    /// A slot's line.
    #[inline]
    pub(super) fn slot(&self) -> SlotWords<'_, AtomicU64> {
        SlotWords { number: &self.0[0], started_at_ns: &self.0[1], state: &self.0[2] }
    }
}

/// Line numbers of one lane.
#[derive(Debug, Clone, Copy)]
struct Place {
    lane: usize,
    first_slot: usize,
    slots: usize,
}

/// The layout for a list of lanes.
#[derive(Debug)]
pub(super) struct Layout {
    places: Box<[Place]>,
    slots: usize,
}

const HEADER: usize = 0;
const COUNTERS: usize = 1;
const FIRST_LANE: usize = 2;

impl Layout {
    pub(super) fn new(lanes: &[LaneSpec]) -> io::Result<Self> {
        if lanes.is_empty() || lanes.len() > usize::from(u16::MAX) {
            return Err(invalid(format!("a worker has 1 to {} lanes, not {}", u16::MAX, lanes.len())));
        }
        let mut first_slot = FIRST_LANE + lanes.len();
        let mut places = Vec::with_capacity(lanes.len());
        for (index, spec) in lanes.iter().enumerate() {
            if spec.slots == 0 || spec.slots > u32::from(u16::MAX) {
                return Err(invalid(format!("lane {index} has 1 to {} slots, not {}", u16::MAX, spec.slots)));
            }
            let slots = spec.slots as usize;
            places.push(Place { lane: FIRST_LANE + index, first_slot, slots });
            first_slot += slots;
        }
        Ok(Self { slots: first_slot - FIRST_LANE - lanes.len(), places: places.into() })
    }

    /// How many lines the file has.
    pub(super) fn lines(&self) -> usize {
        FIRST_LANE + self.places.len() + self.slots
    }

    /// Write a fresh file's header and words.
    pub(super) fn format(&self, lines: &[Line]) {
        use std::sync::atomic::Ordering::Relaxed;
        for (word, value) in lines.get(HEADER).into_iter().flat_map(Line::header).zip(self.header()) {
            word.store(value, Relaxed);
        }
        for lane in 0..self.places.len() {
            if let Some(line) = self.lane(lines, lane) {
                line.next().store(1, Relaxed);
            }
        }
    }

    /// Check that a file was written for this layout.
    pub(super) fn check(&self, lines: &[Line]) -> io::Result<()> {
        use std::sync::atomic::Ordering::Relaxed;
        let found: Vec<u64> =
            lines.get(HEADER).into_iter().flat_map(Line::header).map(|word| word.load(Relaxed)).collect();
        if found == self.header() {
            return Ok(());
        }
        Err(invalid(format!(
            "the recorder's header is {found:?} where these lanes need {:?}: were the lanes changed, or do \
             supervisor and worker run different versions?",
            self.header()
        )))
    }

    pub(super) fn counters<'a>(&self, lines: &'a [Line]) -> Option<&'a Line> {
        lines.get(COUNTERS)
    }

    #[inline]
    pub(super) fn lane<'a>(&self, lines: &'a [Line], lane: usize) -> Option<&'a Line> {
        lines.get(self.places.get(lane)?.lane)
    }

    /// The slots' lines of one lane; none for a lane that does not exist.
    #[inline]
    pub(super) fn slots<'a>(&self, lines: &'a [Line], lane: usize) -> &'a [Line] {
        let Some(place) = self.places.get(lane) else { return &[] };
        lines.get(place.first_slot..place.first_slot + place.slots).unwrap_or_default()
    }

    fn header(&self) -> [u64; 4] {
        [MAGIC, VERSION, self.places.len() as u64, self.slots as u64]
    }
}

pub(super) fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
