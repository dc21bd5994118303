//! Reads the link and hands what arrived to the lanes. Whoever holds the inbox reads.

use std::os::fd::AsFd;
use std::{fmt, io};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::lane::{OutOfStep, Queued};
use super::limits::Limit;
use super::poller::signal;
use super::shared::{Cancel, Shared};
use crate::link::{FrameError, FrameReader, ToWorker};

#[derive(Debug)]
pub(super) struct Inbox {
    reader: FrameReader<ToWorker>,
    /// Per lane, jobs of the current read that are not in its queue yet.
    arrived: Vec<Vec<Queued>>,
}

/// How one read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// There may be more.
    More,
    /// The socket is empty.
    Emptied,
}

/// Why the link is given up.
#[derive(Debug)]
pub(super) enum Broken {
    End,
    Io(io::Error),
    Frame(FrameError),
    UnknownLane(u16),
    NumberGap(u16),
    RecorderMismatch(u16),
}

impl Inbox {
    pub(super) fn new(lanes: usize) -> Self {
        Self { reader: FrameReader::new(), arrived: (0..lanes).map(|_| Vec::new()).collect() }
    }

    /// Read once, without waiting, and hand over what came. `reader` is the lane whose taker reads, if one does.
    pub(super) fn read(&mut self, shared: &Shared, reader: Option<u16>) -> Result<Read, Broken> {
        let space = self.reader.space();
        let room = space.len();
        let count = match recv(&shared.link, space, RecvFlags::DONTWAIT) {
            Ok((_, 0)) | Err(Errno::CONNRESET) => return Err(Broken::End),
            Ok((_, count)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Read::Emptied),
            Err(error) => return Err(Broken::Io(error.into())),
        };
        self.reader.filled(count);
        self.dispatch(shared, reader)?;
        Ok(if count < room { Read::Emptied } else { Read::More })
    }

    fn dispatch(&mut self, shared: &Shared, reader: Option<u16>) -> Result<(), Broken> {
        while let Some(frame) = self.reader.next_frame().map_err(Broken::Frame)? {
            match frame {
                ToWorker::Job { lane, type_index, number, body } => {
                    let arrived = self.arrived.get_mut(usize::from(lane)).ok_or(Broken::UnknownLane(lane))?;
                    arrived.push(Queued { number, type_index, body, cancelled: false });
                }
                ToWorker::Drain => {
                    self.deliver(shared, reader)?;
                    shared.drain();
                }
                ToWorker::Cancel { lane, number, reason } => {
                    self.deliver(shared, reader)?;
                    shared.cancel(Cancel { lane, number, reason })?;
                }
                ToWorker::Limit { lane, number, limit_ms } => {
                    shared.limits.push(Limit { lane, number, limit_ms })
                }
            }
        }
        self.deliver(shared, reader)
    }

    /// Hand over what arrived, with one lock and one wake per lane.
    fn deliver(&mut self, shared: &Shared, reader: Option<u16>) -> Result<(), Broken> {
        for ((jobs, lane), index) in self.arrived.iter_mut().zip(&shared.lanes).zip(0..) {
            if jobs.is_empty() {
                continue;
            }
            let wake =
                lane.push(jobs, reader == Some(index)).map_err(|OutOfStep| Broken::NumberGap(index))?;
            if let (true, Some(descriptor)) = (wake, &lane.wake) {
                signal(descriptor.as_fd());
            }
        }
        Ok(())
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
            Self::RecorderMismatch(lane) => {
                write!(f, "the flight recorder does not fit the jobs that came for lane {lane}")
            }
        }
    }
}
