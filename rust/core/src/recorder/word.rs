//! The start/revoke word and the slots, as algorithms over any atomic: the model test runs this very code.
//!
//! `number` is also the slot's version: it is zero while the slot is being written and never repeats in a lane,
//! so a reader that finds the same number before and after has a whole slot.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Progress, SlotState};

/// A shared 64-bit word.
pub(super) trait Word {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn compare_exchange(&self, from: u64, to: u64) -> Result<u64, u64>;
    fn fetch_max(&self, value: u64) -> u64;
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    #[inline]
    fn compare_exchange(&self, from: u64, to: u64) -> Result<u64, u64> {
        self.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    #[inline]
    fn fetch_max(&self, value: u64) -> u64 {
        self.fetch_max(value, Ordering::AcqRel)
    }
}

/// The words of one slot.
#[derive(Debug)]
pub(super) struct SlotWords<'a, W> {
    pub(super) number: &'a W,
    pub(super) started_at_ns: &'a W,
    pub(super) state: &'a W,
}

/// What a slot said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotRead {
    pub(super) number: u64,
    pub(super) started_at_ns: u64,
    pub(super) state: u64,
}

/// Start `number` in `slot`, or leave the slot idle and return the word as it is when that job may not start.
#[inline]
pub(super) fn start<W: Word>(
    next: &W,
    slot: &SlotWords<'_, W>,
    number: u64,
    at_ns: u64,
    tid: u32,
) -> Result<(), u64> {
    slot.number.store(0, Ordering::Relaxed);
    slot.started_at_ns.store(at_ns, Ordering::Release);
    slot.state.store(SlotState::Running.pack(tid), Ordering::Release);
    slot.number.store(number, Ordering::Release);
    match next.compare_exchange(number, number.saturating_add(1)) {
        Ok(_) => Ok(()),
        Err(other) => {
            slot.number.store(0, Ordering::Release);
            slot.state.store(SlotState::Idle.pack(tid), Ordering::Release);
            Err(other)
        }
    }
}

/// The handler in `slot` returned.
#[inline]
pub(super) fn finish<W: Word>(slot: &SlotWords<'_, W>, tid: u32) {
    slot.state.store(SlotState::Returned.pack(tid), Ordering::Release);
}

/// Forbid the start of every job up to `highest`; returns the first number that this revoked.
pub(super) fn revoke<W: Word>(next: &W, highest: u64) -> u64 {
    next.fetch_max(highest.saturating_add(1))
}

/// Read a slot whole, or none while it is being written.
pub(super) fn read<W: Word>(slot: &SlotWords<'_, W>) -> Option<SlotRead> {
    let number = slot.number.load(Ordering::Acquire);
    let started_at_ns = slot.started_at_ns.load(Ordering::Acquire);
    let state = slot.state.load(Ordering::Acquire);
    (slot.number.load(Ordering::Relaxed) == number).then_some(SlotRead { number, started_at_ns, state })
}

/// How far `number` came. Exact once the worker is dead; before that it may be behind.
pub(super) fn classify<'a, W: Word + 'a>(
    next: u64,
    slots: impl Iterator<Item = SlotWords<'a, W>>,
    number: u64,
) -> Progress {
    if number >= next {
        return Progress::Unstarted;
    }
    for (slot, words) in (0..).zip(slots) {
        if let Some(found) = read(&words)
            && found.number == number
            && SlotState::unpack(found.state).0 == SlotState::Running
        {
            return Progress::Running { slot, since_ns: found.started_at_ns };
        }
    }
    Progress::Returned
}
