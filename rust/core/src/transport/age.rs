//! How long a connection may be used.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// The engine closes a connection that was idle for 60 s; an older one is not worth the risk of a reset.
const IDLE_LIMIT: Duration = Duration::from_secs(45);

/// See the module.
pub(super) struct Age {
    end: Instant,
    used: Cell<Instant>,
}

impl Age {
    /// Starts now and ends after a time between nine tenths of `limit` and all of it, as `share` from 0 to 1 says:
    /// connections that were opened together do not end together.
    pub(super) fn new(limit: Duration, share: f64) -> Self {
        let now = Instant::now();
        Self { end: now + limit.mul_f64(1.0 - share / 10.0), used: Cell::new(now) }
    }

    /// A request was answered.
    pub(super) fn used(&self) {
        self.used.set(Instant::now());
    }

    /// Whether no further request should go out.
    pub(super) fn over(&self) -> bool {
        let now = Instant::now();
        now >= self.end || now.duration_since(self.used.get()) > IDLE_LIMIT
    }
}
