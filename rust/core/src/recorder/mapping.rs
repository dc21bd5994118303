//! The sealed memory file and its mapping.

#![expect(unsafe_code, reason = "maps memory shared between processes")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use super::layout::{Line, invalid};
use crate::fork_guard::ForkGuard;

/// Shrinking would kill a reader with SIGBUS; growing and unsealing are of no use to anybody.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// A mapped recorder file, unmapped when dropped. A forked child does not have it.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<Line>,
    lines: usize,
    owner: ForkGuard,
}

// SAFETY: all access goes through atomics, and the mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Make a sealed file of so many zeroed lines and map it.
    pub(super) fn create(lines: usize) -> io::Result<(Self, OwnedFd)> {
        let fd = memfd_create("jobfleet-recorder", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, bytes(lines) as u64)?;
        fcntl_add_seals(&fd, SEALS)?;
        Ok((Self::open(fd.as_fd(), lines)?, fd))
    }

    /// Map a sealed file of exactly so many lines.
    pub(super) fn open(fd: BorrowedFd<'_>, lines: usize) -> io::Result<Self> {
        let size = fstat(fd)?.st_size;
        if u64::try_from(size).ok() != Some(bytes(lines) as u64) {
            return Err(invalid(format!(
                "the recorder has {size} bytes where its lanes need {}",
                bytes(lines)
            )));
        }
        if !fcntl_get_seals(fd)?.contains(SEALS) {
            return Err(invalid("the recorder is not sealed against shrinking and growing".to_owned()));
        }
        let owner = ForkGuard::new()?;
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at an address that the kernel picks aliases no Rust object.
        let address = unsafe { mmap(ptr::null_mut(), bytes(lines), protection, flags, fd, 0) }?;
        let base = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { base, lines, owner };
        // SAFETY: the range is exactly the mapping made above.
        unsafe { madvise(address, bytes(lines), Advice::LinuxDontFork) }?;
        Ok(mapping)
    }

    /// The lines. Empty in a forked child, where the mapping is absent.
    #[inline]
    pub(super) fn lines(&self) -> &[Line] {
        if !self.owner.is_owner() {
            return &[];
        }
        // SAFETY: the mapping is page-aligned, lives as long as `self`, is absent only in a forked child, and
        // its file is sealed at a size of `lines` lines; every bit pattern is a valid `Line`, and other
        // processes' writes meet atomics only.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.lines) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // In a forked child something else may live at that address by now.
        if self.owner.is_owner() {
            // SAFETY: the mapping was made in `open`, and no borrow of it outlives `self`.
            let _ = unsafe { munmap(self.base.as_ptr().cast(), bytes(self.lines)) };
        }
    }
}

fn bytes(lines: usize) -> usize {
    lines * size_of::<Line>()
}
