//! The worker process's end of the link: takes jobs and settles outcomes with blocking calls, without tokio.
//!
//! A taker that waits reads the link itself; while all of them work, one native thread does. Outcomes are written
//! by the thread that settles when nothing more is to be started or much waits, else by the native thread within
//! a millisecond, whatever the other threads do.

mod descriptors;
mod gate;
mod inbox;
mod lane;
mod limits;
mod log_queue;
mod misuse;
mod native;
mod outbox;
mod poller;
mod shared;
mod signals;

pub use gate::Woken;
pub use lane::{Job, Take};
pub use limits::Limit;
pub use misuse::Misuse;
pub use shared::Cancel;

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, sockopt};

use super::encode::{encode_outcome, encode_ready, encode_start_failed};
use super::frame::{FrameError, MAX_FRAME, OutcomeHead};
use super::outcome::OutcomeRef;
use crate::fork_guard::ForkGuard;
use crate::recorder::{LaneKind, LaneSpec, now_ns};
use inbox::Broken;
use lane::Lane;
use shared::Shared;

/// The worker's end. All methods but [`close_copies`](Self::close_copies) are for the process that opened it:
/// ask [`is_owner`](Self::is_owner) first wherever a handler may have forked.
#[derive(Debug)]
pub struct WorkerEnd {
    shared: Arc<Shared>,
    owner: ForkGuard,
    started: AtomicBool,
    copies_closed: AtomicBool,
}

impl WorkerEnd {
    /// Open the link and the recorder for these lanes. Both become closed on exec.
    ///
    /// Fails with `InvalidInput` when a descriptor is of the wrong kind or made for other lanes.
    pub fn open(link: OwnedFd, recorder: OwnedFd, lanes: &[LaneSpec]) -> io::Result<Self> {
        if sockopt::socket_domain(&link)? != AddressFamily::UNIX
            || sockopt::socket_type(&link)? != SocketType::STREAM
        {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the link is not a Unix stream socket"));
        }
        rustix::io::fcntl_setfd(&link, rustix::io::FdFlags::CLOEXEC)?;
        Ok(Self {
            shared: Arc::new(Shared::new(link, &recorder, lanes)?),
            owner: ForkGuard::new()?,
            started: AtomicBool::new(false),
            copies_closed: AtomicBool::new(false),
        })
    }

    /// True in the process that opened it, false in every process forked from that one.
    #[inline]
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.owner.is_owner()
    }

    /// Start the native thread; a second call does nothing.
    pub fn start(&self) -> io::Result<()> {
        if self.started.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        native::spawn(Arc::clone(&self.shared)).inspect_err(|_| self.started.store(false, Ordering::Release))
    }

    /// Report that the worker takes jobs from now on.
    pub fn ready(&self) {
        // A frame without a payload is never too long.
        let _ = self.shared.post(now_ns(), true, |out| {
            encode_ready(out);
            Ok(())
        });
    }

    /// Report why the worker cannot take jobs. Call [`flush`](Self::flush) before leaving.
    pub fn start_failed(&self, error: &str) -> Result<(), FrameError> {
        self.shared.post(now_ns(), true, |out| encode_start_failed(out, error))
    }

    /// Start the next job of a main or threads lane in `slot`, without waiting.
    #[inline]
    pub fn take(&self, lane: u16, slot: u16) -> Result<Take, Misuse> {
        let place = self.lane(lane)?;
        if place.kind == LaneKind::Loop {
            return Err(Misuse::IsLoop { lane });
        }
        self.look(place, Some(slot))
    }

    /// Start the next job of a loop lane in a free slot, without waiting.
    ///
    /// Unless it returned a job, the lane's [`wake_fd`](Self::wake_fd) becomes readable once another call is worth it.
    #[inline]
    pub fn try_take(&self, lane: u16) -> Result<Take, Misuse> {
        let place = self.lane(lane)?;
        if place.kind != LaneKind::Loop {
            return Err(Misuse::NoLoop { lane });
        }
        self.shared.recorder.loop_turned();
        self.look(place, None)
    }

    /// After [`Take::Empty`]: write what waits, then sleep until there is something to look at.
    pub fn wait(&self, lane: u16, ticket: u32, deadline_ns: Option<u64>) -> Result<Woken, Misuse> {
        let place = self.lane(lane)?;
        self.shared.write(now_ns(), false);
        Ok(self.shared.wait(place, ticket, deadline_ns))
    }

    /// Settle a job. Nothing happens when the slot does not run it (any more).
    pub fn settle(&self, lane: u16, slot: u16, number: u64, outcome: OutcomeRef<'_>) -> Result<(), Misuse> {
        let place = self.lane(lane)?;
        let bytes = outcome.frame_bytes();
        if bytes > MAX_FRAME {
            return Err(Misuse::TooLong { bytes });
        }
        let Some(started_ns) = place.end(slot, number)? else { return Ok(()) };
        let now_ns = now_ns();
        self.shared.recorder.finish(lane, slot, self.tid());
        if place.kind == LaneKind::Loop {
            self.shared.recorder.loop_turned();
        }
        let released = place.release(slot);
        let head = OutcomeHead { lane, slot, number, run_ns: now_ns.saturating_sub(started_ns) };
        // The length was checked above.
        let _ = self.shared.post(now_ns, released.idle, |out| encode_outcome(out, head, outcome));
        if let (true, Some(wake)) = (released.wake, &place.wake) {
            poller::signal(wake.as_fd());
        }
        self.shared.after_settle();
        Ok(())
    }

    /// Send a log record, or drop it when too many wait. A record of no job has the number zero.
    pub fn log(&self, level: u8, lane: u16, number: u64, record: &[u8]) -> Result<(), Misuse> {
        self.lane(lane)?;
        let now_ns = now_ns();
        let next = self.shared.outbox.push_log(now_ns, level, lane, number, record);
        self.shared.follow(next, now_ns);
        Ok(())
    }

    /// Write out what was settled so far; false when the core does not read in time or is gone.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        self.shared.write(now_ns(), true);
        self.shared.outbox.wait_written(timeout)
    }

    /// The jobs whose handlers should stop, since the last call.
    #[must_use]
    pub fn take_cancels(&self) -> Vec<Cancel> {
        std::mem::take(&mut *lock(&self.shared.cancels))
    }

    /// Wait for the next handler whose time is over; none once the link is gone.
    #[must_use]
    pub fn wait_limit(&self) -> Option<Limit> {
        self.shared.limits.wait()
    }

    /// The job that a slot of a main or threads lane runs, if any.
    pub fn running(&self, lane: u16, slot: u16) -> Result<Option<u64>, Misuse> {
        self.lane(lane)?.running(slot)
    }

    /// True once the core gives nothing more and every taken job is settled, or the core is gone.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.shared.is_drained()
    }

    /// The eventfd of a loop lane.
    pub fn wake_fd(&self, lane: u16) -> Result<BorrowedFd<'_>, Misuse> {
        self.lane(lane)?.wake.as_ref().map(AsFd::as_fd).ok_or(Misuse::NoLoop { lane })
    }

    /// In a forked child: close its copies of the descriptors, so that the core does not take it for the worker.
    ///
    /// Does nothing in the process that opened the link.
    pub fn close_copies(&self) {
        if !self.is_owner() && !self.copies_closed.swap(true, Ordering::AcqRel) {
            std::mem::forget(Arc::clone(&self.shared));
            descriptors::close_copies(self.shared.descriptors());
        }
    }

    #[inline]
    fn look(&self, lane: &Lane, slot: Option<u16>) -> Result<Take, Misuse> {
        if let Some(take) = lane.take(slot, &self.shared.recorder, self.tid())? {
            return Ok(take);
        }
        self.shared.broke(&Broken::RecorderMismatch(lane.index));
        Ok(Take::Over)
    }

    #[inline]
    fn lane(&self, lane: u16) -> Result<&Lane, Misuse> {
        self.shared.lanes.get(usize::from(lane)).ok_or(Misuse::Lane { lane })
    }

    /// The calling thread's id, asked once per thread and process.
    #[inline]
    fn tid(&self) -> u32 {
        thread_local! {
            static TID: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
        }
        TID.with(|cell| {
            let (process, tid) = cell.get();
            if process == self.owner.token() {
                return tid;
            }
            let tid = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or(0);
            cell.set((self.owner.token(), tid));
            tid
        })
    }
}

impl Drop for WorkerEnd {
    fn drop(&mut self) {
        if self.is_owner() {
            self.shared.stop();
        }
    }
}

/// A poisoned lock is taken all the same: no critical section here leaves its data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
