//! What the native thread waits for.
//!
//! A taker that reads the link itself takes that off the native thread, which saves waking two threads for one
//! job. Where jobs follow each other within a millisecond the taker keeps the link while it runs one, which saves
//! the system calls too; a timer gives the link back when that job takes longer.

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
use crate::recorder::now_ns;

const LINK: u64 = 0;
const TIMER: u64 = 1;
const NUDGE: u64 = 2;
const KEEP_TIMER: u64 = 3;

/// A link is kept this long: what arrives meanwhile is read that much later at worst.
const KEEP_NS: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    keep_timer: OwnedFd,
    nudge: OwnedFd,
    interest: Mutex<Interest>,
}

/// What the native thread should wait for on the link.
#[derive(Debug)]
struct Interest {
    /// Takers that read it themselves.
    readers: u32,
    /// The taker that read last keeps it until then; zero when it does not.
    kept_until_ns: u64,
    last_rest_ns: u64,
    /// The keep timer is set.
    timed: bool,
    /// The socket is full.
    room: bool,
    /// What the kernel was told.
    told: epoll::EventFlags,
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
            keep_timer: timerfd_create(TimerfdClockId::Monotonic, timer_flags)?,
            interest: Mutex::new(Interest {
                readers: 0,
                kept_until_ns: 0,
                last_rest_ns: 0,
                timed: false,
                room: false,
                told: epoll::EventFlags::IN,
            }),
        };
        let sources = [
            (link, LINK),
            (poller.timer.as_fd(), TIMER),
            (poller.keep_timer.as_fd(), KEEP_TIMER),
            (poller.nudge.as_fd(), NUDGE),
        ];
        for (source, data) in sources {
            epoll::add(&poller.epoll, source, epoll::EventData::new_u64(data), epoll::EventFlags::IN)?;
        }
        Ok(poller)
    }

    /// Sleep until something happens.
    pub(super) fn wait(&self, link: BorrowedFd<'_>) -> io::Result<Events> {
        let mut buffer = [MaybeUninit::uninit(); 4];
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
                KEEP_TIMER => {
                    quiet(self.keep_timer.as_fd());
                    self.keep_timer_fired(link);
                }
                _ => quiet(self.nudge.as_fd()),
            }
        }
        Ok(events)
    }

    /// Wake the native thread at this moment of the monotonic clock.
    pub(super) fn wake_at(&self, at_ns: u64) -> io::Result<()> {
        set(self.timer.as_fd(), at_ns)
    }

    /// Wake the native thread now.
    pub(super) fn nudge(&self) {
        signal(self.nudge.as_fd());
    }

    /// A taker begins to read the link.
    pub(super) fn taker_reads(&self, link: BorrowedFd<'_>) {
        let mut interest = lock(&self.interest);
        interest.readers += 1;
        interest.kept_until_ns = 0;
        self.tell(link, &mut interest);
    }

    /// A taker ceases to read the link; one that `may_keep` it does so when it last ceased just before.
    pub(super) fn taker_rests(&self, link: BorrowedFd<'_>, may_keep: bool) {
        let mut interest = lock(&self.interest);
        interest.readers = interest.readers.saturating_sub(1);
        let now_ns = now_ns();
        let last_rest_ns = std::mem::replace(&mut interest.last_rest_ns, now_ns);
        if may_keep && now_ns < last_rest_ns.saturating_add(KEEP_NS) {
            interest.kept_until_ns = now_ns.saturating_add(KEEP_NS);
            self.time(&mut interest);
        }
        self.tell(link, &mut interest);
    }

    fn keep_timer_fired(&self, link: BorrowedFd<'_>) {
        let mut interest = lock(&self.interest);
        interest.timed = false;
        if interest.kept_until_ns > now_ns() {
            self.time(&mut interest);
        } else {
            interest.kept_until_ns = 0;
            self.tell(link, &mut interest);
        }
    }

    fn time(&self, interest: &mut Interest) {
        if !interest.timed {
            interest.timed = set(self.keep_timer.as_fd(), interest.kept_until_ns).is_ok();
        }
        if !interest.timed {
            interest.kept_until_ns = 0;
        }
    }

    /// Wait for room in the socket, or no longer.
    pub(super) fn want_room(&self, link: BorrowedFd<'_>, room: bool) {
        let mut interest = lock(&self.interest);
        interest.room = room;
        self.tell(link, &mut interest);
    }

    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 4] {
        [self.epoll.as_fd(), self.timer.as_fd(), self.keep_timer.as_fd(), self.nudge.as_fd()]
    }

    fn tell(&self, link: BorrowedFd<'_>, interest: &mut Interest) {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, interest.readers == 0 && interest.kept_until_ns == 0);
        flags.set(epoll::EventFlags::OUT, interest.room);
        if flags != interest.told {
            // It cannot fail for a registered descriptor and known flags.
            let _ = epoll::modify(&self.epoll, link, epoll::EventData::new_u64(LINK), flags);
            interest.told = flags;
        }
    }
}

fn set(timer: BorrowedFd<'_>, at_ns: u64) -> io::Result<()> {
    let value = Itimerspec { it_interval: timespec(0), it_value: timespec(at_ns.max(1)) };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &value)?;
    Ok(())
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
