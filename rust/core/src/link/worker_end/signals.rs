//! Keeps signals away from the native thread: they are for Python's main thread, which may wait for one.

#![expect(unsafe_code, reason = "a thread's signal mask has no safe call here")]

use std::mem::MaybeUninit;
use std::ptr;

/// Block every signal in the calling thread.
pub(super) fn block_all() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initialises the set that `pthread_sigmask` then reads; the old mask is not asked for.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut());
    }
}
