//! The link: frames between the core and one worker process, and the worker's end of it.
//!
//! A link is a Unix stream socket pair. Every frame is `u32 little-endian length | u8 kind | payload`, where the
//! length counts the kind and the payload; integers are little-endian throughout. Many frames share one write.
//!
//! The core's end: [`socket_pair`] makes the descriptors, the `encode_*` functions fill a write buffer, and a
//! [`FrameReader`] of [`ToCore`] takes what was read. A [`FrameError`] ends that worker, never the core.
//! The worker's end is [`worker_end::WorkerEnd`].
//! This module knows no engine, no Python and no runtime.

mod decode;
mod encode;
mod frame;
mod outcome;
mod reader;
pub mod worker_end;

pub use encode::{
    encode_cancel, encode_drain, encode_job, encode_job_head, encode_limit, encode_log, encode_logs_dropped,
    encode_outcome, encode_ready, encode_start_failed,
};
pub use frame::{FrameError, MAX_FRAME, OutcomeHead, ToCore, ToWorker};
pub use outcome::{Outcome, OutcomeRef};
pub use reader::{Decode, FrameReader};

use std::io;
use std::os::fd::OwnedFd;

/// A connected pair of link ends, `(core, worker)`, both closed on exec and the core's end non-blocking.
pub fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let (core, worker) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&core, true)?;
    Ok((core, worker))
}
