//! Lets takers sleep until there is something to look at. A signal wakes them too, so that Python can handle it.

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::Timespec;

use crate::recorder::now_ns;

/// A futex word that changes whenever takers should look again.
#[derive(Debug, Default)]
pub(super) struct Gate {
    word: AtomicU32,
    waiting: AtomicU32,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// There may be something to take.
    Look,
    /// The deadline passed.
    TimedOut,
    /// A signal arrived.
    Signal,
}

impl Gate {
    /// The state to wait on; taken under the lock that guards what is waited for.
    pub(super) fn ticket(&self) -> u32 {
        self.word.load(Ordering::SeqCst)
    }

    /// Sleep until the state differs from `ticket` or the deadline passes.
    pub(super) fn wait(&self, ticket: u32, deadline_ns: Option<u64>) -> Woken {
        let rest = match deadline_ns.map(|deadline| deadline.saturating_sub(now_ns())) {
            Some(0) => return Woken::TimedOut,
            Some(rest) => Some(timespec(rest)),
            None => None,
        };
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let result = futex::wait(&self.word, futex::Flags::PRIVATE, ticket, rest.as_ref());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        match result {
            Err(Errno::TIMEDOUT) => Woken::TimedOut,
            Err(Errno::INTR) => Woken::Signal,
            _ => Woken::Look,
        }
    }

    /// Change the state, under the lock; then call [`wake`](Self::wake) without it.
    pub(super) fn change(&self) {
        self.word.fetch_add(1, Ordering::SeqCst);
    }

    /// Wake up to `count` takers.
    pub(super) fn wake(&self, count: usize) {
        if count > 0 && self.waiting.load(Ordering::SeqCst) > 0 {
            let count = u32::try_from(count).unwrap_or(u32::MAX).min(i32::MAX as u32);
            let _ = futex::wake(&self.word, futex::Flags::PRIVATE, count);
        }
    }
}

/// Nanoseconds as the kernel takes them.
pub(super) fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as _ }
}
