//! Explores every interleaving of a worker that starts jobs and may die at any step with a core that revokes.
//!
//! The code under test is that of `word`; death is a word on which the dead worker's stores have no effect.

use std::cell::Cell;
use std::collections::BTreeSet;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::word::{SlotWords, Word, classify, finish, read, revoke, start};
use super::{Progress, SlotState};

const JOBS: u64 = 3;
const SLOTS: usize = 2;

/// More steps than the longest run takes.
const STEPS: u32 = 40;

impl Word for AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }
    fn compare_exchange(&self, from: u64, to: u64) -> Result<u64, u64> {
        self.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }
    fn fetch_max(&self, value: u64) -> u64 {
        self.fetch_max(value, Ordering::AcqRel)
    }
}

/// The worker's view of a word: every step spends life, and without life nothing happens.
struct Mortal<'a> {
    word: &'a AtomicU64,
    life: &'a Cell<u32>,
}

impl Mortal<'_> {
    fn lives(&self) -> bool {
        let life = self.life.get();
        self.life.set(life.saturating_sub(1));
        life > 0
    }
}

impl Word for Mortal<'_> {
    fn load(&self, order: Ordering) -> u64 {
        if self.lives() { Word::load(self.word, order) } else { 0 }
    }
    fn store(&self, value: u64, order: Ordering) {
        if self.lives() {
            Word::store(self.word, value, order);
        }
    }
    fn compare_exchange(&self, from: u64, to: u64) -> Result<u64, u64> {
        if self.lives() { Word::compare_exchange(self.word, from, to) } else { Err(u64::MAX) }
    }
    fn fetch_max(&self, _value: u64) -> u64 {
        unreachable!("a worker never revokes")
    }
}

struct Memory {
    next: AtomicU64,
    slots: [[AtomicU64; 3]; SLOTS],
}

impl Memory {
    fn new() -> Self {
        let slot = || [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
        Self { next: AtomicU64::new(1), slots: [slot(), slot()] }
    }

    fn slots(&self) -> impl Iterator<Item = SlotWords<'_, AtomicU64>> {
        self.slots.iter().map(|[number, started_at_ns, state]| SlotWords { number, started_at_ns, state })
    }
}

/// What the worker did while it lived.
#[derive(Default)]
struct Deeds {
    started: BTreeSet<u64>,
    returned: BTreeSet<u64>,
}

fn at_ns(number: u64) -> u64 {
    number * 10
}

/// Start every job in turn, alternately in two slots, each returning before its slot is used again.
fn work(memory: &Memory, life: u32) -> Deeds {
    let life = Cell::new(life);
    let mortal = |word| Mortal { word, life: &life };
    let next = mortal(&memory.next);
    let slots: Vec<_> = memory.slots.iter().map(|words| words.each_ref().map(mortal)).collect();
    let slots: Vec<_> = slots
        .iter()
        .map(|[number, started_at_ns, state]| SlotWords { number, started_at_ns, state })
        .collect();
    let mut deeds = Deeds::default();
    let mut runs = [0; SLOTS];
    let mut number = 1;
    while number <= JOBS && life.get() > 0 {
        let index = number as usize % SLOTS;
        let (slot, run) = (&slots[index], &mut runs[index]);
        if *run != 0 && life.get() > 0 {
            deeds.returned.insert(std::mem::take(run));
            finish(slot, 7);
        }
        match start(&next, slot, number, at_ns(number), 7) {
            Ok(()) => {
                deeds.started.insert(number);
                *run = number;
                number += 1;
            }
            Err(next) => {
                assert!(next > number, "a refused start finds a word above its number");
                number = next;
            }
        }
    }
    deeds
}

/// Run the core beside a worker that dies after `life` steps, then compare the memory with what happened.
fn check(life: u32, highest_sent: Option<u64>) {
    loom::model(move || {
        let memory = Arc::new(Memory::new());
        let worker = thread::spawn({
            let memory = Arc::clone(&memory);
            move || work(&memory, life)
        });
        let revoked: BTreeSet<u64> = match highest_sent {
            Some(highest) => (revoke(&memory.next, highest)..=highest).collect(),
            None => BTreeSet::new(),
        };
        let deeds = worker.join().unwrap();
        assert!(deeds.started.is_disjoint(&revoked), "started {:?}, revoked {revoked:?}", deeds.started);
        let next = Word::load(&memory.next, Ordering::Acquire);
        for number in (1..=JOBS).filter(|number| !revoked.contains(number)) {
            let said = classify(next, memory.slots(), number);
            let is_true = match said {
                Progress::Unstarted => !deeds.started.contains(&number),
                Progress::Running { slot, since_ns } => {
                    deeds.started.contains(&number)
                        && !deeds.returned.contains(&number)
                        && usize::from(slot) == number as usize % SLOTS
                        && since_ns == at_ns(number)
                }
                Progress::Returned => deeds.returned.contains(&number),
            };
            assert!(
                is_true,
                "{said:?} of {number}: started {:?}, returned {:?}",
                deeds.started, deeds.returned
            );
        }
    });
}

#[test]
fn no_job_is_both_started_and_revoked_and_death_is_told_rightly_at_every_step() {
    for life in 0..STEPS {
        for highest_sent in 0..=JOBS {
            check(life, Some(highest_sent));
        }
    }
}

#[test]
fn death_is_told_rightly_at_every_step_when_nothing_is_revoked() {
    for life in 0..STEPS {
        check(life, None);
    }
}

#[test]
fn a_slot_that_is_reused_while_it_is_read_is_read_whole_or_not_at_all() {
    loom::model(|| {
        let memory = Arc::new(Memory::new());
        let worker = thread::spawn({
            let memory = Arc::clone(&memory);
            move || {
                for number in 1..=2 {
                    let slot = memory.slots().next().unwrap();
                    assert_eq!(start(&memory.next, &slot, number, at_ns(number), 7), Ok(()));
                    finish(&slot, 7);
                }
            }
        });
        let slot = memory.slots().next().unwrap();
        if let Some(found) = read(&slot).filter(|found| found.number > 0) {
            assert_eq!(found.started_at_ns, at_ns(found.number));
            assert_ne!(SlotState::unpack(found.state).0, SlotState::Idle);
        }
        worker.join().unwrap();
    });
}

#[test]
fn rubbish_in_a_state_word_counts_as_idle() {
    assert_eq!(SlotState::unpack(u64::MAX).0, SlotState::Idle);
    assert_eq!(SlotState::unpack(SlotState::Running.pack(9)), (SlotState::Running, 9));
}
