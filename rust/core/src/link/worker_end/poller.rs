//! What the native thread waits for. A taker that reads the link itself takes that off the native thread, which
//! saves waking two threads for one job.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::gate::timespec;
use super::lock;

const LINK: u64 = 0;
const TIMER: u64 = 1;
const NUDGE: u64 = 2;

#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    nudge: OwnedFd,
    interest: Mutex<Interest>,
}

/// What the native thread should wait for on the link.
#[derive(Debug, Default)]
struct Interest {
    /// Takers that read it themselves.
    readers: u32,
    /// The socket is full.
    room: bool,
}

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Events {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) timer: bool,
}

impl Poller {
    pub(super) fn new(link: BorrowedFd<'_>) -> io::Result<Self> {
        let timer_flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let poller = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            timer: timerfd_create(TimerfdClockId::Monotonic, timer_flags)?,
            nudge: new_eventfd()?,
            interest: Mutex::default(),
        };
        let sources = [(link, LINK), (poller.timer.as_fd(), TIMER), (poller.nudge.as_fd(), NUDGE)];
        for (source, data) in sources {
            epoll::add(&poller.epoll, source, epoll::EventData::new_u64(data), epoll::EventFlags::IN)?;
        }
        Ok(poller)
    }

    /// Sleep until something happens.
    pub(super) fn wait(&self) -> io::Result<Events> {
        let mut buffer = [MaybeUninit::uninit(); 3];
        let found = match epoll::wait(&self.epoll, &mut buffer, None) {
            Ok((found, _)) => found,
            Err(Errno::INTR) => return Ok(Events::default()),
            Err(error) => return Err(error.into()),
        };
        let mut events = Events::default();
        for event in found {
            let flags = event.flags;
            match event.data.u64() {
                LINK => {
                    let readable = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
                    events.readable = flags.intersects(readable);
                    events.writable = flags.contains(epoll::EventFlags::OUT);
                }
                TIMER => {
                    quiet(self.timer.as_fd());
                    events.timer = true;
                }
                _ => quiet(self.nudge.as_fd()),
            }
        }
        Ok(events)
    }

    /// Wake the native thread at this moment of the monotonic clock.
    pub(super) fn wake_at(&self, at_ns: u64) -> io::Result<()> {
        let value = Itimerspec { it_interval: timespec(0), it_value: timespec(at_ns.max(1)) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &value)?;
        Ok(())
    }

    /// Wake the native thread now.
    pub(super) fn nudge(&self) {
        signal(self.nudge.as_fd());
    }

    /// A taker begins or ceases to read the link.
    pub(super) fn taker_reads(&self, link: BorrowedFd<'_>, begins: bool) {
        let mut interest = lock(&self.interest);
        interest.readers = if begins { interest.readers + 1 } else { interest.readers.saturating_sub(1) };
        self.apply(link, &interest);
    }

    /// Wait for room in the socket, or no longer.
    pub(super) fn want_room(&self, link: BorrowedFd<'_>, room: bool) {
        let mut interest = lock(&self.interest);
        interest.room = room;
        self.apply(link, &interest);
    }

    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        [self.epoll.as_fd(), self.timer.as_fd(), self.nudge.as_fd()]
    }

    fn apply(&self, link: BorrowedFd<'_>, interest: &Interest) {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, interest.readers == 0);
        flags.set(epoll::EventFlags::OUT, interest.room);
        // It cannot fail for a registered descriptor and known flags.
        let _ = epoll::modify(&self.epoll, link, epoll::EventData::new_u64(LINK), flags);
    }
}

/// Make an eventfd readable.
pub(super) fn signal(eventfd: BorrowedFd<'_>) {
    // It fails only when the count is at its maximum, and then it is readable already.
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}

pub(super) fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Read an eventfd or a timerfd empty.
fn quiet(descriptor: BorrowedFd<'_>) {
    let _ = rustix::io::read(descriptor, &mut [0u8; 8]);
}
