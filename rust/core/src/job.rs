//! Jobs as plain data: what the core reads of an activated job, beside its untouched bytes.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

/// One activated job: the engine's bytes, and where in them the core found what it needs.
#[derive(Debug, Clone)]
pub struct Job {
    /// The job object exactly as the engine sent it.
    pub raw: Bytes,
    key: Range<u32>,
    token: Option<Range<u32>>,
    /// Tries left at activation; a failure reports one less unless the handler says otherwise.
    pub retries: i32,
    /// End of the lease in milliseconds since the epoch, on the engine's clock; None when it is missing.
    pub deadline_ms: Option<i64>,
}

impl Job {
    /// A job whose key (without quotes) and lease token (with quotes, as JSON) lie at these places in `raw`.
    pub fn new(
        raw: Bytes,
        key: Range<u32>,
        token: Option<Range<u32>>,
        retries: i32,
        deadline_ms: Option<i64>,
    ) -> Self {
        Self { raw, key, token, retries, deadline_ms }
    }

    /// The key as text, whether it came as a JSON number or string.
    pub fn key(&self) -> &str {
        self.text(&self.key)
    }

    /// The lease token as a JSON string with its quotes, ready to be spliced into a request.
    pub fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|range| self.text(range))
    }

    /// The name of the member that the token came in.
    pub fn token_name(&self) -> Option<&str> {
        let before = self.raw.get(..self.token.as_ref()?.start as usize)?;
        let end = before.iter().rposition(|byte| *byte == b'"')?;
        let start = before.get(..end)?.iter().rposition(|byte| *byte == b'"')? + 1;
        std::str::from_utf8(before.get(start..end)?).ok()
    }

    fn text(&self, range: &Range<u32>) -> &str {
        let range = range.start as usize..range.end as usize;
        self.raw.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

/// The time for which the engine reserves a job to this fleet, on the local clock of [`now`].
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// When the answer that carried the job had been received.
    pub received_at: Duration,
    /// When the lease ends; conservative, see `clock`.
    pub end: Duration,
}

impl Lease {
    /// The middle of the lease: by then a job has started or is handed back, and a running one is renewed.
    pub fn half(&self) -> Duration {
        self.received_at + self.end.saturating_sub(self.received_at) / 2
    }
}

/// The local clock of every lease: time since boot, suspended time included, so that a host that slept knows
/// that its leases ran out.
pub fn now() -> Duration {
    to_duration(rustix::time::clock_gettime(rustix::time::ClockId::Boottime))
}

/// The clock of the flight recorder, CLOCK_MONOTONIC, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    to_duration(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)).as_nanos() as u64
}

fn to_duration(time: rustix::time::Timespec) -> Duration {
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
