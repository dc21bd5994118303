//! What was done, and what it cost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::{CreationError, Histogram};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Counts from the last restart on.
pub(crate) struct Tally(Mutex<Counts>);

struct Counts {
    since: Instant,
    cpu: Duration,
    completed: u64,
    errors: u64,
    latency_us: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, CreationError> {
        // Up to a minute, to three digits; what takes longer counts as a minute.
        let latency_us = Histogram::new_with_max(60_000_000, 3)?;
        Ok(Self(Mutex::new(Counts {
            since: Instant::now(),
            cpu: cpu(),
            completed: 0,
            errors: 0,
            latency_us,
        })))
    }

    pub(crate) fn completed(&self, took: Duration) {
        let mut counts = self.lock();
        counts.completed += 1;
        counts.latency_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn error(&self) {
        self.lock().errors += 1;
    }

    pub(crate) fn restart(&self) {
        let mut counts = self.lock();
        (counts.completed, counts.errors) = (0, 0);
        counts.latency_us.reset();
        (counts.since, counts.cpu) = (Instant::now(), cpu());
    }

    pub(crate) fn report(&self) -> Value {
        let counts = self.lock();
        let seconds = counts.since.elapsed().as_secs_f64();
        let cpu_us = (cpu().saturating_sub(counts.cpu)).as_secs_f64() * 1e6;
        let jobs = counts.completed as f64;
        json!({
            "jobs": counts.completed,
            "errors": counts.errors,
            "seconds": seconds,
            "jobs_per_s": jobs / seconds,
            "cpu_us_per_job": cpu_us / jobs,
            "latency_us": {
                "p50": counts.latency_us.value_at_quantile(0.5),
                "p90": counts.latency_us.value_at_quantile(0.9),
                "p99": counts.latency_us.value_at_quantile(0.99),
                "max": counts.latency_us.max(),
            },
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// CPU time of the whole process so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
