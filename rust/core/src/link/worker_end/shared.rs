//! What the worker's threads and the native thread share.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use super::gate::{Woken, timespec};
use super::inbox::{Broken, Inbox};
use super::lane::Lane;
use super::limits::Limits;
use super::lock;
use super::outbox::{Next, Outbox, Written};
use super::poller::{Poller, new_eventfd, signal};
use crate::link::FrameError;
use crate::recorder::{LaneKind, LaneSpec, WorkerRecorder, now_ns};

/// A job whose handler should stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Index of the lane.
    pub lane: u16,
    /// The job's number in the lane.
    pub number: u64,
    /// Why.
    pub reason: String,
}

const OPEN: u8 = 0;
const DRAINING: u8 = 1;
const GONE: u8 = 2;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) link: OwnedFd,
    pub(super) poller: Poller,
    pub(super) inbox: Mutex<Inbox>,
    pub(super) recorder: WorkerRecorder,
    pub(super) lanes: Box<[Lane]>,
    pub(super) outbox: Outbox,
    pub(super) cancels: Mutex<Vec<Cancel>>,
    pub(super) limits: Limits,
    pub(super) stopping: AtomicBool,
    phase: AtomicU8,
}

impl Shared {
    pub(super) fn new(link: OwnedFd, recorder: &OwnedFd, specs: &[LaneSpec]) -> io::Result<Self> {
        let recorder = WorkerRecorder::open(recorder.as_fd(), specs)?;
        let mut lanes = Vec::with_capacity(specs.len());
        for (index, spec) in (0..).zip(specs) {
            let wake = if spec.kind == LaneKind::Loop { Some(new_eventfd()?) } else { None };
            lanes.push(Lane::new(index, *spec, wake));
        }
        Ok(Self {
            poller: Poller::new(link.as_fd())?,
            link,
            inbox: Mutex::new(Inbox::new(specs.len())),
            recorder,
            lanes: lanes.into(),
            outbox: Outbox::default(),
            cancels: Mutex::default(),
            limits: Limits::default(),
            stopping: AtomicBool::new(false),
            phase: AtomicU8::new(OPEN),
        })
    }

    /// Queue a frame that must arrive and see to its being written.
    pub(super) fn post(
        &self,
        now_ns: u64,
        urgent: bool,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        let next = self.outbox.push(now_ns, urgent, encode)?;
        self.follow(next, now_ns);
        Ok(())
    }

    pub(super) fn follow(&self, next: Next, now_ns: u64) {
        match next {
            Next::Nothing => {}
            Next::Write => self.write(now_ns, false),
            Next::Timer(at_ns) => {
                if self.poller.wake_at(at_ns).is_err() {
                    self.write(now_ns, false);
                }
            }
        }
    }

    /// Write what waits, as far as the socket takes it.
    pub(super) fn write(&self, now_ns: u64, all: bool) {
        match self.outbox.write(self.link.as_fd(), now_ns, all) {
            Written::Done => {}
            Written::Full => self.poller.want_room(self.link.as_fd(), true),
            Written::Closed => self.give_up(),
        }
    }

    /// The socket has room again.
    pub(super) fn room(&self) {
        self.poller.want_room(self.link.as_fd(), false);
        self.outbox.unblock();
        self.write(now_ns(), true);
    }

    /// Sleep until the lane's gate differs from `ticket`, reading the link meanwhile unless somebody else does.
    pub(super) fn wait(&self, lane: &Lane, ticket: u32, deadline_ns: Option<u64>) -> Woken {
        let Ok(mut inbox) = self.inbox.try_lock() else { return lane.gate().wait(ticket, deadline_ns) };
        self.poller.taker_reads(self.link.as_fd());
        let woken = loop {
            if lane.gate().ticket() != ticket {
                break Woken::Look;
            }
            if let Some(woken) = self.wait_readable(deadline_ns) {
                break woken;
            }
            match inbox.read(self, Some(lane.index)) {
                Ok(_) => {}
                Err(reason) => {
                    self.broke(&reason);
                    break Woken::Look;
                }
            }
        };
        drop(inbox);
        // In a thread lane, and beside other lanes, somebody else may be waiting for the next frame.
        let may_keep = lane.kind == LaneKind::Main && self.lanes.len() == 1;
        self.poller.taker_rests(self.link.as_fd(), may_keep);
        woken
    }

    /// Wait for the link to be readable; returns why not, if so.
    ///
    /// A read that waits would do as well, but is woken once more whenever the core has read an outcome.
    fn wait_readable(&self, deadline_ns: Option<u64>) -> Option<Woken> {
        let rest = match deadline_ns.map(|deadline_ns| deadline_ns.saturating_sub(now_ns())) {
            Some(0) => return Some(Woken::TimedOut),
            rest => rest.map(timespec),
        };
        match poll(&mut [PollFd::new(&self.link, PollFlags::IN)], rest.as_ref()) {
            Ok(0) => Some(Woken::TimedOut),
            Err(Errno::INTR) => Some(Woken::Signal),
            _ => None,
        }
    }

    /// The link cannot be used any more: write what still can be, and give up.
    pub(super) fn broke(&self, reason: &Broken) {
        self.write(now_ns(), true);
        self.give_up();
        if !matches!(reason, Broken::End) {
            // The core sees the end of the link; this says why, to whoever still reads it.
            let _ = writeln!(
                io::stderr(),
                "jobfleet: the link to the supervisor broke, this worker exits: {reason}"
            );
        }
    }

    /// The core gives nothing more.
    pub(super) fn drain(&self) {
        let _ = self.phase.compare_exchange(OPEN, DRAINING, Ordering::AcqRel, Ordering::Relaxed);
        self.lanes.iter().for_each(|lane| lane.drain(false));
        self.wake_loops();
    }

    /// The core is gone: nothing is started any more and everybody wakes up.
    pub(super) fn give_up(&self) {
        if self.phase.swap(GONE, Ordering::AcqRel) != GONE {
            self.outbox.close();
            // It wakes a taker that reads.
            let _ = shutdown(&self.link, Shutdown::Both);
            self.lanes.iter().for_each(|lane| lane.drain(true));
            self.limits.close();
            self.wake_loops();
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.phase.load(Ordering::Acquire) == GONE
    }

    /// The core gives nothing more and every taken job is settled, or the core is gone.
    pub(super) fn is_drained(&self) -> bool {
        match self.phase.load(Ordering::Acquire) {
            OPEN => false,
            GONE => true,
            _ => self.lanes.iter().all(|lane| lane.is_idle(&self.recorder)),
        }
    }

    /// A job ended: tell the loops when it was the last one.
    #[inline]
    pub(super) fn after_settle(&self) {
        if self.phase.load(Ordering::Acquire) == DRAINING && self.is_drained() {
            self.wake_loops();
        }
    }

    /// Cancel a job that waits, or tell its handler's thread.
    pub(super) fn cancel(&self, cancel: Cancel) -> Result<(), Broken> {
        let lane = self.lanes.get(usize::from(cancel.lane)).ok_or(Broken::UnknownLane(cancel.lane))?;
        if !lane.cancel(cancel.number) {
            lock(&self.cancels).push(cancel);
            self.wake_loops();
        }
        Ok(())
    }

    /// Stop the native thread.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.write(now_ns(), true);
        self.poller.nudge();
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let wakes = self.lanes.iter().filter_map(|lane| lane.wake.as_ref());
        self.poller.descriptors().into_iter().chain([self.link.as_fd()]).chain(wakes.map(AsFd::as_fd))
    }

    fn wake_loops(&self) {
        self.lanes.iter().filter_map(|lane| lane.wake.as_ref()).for_each(|wake| signal(wake.as_fd()));
    }
}
