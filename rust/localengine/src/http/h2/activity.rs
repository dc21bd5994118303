//! When a connection has served enough and is closed in good order.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::options::Settings;

/// What a connection is allowed.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Streams at a time.
    pub(super) streams: Option<u32>,
    requests: Option<u64>,
    idle: Option<Duration>,
}

impl Limits {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            streams: settings.max_streams,
            requests: settings.max_requests_per_connection,
            idle: settings.idle_close_ms.map(Duration::from_millis),
        }
    }
}

/// The requests of one connection.
pub(super) struct Activity {
    limits: Limits,
    begun: Cell<u64>,
    busy: Cell<u64>,
    changed: Notify,
}

/// One request in service.
pub(super) struct Busy(Rc<Activity>);

impl Activity {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, begun: Cell::new(0), busy: Cell::new(0), changed: Notify::new() }
    }

    /// A request has come.
    pub(super) fn begin(self: &Rc<Self>) -> Busy {
        self.begun.set(self.begun.get() + 1);
        self.busy.set(self.busy.get() + 1);
        self.tell();
        Busy(self.clone())
    }

    /// Ends when the connection has served as many requests as it may, or none for as long as it may.
    pub(super) async fn enough(&self) {
        if !self.limited() {
            return pending().await;
        }
        while self.limits.requests.is_none_or(|limit| self.begun.get() < limit) {
            let changed = self.changed.notified();
            match self.limits.idle {
                Some(limit) if self.busy.get() == 0 => {
                    if timeout(limit, changed).await.is_err() {
                        return;
                    }
                }
                _ => changed.await,
            }
        }
    }

    fn limited(&self) -> bool {
        self.limits.requests.is_some() || self.limits.idle.is_some()
    }

    fn tell(&self) {
        if self.limited() {
            self.changed.notify_one();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        self.0.tell();
    }
}
