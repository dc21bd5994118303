//! One lane of a worker as the core books it: the jobs that are out, by number, and their sums.

use std::collections::VecDeque;

use crate::ledger::JobId;
use crate::pick::LaneView;

/// A job as it was sent to a worker.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) id: JobId,
    pub(crate) type_index: usize,
    /// The expected work; None for a job that counts as long.
    pub(crate) short_ns: Option<u64>,
    pub(crate) bytes: usize,
    /// Its handler was told that its time is over.
    pub(crate) told: bool,
}

/// One lane of one worker, as the core sees it.
pub(crate) struct WorkerLane {
    /// By number, from `first` on; None once the outcome has come or the job was taken back.
    sent: VecDeque<Option<Sent>>,
    first: u64,
    pub(crate) jobs: usize,
    long: usize,
    short_ns: u64,
    by_type: Vec<u32>,
    bytes: usize,
    /// Nothing has started since the last look although jobs wait.
    pub(crate) stuck: bool,
    /// Jobs were taken back from it although it had nothing else to do.
    pub(crate) ignores: bool,
    pub(crate) seen_next: u64,
    /// Jobs whose outcome has come, for the log records that follow it.
    recent: VecDeque<Recent>,
}

/// A job as a log record names it.
#[derive(Clone, Copy)]
pub(crate) struct Recent {
    number: u64,
    pub(crate) job_type: usize,
    key: [u8; LONGEST_KEY],
    key_bytes: u8,
}

/// Room for a UUID, and for any 64-bit number.
const LONGEST_KEY: usize = 36;

/// As many outcomes as one write of a worker carries ahead of its log records.
const MOST_RECENT: usize = 1024;

impl Recent {
    pub(crate) fn key(&self) -> Option<&str> {
        std::str::from_utf8(self.key.get(..usize::from(self.key_bytes))?).ok()
    }
}

impl WorkerLane {
    pub(crate) fn new(types: usize) -> Self {
        Self {
            sent: VecDeque::new(),
            first: 1,
            jobs: 0,
            long: 0,
            short_ns: 0,
            by_type: vec![0; types],
            bytes: 0,
            stuck: false,
            ignores: false,
            seen_next: 0,
            recent: VecDeque::new(),
        }
    }

    /// Keeps the name of a job whose outcome has come, as long as log records of it may follow.
    pub(crate) fn remember(&mut self, number: u64, job_type: usize, key: &str) {
        let mut recent = Recent { number, job_type, key: [0; LONGEST_KEY], key_bytes: key.len() as u8 };
        let Some(place) = recent.key.get_mut(..key.len()) else { return };
        place.copy_from_slice(key.as_bytes());
        if self.recent.len() == MOST_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(recent);
    }

    /// The name of a job whose outcome has come.
    pub(crate) fn recall(&self, number: u64) -> Option<&Recent> {
        self.recent.iter().rev().find(|recent| recent.number == number)
    }

    /// The highest number that was sent.
    pub(crate) fn highest(&self) -> u64 {
        self.first + self.sent.len() as u64 - 1
    }

    /// The lowest number that may still be out.
    pub(crate) fn lowest(&self) -> u64 {
        self.first
    }

    pub(crate) fn view(&self, slots: usize, type_index: usize) -> LaneView {
        LaneView {
            slots,
            jobs: self.jobs,
            long: self.long,
            short_ns: self.short_ns,
            of_type: self.by_type.get(type_index).map_or(0, |count| *count as usize),
            bytes: self.bytes,
            stuck: self.stuck,
        }
    }

    /// Notes a job as sent; returns its number.
    pub(crate) fn push(&mut self, sent: Sent) -> u64 {
        self.jobs += 1;
        self.bytes += sent.bytes;
        match sent.short_ns {
            Some(short_ns) => self.short_ns += short_ns,
            None => self.long += 1,
        }
        if let Some(count) = self.by_type.get_mut(sent.type_index) {
            *count += 1;
        }
        self.sent.push_back(Some(sent));
        self.highest()
    }

    /// Takes out the job with this number, once.
    pub(crate) fn take(&mut self, number: u64) -> Option<Sent> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let sent = self.sent.get_mut(index)?.take()?;
        self.jobs -= 1;
        self.bytes -= sent.bytes;
        match sent.short_ns {
            Some(short_ns) => self.short_ns -= short_ns,
            None => self.long -= 1,
        }
        if let Some(count) = self.by_type.get_mut(sent.type_index) {
            *count -= 1;
        }
        while let Some(None) = self.sent.front() {
            self.sent.pop_front();
            self.first += 1;
        }
        Some(sent)
    }

    /// The job with this number, if it is still out.
    pub(crate) fn get(&self, number: u64) -> Option<&Sent> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.sent.get(index)?.as_ref()
    }

    /// Notes that the handler of this job was told that its time is over; false when it was before, or is not out.
    pub(crate) fn tell(&mut self, number: u64) -> bool {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let sent = index.and_then(|index| self.sent.get_mut(index)?.as_mut());
        sent.is_some_and(|sent| !std::mem::replace(&mut sent.told, true))
    }

    /// The jobs that are out, with their numbers.
    pub(crate) fn out(&self) -> impl Iterator<Item = (u64, &Sent)> {
        (self.first..).zip(&self.sent).filter_map(|(number, sent)| Some((number, sent.as_ref()?)))
    }

    /// Counts what is out anew; whether the sums were wrong.
    pub(crate) fn recount(&mut self) -> bool {
        let before = (self.jobs, self.long, self.short_ns, self.bytes, self.by_type.clone());
        (self.jobs, self.long, self.short_ns, self.bytes) = (0, 0, 0, 0);
        self.by_type.fill(0);
        for sent in self.sent.iter().flatten() {
            self.jobs += 1;
            self.bytes += sent.bytes;
            match sent.short_ns {
                Some(short_ns) => self.short_ns += short_ns,
                None => self.long += 1,
            }
            if let Some(count) = self.by_type.get_mut(sent.type_index) {
                *count += 1;
            }
        }
        before != (self.jobs, self.long, self.short_ns, self.bytes, self.by_type.clone())
    }
}
