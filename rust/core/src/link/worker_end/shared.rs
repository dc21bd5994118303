//! What the worker's threads and the native thread share.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::gate::timespec;
use super::lane::Lane;
use super::lock;
use super::outbox::{Next, Outbox, Written};
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
    pub(super) timer: OwnedFd,
    /// An eventfd that interrupts the native thread.
    pub(super) nudge: OwnedFd,
    pub(super) recorder: WorkerRecorder,
    pub(super) lanes: Box<[Lane]>,
    pub(super) outbox: Outbox,
    pub(super) cancels: Mutex<Vec<Cancel>>,
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
        let timer_flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self {
            link,
            timer: timerfd_create(TimerfdClockId::Monotonic, timer_flags)?,
            nudge: new_eventfd()?,
            recorder,
            lanes: lanes.into(),
            outbox: Outbox::default(),
            cancels: Mutex::default(),
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
                let value = Itimerspec { it_interval: timespec(0), it_value: timespec(at_ns.max(1)) };
                if timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &value).is_err() {
                    self.write(now_ns, false);
                }
            }
        }
    }

    /// Write what waits, as far as the socket takes it.
    pub(super) fn write(&self, now_ns: u64, all: bool) {
        match self.outbox.write(self.link.as_fd(), now_ns, all) {
            Written::Done => {}
            Written::Full => signal(self.nudge.as_fd()),
            Written::Closed => self.give_up(),
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
            self.lanes.iter().for_each(|lane| lane.drain(true));
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

    pub(super) fn add_cancel(&self, cancel: Cancel) {
        let waits = self.lanes.get(usize::from(cancel.lane)).is_some_and(|lane| lane.cancel(cancel.number));
        if !waits {
            lock(&self.cancels).push(cancel);
            self.wake_loops();
        }
    }

    /// Stop the native thread.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.write(now_ns(), true);
        signal(self.nudge.as_fd());
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let wakes = self.lanes.iter().filter_map(|lane| lane.wake.as_ref());
        [&self.link, &self.timer, &self.nudge].into_iter().chain(wakes).map(AsFd::as_fd)
    }

    fn wake_loops(&self) {
        self.lanes.iter().filter_map(|lane| lane.wake.as_ref()).for_each(|wake| signal(wake.as_fd()));
    }
}

/// Make an eventfd readable.
pub(super) fn signal(eventfd: BorrowedFd<'_>) {
    // It fails only when the count is at its maximum, and then it is readable already.
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}

/// Read an eventfd or a timerfd empty.
pub(super) fn quiet(descriptor: BorrowedFd<'_>) {
    let _ = rustix::io::read(descriptor, &mut [0u8; 8]);
}

fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}
