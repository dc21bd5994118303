//! Authorize: waits at the gate of credentials, and draws the conclusions from refusals.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::timeout;

use crate::events::Event;
use crate::fleet::{Fleet, backoff};
use crate::gate::{Asker, Passage, Refused, TRUST};
use crate::job::now;

/// Wrong credentials do not get right by asking more often.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The same where others are accepted with the same header.
const LONGEST_PAUSE_ALONE: Duration = Duration::from_secs(5);

impl Fleet {
    /// Replaces the header of all requests that follow; what waits for it goes out.
    pub(crate) fn set_authorization(&self, value: Option<&str>) {
        self.transport.set_authorization(value);
        self.gate.borrow_mut().renewed();
        self.gate_changed.notify_waiters();
    }

    /// Waits until a request may go out; false when `limit` comes first.
    pub(crate) async fn authorized_before(&self, limit: Duration) -> bool {
        loop {
            let changed = self.gate_changed.notified();
            let asked_at = now();
            let passage = self.gate.borrow_mut().ask(asked_at, Asker::Command);
            match passage {
                Passage::Free => return true,
                Passage::Wait(_) if asked_at >= limit => return false,
                Passage::Wait(until) => {
                    let _ = timeout(until.min(limit).saturating_sub(asked_at), changed).await;
                }
            }
        }
    }

    /// Waits until a poll may go out, or until the fleet polls no more. True when it had to wait.
    pub(crate) async fn authorized_to_poll(&self) -> bool {
        if self.gate.borrow().is_open() {
            return false;
        }
        while self.activating.get() {
            let changed = self.gate_changed.notified();
            let asked_at = now();
            let passage = self.gate.borrow_mut().ask(asked_at, Asker::Poll);
            match passage {
                Passage::Free => break,
                Passage::Wait(until) => {
                    let _ = timeout(until.saturating_sub(asked_at), changed).await;
                }
            }
        }
        true
    }

    /// The engine refused the header with this number: nothing goes out for a while, or until there is another one.
    /// Unless others are accepted with it: then the pause after which this request, refused `times` by now, goes out again.
    pub(crate) fn refused(&self, header: u64, words: &str, times: u32) -> Option<Duration> {
        let refusals = self.gate.borrow().refusals();
        let pause = self.jittered(backoff(refusals + 2, LONGEST_PAUSE));
        let refused = self.gate.borrow_mut().refused(header, now(), pause);
        if refused == Refused::News {
            self.engine_down(words);
            let message = self.transport.without_credentials(words);
            self.events.push(&Event::Unauthorized { header, message });
        }
        if refused != Refused::Alone {
            return None;
        }
        if times > TRUST {
            self.engine_down(words);
        }
        Some(backoff(times.saturating_sub(TRUST), LONGEST_PAUSE_ALONE))
    }

    /// The engine took a request with this header.
    pub(crate) fn accepted(self: &Rc<Self>, header: u64) {
        if self.gate.borrow_mut().accepted(header) {
            self.gate_changed.notify_waiters();
        }
    }
}
