//! How long jobs took, as the engine saw it. It only looks at the real clock: nothing is decided by it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::job::Job;

/// A histogram's longest time; what takes longer counts as that.
const LONGEST_US: u64 = 600_000_000;

/// Times of completed jobs since the start or the last reset.
#[derive(Default)]
pub(crate) struct Latency {
    available: Times,
    held: Times,
}

/// What is told of them, in microseconds.
#[derive(Serialize)]
pub(crate) struct Percentiles {
    count: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

#[derive(Serialize)]
pub(crate) struct LatencyReport {
    /// From the addition of a job to its completion by its first holder; not for jobs of endless types.
    available_us: Percentiles,
    /// From the activation to the completion.
    held_us: Percentiles,
}

impl Latency {
    /// Counts a job that its holder is completing now.
    pub(super) fn completed(&mut self, job: &Job) {
        let Some(batch) = &job.batch else { return };
        let now = Instant::now();
        self.held.record(now.saturating_duration_since(batch.made));
        if job.activations == 1 && !job.blueprint.endless {
            self.available.record(now.saturating_duration_since(job.blueprint.made));
        }
    }

    pub(crate) fn report(&self) -> LatencyReport {
        LatencyReport { available_us: self.available.percentiles(), held_us: self.held.percentiles() }
    }
}

/// One histogram, made when it is needed.
#[derive(Default)]
struct Times(Option<Histogram<u64>>);

impl Times {
    fn record(&mut self, took: Duration) {
        if self.0.is_none() {
            self.0 = Histogram::new_with_max(LONGEST_US, 3).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.as_ref().map_or(0, |histogram| histogram.value_at_quantile(quantile));
        let count = self.0.as_ref().map_or(0, Histogram::len);
        Percentiles { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) }
    }
}
