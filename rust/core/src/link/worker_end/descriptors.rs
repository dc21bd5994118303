//! Closes descriptors whose owner lives on in another process.

#![expect(unsafe_code, reason = "closes a forked child's copies of descriptors")]

use std::os::fd::{AsRawFd, BorrowedFd};

/// Close this process's copies. The owners must be leaked in this process, so that they never close them again.
pub(super) fn close_copies<'a>(descriptors: impl Iterator<Item = BorrowedFd<'a>>) {
    for descriptor in descriptors {
        // SAFETY: the number is open here as a copy made by the fork, and the caller leaks its owner.
        unsafe { libc::close(descriptor.as_raw_fd()) };
    }
}
