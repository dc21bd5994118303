//! The native thread: reads the link while no taker does, and writes what nobody else wrote in time. It never
//! needs the GIL.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{io, thread};

use super::inbox::{Broken, Read};
use super::outbox::Next;
use super::shared::Shared;
use super::signals;
use crate::recorder::now_ns;

/// It calls nothing deep, and C-level signal handlers run elsewhere.
const STACK_BYTES: usize = 128 * 1024;

pub(super) fn spawn(shared: Arc<Shared>) -> io::Result<()> {
    let thread = thread::Builder::new().name("jobfleet-link".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(move || {
        signals::block_all();
        if let Err(reason) = serve(&shared) {
            shared.broke(&reason);
        }
    })?;
    Ok(())
}

fn serve(shared: &Shared) -> Result<(), Broken> {
    while !shared.stopping.load(Ordering::Acquire) && !shared.is_gone() {
        let events = shared.poller.wait(shared.link.as_fd()).map_err(Broken::Io)?;
        if events.writable {
            shared.room();
        }
        if events.readable {
            read(shared)?;
        }
        if events.timer {
            let now_ns = now_ns();
            match shared.outbox.timer_fired(now_ns) {
                Next::Write => shared.write(now_ns, true),
                next => shared.follow(next, now_ns),
            }
        }
    }
    Ok(())
}

fn read(shared: &Shared) -> Result<(), Broken> {
    // A taker that holds the inbox reads, and has put the link out of this thread's sight by the next wait.
    let Ok(mut inbox) = shared.inbox.try_lock() else { return Ok(()) };
    while inbox.read(shared, None)? == Read::More {}
    Ok(())
}
