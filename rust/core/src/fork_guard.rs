//! Tells the process that made an object from children forked later, at the cost of one load.
//!
//! One page of the process is wiped by the kernel at every fork, however it was called, so a child finds zero
//! where its parent left a token.

#![expect(unsafe_code, reason = "maps the page that the kernel wipes at a fork")]

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::recorder::now_ns;

/// Belongs to the process that made it.
#[derive(Debug, Clone, Copy)]
pub struct ForkGuard {
    word: &'static AtomicU64,
    token: u64,
}

impl ForkGuard {
    /// Mark this process. Fails where the kernel has no `MADV_WIPEONFORK` (before Linux 4.14).
    pub fn new() -> io::Result<Self> {
        static PAGE: OnceLock<&'static AtomicU64> = OnceLock::new();
        let word = match PAGE.get() {
            Some(word) => word,
            None => {
                let fresh = wiped_on_fork()?;
                PAGE.get_or_init(|| fresh)
            }
        };
        // The clock keeps a later process with the same number apart.
        let fresh = u64::from(std::process::id()) << 32 | (now_ns() & 0xffff_ffff) | 1;
        let token = match word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => fresh,
            Err(token) => token,
        };
        Ok(Self { word, token })
    }

    /// False in every process forked from the one that made the guard.
    #[inline]
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.word.load(Ordering::Relaxed) == self.token
    }

    /// Differs between a process and those forked from it; never zero.
    #[inline]
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }
}

fn wiped_on_fork() -> io::Result<&'static AtomicU64> {
    let bytes = rustix::param::page_size();
    let flags = MapFlags::PRIVATE;
    // SAFETY: a fresh anonymous mapping at an address that the kernel picks aliases nothing.
    let page = unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags) }?;
    // SAFETY: the range is the whole mapping made above.
    if let Err(error) = unsafe { madvise(page, bytes, Advice::LinuxWipeOnFork) } {
        // SAFETY: nothing refers to the mapping yet.
        let _ = unsafe { munmap(page, bytes) };
        return Err(error.into());
    }
    // SAFETY: the page is zeroed, aligned, at least eight bytes long and never unmapped from here on; a child
    // that the kernel wiped it for sees zero, which is a valid value.
    Ok(unsafe { &*page.cast::<AtomicU64>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_one_token() {
        let (first, second) = (ForkGuard::new().unwrap(), ForkGuard::new().unwrap());
        assert!(first.is_owner() && second.is_owner());
        assert_eq!(first.token, second.token);
        assert_ne!(first.token, 0);
    }
}
