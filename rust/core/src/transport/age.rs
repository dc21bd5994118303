//! How long a connection may be used.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

/// The engine closes a connection that was idle for 60 s; an older one is not worth the risk of a reset.
const IDLE_LIMIT: Duration = Duration::from_secs(45);

/// Connections that were made with certificates which have been replaced are given up within this time, one after the
/// other: each new one costs both sides a handshake.
const RENEWED_WITHIN: Duration = Duration::from_secs(3);

/// When certificates were last replaced.
pub(super) type Renewal = Rc<Cell<Option<Instant>>>;

/// See the module.
pub(super) struct Age {
    began: Instant,
    end: Instant,
    used: Cell<Instant>,
    renewal: Renewal,
    share: f64,
}

impl Age {
    /// Of a connection that was begun then; it ends after a time between nine tenths of `limit` and all of it, as
    /// `share` from 0 to 1 says: connections that were opened together do not end together.
    pub(super) fn new(began: Instant, limit: Duration, share: f64, renewal: &Renewal) -> Self {
        let now = Instant::now();
        let end = now + limit.mul_f64(1.0 - share / 10.0);
        Self { began, end, used: Cell::new(now), renewal: Rc::clone(renewal), share }
    }

    /// A request was answered.
    pub(super) fn used(&self) {
        self.used.set(Instant::now());
    }

    /// Whether no further request should go out.
    pub(super) fn over(&self) -> bool {
        let now = Instant::now();
        now >= self.end || now.duration_since(self.used.get()) > IDLE_LIMIT || self.is_outdated(now)
    }

    fn is_outdated(&self, now: Instant) -> bool {
        let renewal = self.renewal.get();
        renewal.is_some_and(|at| self.began < at && now >= at + RENEWED_WITHIN.mul_f64(self.share))
    }
}
