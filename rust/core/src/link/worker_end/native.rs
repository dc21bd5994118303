//! The native thread: reads the socket, and writes what nobody else wrote in time. It never needs the GIL.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{fmt, io, thread};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::lane::{OutOfStep, Queued};
use super::outbox::Next;
use super::shared::{Cancel, Shared, quiet, signal};
use super::signals;
use crate::link::{FrameError, FrameReader, ToWorker};
use crate::recorder::now_ns;

/// It calls nothing deep, and C-level signal handlers run elsewhere.
const STACK_BYTES: usize = 128 * 1024;

pub(super) fn spawn(shared: Arc<Shared>) -> io::Result<()> {
    let thread = thread::Builder::new().name("jobfleet-link".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(move || {
        signals::block_all();
        Native {
            arrived: shared.lanes.iter().map(|_| Vec::new()).collect(),
            shared,
            reader: FrameReader::new(),
        }
        .run();
    })?;
    Ok(())
}

struct Native {
    shared: Arc<Shared>,
    reader: FrameReader<ToWorker>,
    /// Per lane, jobs of the current read that are not in its queue yet.
    arrived: Vec<Vec<Queued>>,
}

/// Why the link is given up.
enum Broken {
    End,
    Io(io::Error),
    Frame(FrameError),
    UnknownLane(u16),
    NumberGap(u16),
}

impl Native {
    fn run(mut self) {
        if let Err(reason) = self.serve() {
            self.shared.write(now_ns(), true);
            self.shared.give_up();
            if !matches!(reason, Broken::End) {
                eprintln!("jobfleet: the link to the supervisor broke, this worker exits: {reason}");
            }
        }
    }

    fn serve(&mut self) -> Result<(), Broken> {
        while !self.shared.stopping.load(Ordering::Acquire) && !self.shared.is_gone() {
            let [link, timer, nudge] = self.wait()?;
            if !nudge.is_empty() {
                quiet(self.shared.nudge.as_fd());
            }
            if link.intersects(PollFlags::OUT) {
                self.shared.outbox.unblock();
                self.shared.write(now_ns(), true);
            }
            if link.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.read()?;
            }
            if !timer.is_empty() {
                self.on_timer();
            }
        }
        Ok(())
    }

    /// Sleep until there is an event on the link, the timer or the eventfd.
    fn wait(&self) -> Result<[PollFlags; 3], Broken> {
        let mut link = PollFlags::IN;
        if self.shared.outbox.is_blocked() {
            link |= PollFlags::OUT;
        }
        let mut descriptors = [
            PollFd::new(&self.shared.link, link),
            PollFd::new(&self.shared.timer, PollFlags::IN),
            PollFd::new(&self.shared.nudge, PollFlags::IN),
        ];
        match poll(&mut descriptors, None) {
            Ok(_) => Ok(descriptors.each_ref().map(PollFd::revents)),
            Err(Errno::INTR) => Ok([PollFlags::empty(); 3]),
            Err(error) => Err(Broken::Io(error.into())),
        }
    }

    fn read(&mut self) -> Result<(), Broken> {
        loop {
            let space = self.reader.space();
            let room = space.len();
            let count = match recv(&self.shared.link, space, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err(Broken::End),
                Ok((_, count)) => count,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(Errno::CONNRESET) => return Err(Broken::End),
                Err(error) => return Err(Broken::Io(error.into())),
            };
            self.reader.filled(count);
            self.dispatch()?;
            // A read that did not fill its room emptied the socket: poll says when there is more.
            if count < room {
                return Ok(());
            }
        }
    }

    fn dispatch(&mut self) -> Result<(), Broken> {
        while let Some(frame) = self.reader.next_frame().map_err(Broken::Frame)? {
            match frame {
                ToWorker::Job { lane, type_index, number, body } => {
                    let arrived = self.arrived.get_mut(usize::from(lane)).ok_or(Broken::UnknownLane(lane))?;
                    arrived.push(Queued { number, type_index, body, cancelled: false });
                }
                ToWorker::Drain => {
                    self.deliver()?;
                    self.shared.drain();
                }
                ToWorker::Cancel { lane, number, reason } => {
                    self.deliver()?;
                    self.shared.add_cancel(Cancel { lane, number, reason });
                }
            }
        }
        self.deliver()
    }

    /// Hand over what arrived, with one lock and one wake per lane.
    fn deliver(&mut self) -> Result<(), Broken> {
        for ((jobs, lane), index) in self.arrived.iter_mut().zip(&self.shared.lanes).zip(0..) {
            if jobs.is_empty() {
                continue;
            }
            let wake = lane.push(jobs).map_err(|OutOfStep| Broken::NumberGap(index))?;
            if let (true, Some(descriptor)) = (wake, &lane.wake) {
                signal(descriptor.as_fd());
            }
        }
        Ok(())
    }

    fn on_timer(&self) {
        quiet(self.shared.timer.as_fd());
        let now_ns = now_ns();
        match self.shared.outbox.timer_fired(now_ns) {
            Next::Write => self.shared.write(now_ns, true),
            next => self.shared.follow(next, now_ns),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("it was closed"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Frame(error) => write!(f, "{error}"),
            Self::UnknownLane(lane) => write!(f, "a job came for lane {lane}, which does not exist"),
            Self::NumberGap(lane) => write!(f, "the numbers of the jobs for lane {lane} have a gap"),
        }
    }
}
