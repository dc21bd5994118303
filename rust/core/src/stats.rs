//! Counters and histograms of one job type, and the run-time estimate that dispatch and activation go by.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Percentiles of one histogram, in microseconds.
#[derive(Debug, Default, Clone, Copy, Serialize)]
#[expect(missing_docs, reason = "named as percentiles are")]
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}

/// Longer durations count as this: a day.
const LONGEST_US: u64 = 86_400_000_000;

/// Durations of one kind, kept to two significant digits.
pub struct Durations(Option<Histogram<u32>>);

impl Default for Durations {
    fn default() -> Self {
        Self(Histogram::new(2).ok())
    }
}

impl Durations {
    /// Adds one duration.
    pub fn record(&mut self, duration: Duration) {
        if let Some(histogram) = &mut self.0 {
            // It grows with the values it sees; only lack of memory could refuse one.
            let _ = histogram
                .record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).clamp(1, LONGEST_US));
        }
    }

    /// The duration that this share (0 to 1) of the records does not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.as_ref().map_or(0, |histogram| histogram.value_at_quantile(share)))
    }

    /// The usual percentiles.
    pub fn percentiles(&self) -> Percentiles {
        self.0.as_ref().map_or_else(Percentiles::default, |histogram| Percentiles {
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        })
    }
}

/// How long a handler of one type typically runs: a mean without outliers for dispatch, the 90th percentile for activation.
#[derive(Default)]
pub struct RunEstimate {
    mean_ns: f64,
    p90_ns: f64,
    seen: u64,
}

impl RunEstimate {
    /// The weight of one more run. Small enough that one slow run among many does not turn a short type long.
    const WEIGHT: f64 = 1.0 / 32.0;

    /// A run this many times the mean counts as no more than that: a handler that waits for its processor once
    /// is still short. A type that really becomes slower gets there within a few dozen runs.
    const OUTLIER: f64 = 8.0;

    /// And this much more, so that the shortest runs do not cap it at nothing.
    const NOISE_NS: f64 = 200_000.0;

    /// Adds one run.
    pub fn record(&mut self, run_ns: u64) {
        let run = run_ns as f64;
        self.seen += 1;
        if self.seen == 1 {
            (self.mean_ns, self.p90_ns) = (run, run);
            return;
        }
        let typical = run.min(self.mean_ns * Self::OUTLIER + Self::NOISE_NS);
        self.mean_ns += (typical - self.mean_ns) * Self::WEIGHT.max(1.0 / self.seen as f64);
        // Stochastic approximation: in balance when one run in ten lies above.
        let step = (self.mean_ns * 0.02).max(1.0);
        self.p90_ns =
            if run > self.p90_ns { self.p90_ns + 9.0 * step } else { (self.p90_ns - step).max(1.0) };
    }

    /// The mean run time; None before the first run.
    pub fn mean_ns(&self) -> Option<u64> {
        (self.seen > 0).then_some(self.mean_ns as u64)
    }

    /// The 90th percentile; None before the first run.
    pub fn p90_ns(&self) -> Option<u64> {
        (self.seen > 0).then_some(self.p90_ns.max(self.mean_ns) as u64)
    }
}

/// Jobs settled per second, smoothed over about a quarter of a second.
#[derive(Default)]
pub struct Rate {
    per_second: f64,
    counted: u64,
    since: Duration,
}

impl Rate {
    const WINDOW: Duration = Duration::from_millis(50);

    /// Counts one event at `now`.
    pub fn count(&mut self, now: Duration) {
        self.counted += 1;
        let span = now.saturating_sub(self.since);
        if span >= Self::WINDOW {
            let latest = self.counted as f64 / span.as_secs_f64();
            let keep = if span > Self::WINDOW * 20 { 0.0 } else { 0.7 };
            self.per_second = self.per_second * keep + latest * (1.0 - keep);
            (self.counted, self.since) = (0, now);
        }
    }

    /// The smoothed rate.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }
}

/// What happened to the jobs of one type since the start.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Counters {
    /// Jobs received from the engine.
    pub activated: u64,
    /// Completions that the engine took.
    pub completed: u64,
    /// Failures that the engine took.
    pub failed: u64,
    /// BPMN errors that the engine took.
    pub errors_thrown: u64,
    /// Jobs given back with unchanged retries.
    pub handed_back: u64,
    /// Jobs that turned out not to be this fleet's any more.
    pub lost: u64,
    /// Jobs whose lease ran out before the engine took an outcome.
    pub expired: u64,
    /// Outcomes that the engine refused for good.
    pub rejected: u64,
}

impl std::ops::AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        self.activated += other.activated;
        self.completed += other.completed;
        self.failed += other.failed;
        self.errors_thrown += other.errors_thrown;
        self.handed_back += other.handed_back;
        self.lost += other.lost;
        self.expired += other.expired;
        self.rejected += other.rejected;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_slow_runs_do_not_make_a_type_slow() {
        let mut estimate = RunEstimate::default();
        for index in 0..20_000u64 {
            estimate.record(if index % 20 == 7 { 50_000_000 } else { 10_000 });
        }
        let mean = estimate.mean_ns().unwrap();
        assert!((10_000..200_000).contains(&mean), "{mean}");
    }

    #[test]
    fn a_type_that_becomes_slow_is_found_out_soon() {
        let mut estimate = RunEstimate::default();
        (0..1_000).for_each(|_| estimate.record(3_000));
        (0..64).for_each(|_| estimate.record(20_000_000));
        assert!(estimate.mean_ns().unwrap() > 1_000_000, "{:?}", estimate.mean_ns());
        (0..400).for_each(|_| estimate.record(3_000));
        assert!(estimate.mean_ns().unwrap() < 10_000, "{:?}", estimate.mean_ns());
    }

    #[test]
    fn the_ninetieth_percentile_has_a_tenth_of_the_runs_above_it() {
        let mut estimate = RunEstimate::default();
        for index in 0..50_000u64 {
            estimate.record(100_000 + (index * 7919 % 1_000) * 1_000);
        }
        let p90 = estimate.p90_ns().unwrap();
        assert!((850_000..1_150_000).contains(&p90), "{p90}");
    }

    #[test]
    fn a_steady_rate_is_measured() {
        let mut rate = Rate::default();
        for index in 0..5_000u64 {
            rate.count(Duration::from_secs(9) + Duration::from_micros(index * 100));
        }
        assert!((9_000.0..11_000.0).contains(&rate.per_second()), "{}", rate.per_second());
    }
}
