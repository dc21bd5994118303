//! The lease clock: when leases end, told in the local boot-time clock.
//!
//! Owns the bounds on how far the engine's clock is ahead of the local one. Knows no clock itself: every time is
//! a duration on CLOCK_BOOTTIME, which goes on while the host sleeps, as leases do.
//!
//! An engine activates a job between the sending of the poll and the receipt of its answer, and writes its own
//! time of that moment into the answer as deadline − lease. So each answer bounds the offset, quick ones
//! tightly, and the bounds of several answers are intersected.

use std::time::Duration;

/// Two clocks part by at most this: the kernel slews a clock by 500 ppm, and either side may be slewed.
const DRIFT_PPM: i128 = 1_000;
/// Answers that disagree by less come from brokers whose clocks differ a little; by more, from a clock that was
/// set.
const STEP_NS: i128 = 1_000_000_000;
/// Deadlines are whole milliseconds, cut off.
const RESOLUTION_NS: i128 = 1_000_000;
/// What a held poll's answer may be late by, on top of its hold time.
const HOLD_MARGIN: Duration = Duration::from_secs(1);
/// Bounds are trusted when they are narrower than this part of the lease.
const TRUSTED_PART: i128 = 8;

/// Bounds on engine clock − local clock, in nanoseconds, as they were at `as_of`.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: i128,
    high: i128,
    as_of: Duration,
}

impl Bounds {
    /// The bounds at `now`: the older, the wider.
    fn aged(self, now: Duration) -> Self {
        let drift = nanos(now.saturating_sub(self.as_of)) * DRIFT_PPM / 1_000_000;
        Self { low: self.low - drift, high: self.high + drift, as_of: now.max(self.as_of) }
    }

    fn width(self) -> i128 {
        self.high - self.low
    }
}

/// What is known of one engine's clock.
#[derive(Clone, Debug, Default)]
pub struct LeaseClock {
    bounds: Option<Bounds>,
    spread: i128,
    steps: u64,
}

impl LeaseClock {
    /// A clock that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learn from one activated job: its poll was sent at `sent_at`, its answer received at `received_at`.
    pub fn observe(&mut self, sent_at: Duration, received_at: Duration, deadline_ms: i64, lease: Duration) {
        let activated = millis(deadline_ms) - nanos(lease);
        let seen = Bounds {
            low: activated - nanos(received_at) - self.spread,
            high: activated + RESOLUTION_NS - nanos(sent_at.min(received_at)) + self.spread,
            as_of: received_at,
        };
        let Some(known) = self.bounds.map(|bounds| bounds.aged(received_at)) else {
            self.bounds = Some(seen);
            return;
        };
        let gap = (seen.low - known.high).max(known.low - seen.high);
        self.bounds = Some(if gap <= 0 {
            Bounds { low: known.low.max(seen.low), high: known.high.min(seen.high), as_of: known.as_of }
        } else if gap < STEP_NS {
            self.spread = self.spread.max(gap);
            Bounds { low: known.low.min(seen.low), high: known.high.max(seen.high), as_of: known.as_of }
        } else {
            self.steps = self.steps.saturating_add(1);
            seen
        });
    }

    /// The local time at which a lease ends; rather too early than too late.
    ///
    /// `hold` is how long the poll that brought the job was allowed to be held. While the engine's clock is not
    /// known well enough, the job counts as activated `hold` + 1 s before its receipt, but half of its lease always
    /// remains: else each job of a held poll would seem to have expired on arrival.
    pub fn local_end(
        &self,
        deadline_ms: i64,
        lease: Duration,
        received_at: Duration,
        hold: Duration,
    ) -> Duration {
        let latest = received_at.saturating_add(lease);
        let guess = latest
            .saturating_sub(hold.saturating_add(HOLD_MARGIN))
            .max(received_at.saturating_add(lease / 2));
        let Some(bounds) = self.bounds.map(|bounds| bounds.aged(received_at)) else { return guess };
        let earliest = duration(millis(deadline_ms) - bounds.high);
        let end = if bounds.width() <= nanos(lease) / TRUSTED_PART {
            earliest
        } else {
            guess.max(earliest).min(duration(millis(deadline_ms) - bounds.low))
        };
        end.min(latest)
    }

    /// How exactly the engine's clock is known at `now`; None while nothing is known.
    pub fn uncertainty(&self, now: Duration) -> Option<Duration> {
        self.bounds.map(|bounds| duration(bounds.aged(now).width()))
    }

    /// How often the engine's clock was found set to another time.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX / 4)
}

fn millis(ms: i64) -> i128 {
    i128::from(ms) * 1_000_000
}

/// A local time; times before the clock's origin are its origin.
fn duration(ns: i128) -> Duration {
    Duration::from_nanos(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
