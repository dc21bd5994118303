//! What waits to be written to the core: outcomes first, log records after them, and who writes when.
//!
//! Nobody holds the lock during a system call, so a thread that settles a job never waits for another's write.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::lock;
use super::log_queue::LogQueue;
use crate::link::FrameError;

/// An outcome waits at most this long; the rest of the promised millisecond is for the thread to wake up.
pub(super) const FLUSH_AFTER_NS: u64 = 900_000;

/// A write this long after the last one costs nothing that matters, so the outcome goes at once.
const QUIET_NS: u64 = 500_000;

/// With more than this waiting, one more outcome gains nothing from being batched.
const MUCH_BYTES: usize = 32 * 1024;

/// Log records ride along with fewer outcomes than this.
const RIDE_BYTES: usize = 32 * 1024;

/// A buffer that grew beyond this for one large outcome is given back.
const KEEP_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    out: Mutex<Out>,
    /// Notified after every write while somebody waits in `flush`.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Out {
    outcomes: Vec<u8>,
    logs: LogQueue,
    /// A batch that the socket took in part.
    unsent: Vec<u8>,
    unsent_at: usize,
    spare: Vec<u8>,
    queued_total: u64,
    sent_total: u64,
    oldest_ns: u64,
    last_write_ns: u64,
    /// The timer is set.
    timed: bool,
    writing: bool,
    /// Somebody wanted to write while another did.
    again: bool,
    /// The socket is full: only the native thread writes, once it has room.
    blocked: bool,
    closed: bool,
    flushers: u32,
}

/// What the caller of a push has to do next, without the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the timer is set, or somebody writes.
    Nothing,
    /// Write now.
    Write,
    /// Set the timer to this moment.
    Timer(u64),
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing more to do for the caller.
    Done,
    /// The socket is full; the native thread has to wait for room.
    Full,
    /// The core is gone.
    Closed,
}

impl Outbox {
    /// Queue one frame that must arrive; `urgent` asks for a write at once.
    pub(super) fn push(
        &self,
        now_ns: u64,
        urgent: bool,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), FrameError>,
    ) -> Result<Next, FrameError> {
        let mut out = lock(&self.out);
        if out.closed {
            return Ok(Next::Nothing);
        }
        let before = out.outcomes.len();
        out.stamp(now_ns);
        encode(&mut out.outcomes)?;
        out.queued_total += (out.outcomes.len() - before) as u64;
        if out.blocked {
            return Ok(Next::Nothing);
        }
        let quiet = now_ns.saturating_sub(out.last_write_ns) >= QUIET_NS;
        if urgent || quiet || out.outcomes.len() > MUCH_BYTES {
            return Ok(Next::Write);
        }
        Ok(out.timer())
    }

    /// Queue one log record, or count it as dropped.
    pub(super) fn push_log(&self, now_ns: u64, level: u8, lane: u16, number: u64, record: &[u8]) -> Next {
        let mut out = lock(&self.out);
        if out.closed {
            return Next::Nothing;
        }
        out.stamp(now_ns);
        let added = out.logs.push(level, lane, number, record);
        out.queued_total += added as u64;
        if out.blocked { Next::Nothing } else { out.timer() }
    }

    /// Write one batch, or with `all` everything; never blocks.
    pub(super) fn write(&self, link: BorrowedFd<'_>, now_ns: u64, all: bool) -> Written {
        let mut out = lock(&self.out);
        loop {
            if out.closed {
                return Written::Closed;
            }
            if out.blocked {
                return Written::Full;
            }
            if out.writing {
                out.again = true;
                return Written::Done;
            }
            let Some((batch, at)) = out.batch() else { return Written::Done };
            out.writing = true;
            out.last_write_ns = now_ns;
            drop(out);
            let (sent, result) = send_all(link, batch.get(at..).unwrap_or_default());
            out = lock(&self.out);
            out.after_write(batch, at, sent, result);
            if out.flushers > 0 {
                self.written.notify_all();
            }
            let again = std::mem::take(&mut out.again);
            if !all && !again && !out.blocked && !out.closed {
                return Written::Done;
            }
        }
    }

    /// The native thread's timer fired: whether to write now, or when to look again.
    pub(super) fn timer_fired(&self, now_ns: u64) -> Next {
        let mut out = lock(&self.out);
        out.timed = false;
        if out.is_empty() || out.blocked || out.closed {
            return Next::Nothing;
        }
        if now_ns >= out.oldest_ns.saturating_add(FLUSH_AFTER_NS) {
            return Next::Write;
        }
        out.timer()
    }

    /// The socket has room again.
    pub(super) fn unblock(&self) {
        lock(&self.out).blocked = false;
    }

    /// Drop everything: nobody reads it any more.
    pub(super) fn close(&self) {
        let mut out = lock(&self.out);
        *out = Out { closed: true, flushers: out.flushers, ..Out::default() };
        self.written.notify_all();
    }

    /// Wait until what is queued now is written, by whomever; false when that takes longer than `timeout`.
    pub(super) fn wait_written(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut out = lock(&self.out);
        let target = out.queued_total;
        out.flushers += 1;
        while !out.closed && out.sent_total < target {
            let rest =
                deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(Instant::now()));
            if rest.is_zero() {
                break;
            }
            out = self.written.wait_timeout(out, rest).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        out.flushers -= 1;
        !out.closed && out.sent_total >= target
    }
}

impl Out {
    fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.unsent.is_empty() && self.logs.is_empty()
    }

    fn stamp(&mut self, now_ns: u64) {
        if self.outcomes.is_empty() && self.logs.is_empty() {
            self.oldest_ns = now_ns;
        }
    }

    fn timer(&mut self) -> Next {
        if std::mem::replace(&mut self.timed, true) {
            return Next::Nothing;
        }
        Next::Timer(self.oldest_ns.saturating_add(FLUSH_AFTER_NS))
    }

    /// The next bytes to write, and where in them to begin.
    fn batch(&mut self) -> Option<(Vec<u8>, usize)> {
        if !self.unsent.is_empty() {
            return Some((std::mem::take(&mut self.unsent), std::mem::take(&mut self.unsent_at)));
        }
        let mut batch = std::mem::replace(&mut self.outcomes, std::mem::take(&mut self.spare));
        if batch.len() <= RIDE_BYTES {
            self.queued_total += self.logs.pop_into(&mut batch) as u64;
        }
        if batch.is_empty() {
            self.spare = batch;
            return None;
        }
        Some((batch, 0))
    }

    fn after_write(&mut self, mut batch: Vec<u8>, at: usize, sent: usize, result: io::Result<()>) {
        self.writing = false;
        self.sent_total += sent as u64;
        if at + sent < batch.len() {
            self.unsent = batch;
            self.unsent_at = at + sent;
        } else if batch.capacity() <= KEEP_BYTES {
            batch.clear();
            self.spare = batch;
        }
        if let Err(error) = result {
            if error.kind() == io::ErrorKind::WouldBlock {
                self.blocked = true;
            } else {
                self.closed = true;
            }
        }
    }
}

fn send_all(link: BorrowedFd<'_>, mut bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut sent = 0;
    while !bytes.is_empty() {
        match send(link, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => {
                sent += count;
                bytes = bytes.get(count..).unwrap_or_default();
            }
            Err(Errno::INTR) => {}
            Err(error) => return (sent, Err(error.into())),
        }
    }
    (sent, Ok(()))
}
