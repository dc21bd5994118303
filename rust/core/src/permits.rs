//! Permits: how many polls and renewals may be on their way to an engine that pushes back.
//!
//! Owns the additive-increase, multiplicative-decrease decision. Knows no clock, no I/O and no waiters: time
//! goes in, decisions come out. Whoever was told to wait asks again after any `release`, `on_success` or
//! `on_backpressure`, and at the time it was given; so no wake-up can be lost in here.

use std::time::Duration;

/// Cap that the first refusal starts from.
const INITIAL_CAP: u32 = 16;
const FLOOR: u32 = 1;
/// Share of the cap that a refusal leaves, in percent.
const SOFT_PERCENT: u64 = 70;
const SEVERE_PERCENT: u64 = 50;
const SEVERE_AFTER: u32 = 3;
/// Growth per check once healthy, in percent.
const HEALTHY_PERCENT: u64 = 150;
const CHECK_EVERY: Duration = Duration::from_secs(1);
const QUIET_FOR_DECAY: Duration = Duration::from_secs(2);
const UNLIMITED_AFTER: Duration = Duration::from_secs(30);
const BACKOFF_START: Duration = Duration::from_millis(25);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Requests refused together are one piece of news: without this, one overshoot by ten drives the cap to one.
const REACTION: Duration = Duration::from_millis(100);
/// Share of the cap that was last refused, in percent, that fast growth stops at; from there it adds one.
const CAUTION_PERCENT: u64 = 90;
/// Longest time without a grant: permits are held for a fraction of a second, so one that is out for longer
/// never comes back, and at a small cap that must not end all work.
const PROBE_AFTER: Duration = Duration::from_secs(2);
/// Gap between starts of polls at half the initial cap.
const POLL_GAP: Duration = Duration::from_millis(25);

/// How the controller acts on refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Limits requests while the engine refuses.
    Balanced,
    /// Counts refusals and never limits.
    Legacy,
}

/// How badly the engine pushes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// No refusal for a while.
    Healthy,
    /// Refusals happened lately.
    Soft,
    /// Refusals keep coming.
    Severe,
}

impl Severity {
    /// The word that status uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Soft => "soft",
            Self::Severe => "severe",
        }
    }
}

/// Answer to a request for a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquire {
    /// The permit is taken; the number is how many are in use with it.
    Granted(u32),
    /// Ask again after the next change, and at `until` at the latest.
    Wait {
        /// When a permit may be had although nothing changed.
        until: Duration,
    },
}

/// The controller of one engine. All times are durations since one arbitrary origin.
#[derive(Clone, Debug)]
pub struct Permits {
    profile: Profile,
    cap: Option<u32>,
    in_use: u32,
    severity: Severity,
    consecutive: u32,
    refusals: u64,
    refused_cap: Option<u32>,
    last_refusal: Duration,
    last_cut: Option<Duration>,
    last_check: Duration,
    last_grant: Duration,
    healthy_since: Option<Duration>,
    backoff: Duration,
    not_before: Duration,
    probe_wait: Duration,
    random: u64,
}

impl Permits {
    /// A controller without a cap. `seed` makes its jitter repeatable.
    pub fn new(profile: Profile, seed: u64) -> Self {
        Self {
            profile,
            cap: None,
            in_use: 0,
            severity: Severity::Healthy,
            consecutive: 0,
            refusals: 0,
            refused_cap: None,
            last_refusal: Duration::ZERO,
            last_cut: None,
            last_check: Duration::ZERO,
            last_grant: Duration::ZERO,
            healthy_since: None,
            backoff: Duration::ZERO,
            not_before: Duration::ZERO,
            probe_wait: PROBE_AFTER,
            random: seed,
        }
    }

    /// Take a permit, or learn when to ask again. Permits count while there is no cap, too.
    pub fn try_acquire(&mut self, now: Duration) -> Acquire {
        self.try_acquire_by(now, Duration::MAX)
    }

    /// The same, and from `urgent_at` on a permit is granted whatever the cap: for what must not wait longer.
    pub fn try_acquire_by(&mut self, now: Duration, urgent_at: Duration) -> Acquire {
        let Some(cap) = self.cap else { return self.grant(now) };
        if now >= urgent_at {
            return self.grant(now);
        }
        if now < self.not_before {
            return Acquire::Wait { until: self.not_before.min(urgent_at) };
        }
        let probe_at = self.last_grant.saturating_add(self.probe_wait);
        if self.in_use < cap || now >= probe_at {
            self.grant(now)
        } else {
            Acquire::Wait { until: probe_at.min(urgent_at) }
        }
    }

    /// Give a permit back: its request was answered, parked or dropped.
    pub fn release(&mut self) {
        debug_assert!(self.in_use > 0, "more permits released than granted");
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// So many permits are out, whatever was counted.
    pub fn correct(&mut self, in_use: u32) {
        self.in_use = in_use;
    }

    /// The engine answered a gated request without pushing back.
    pub fn on_success(&mut self, now: Duration) {
        self.backoff = Duration::ZERO;
        self.not_before = Duration::ZERO;
        if now.saturating_sub(self.last_check) < CHECK_EVERY {
            return;
        }
        self.last_check = now;
        self.decay(now);
        if self.cap.is_some() {
            self.grow(now);
        }
    }

    /// The engine refused a gated request because it has too much to do.
    pub fn on_backpressure(&mut self, now: Duration) {
        self.count_refusal();
        self.last_refusal = now;
        self.healthy_since = None;
        if self.last_cut.is_some_and(|cut| now.saturating_sub(cut) < REACTION) {
            return;
        }
        self.last_cut = Some(now);
        self.consecutive = self.consecutive.saturating_add(1);
        self.severity = if self.consecutive >= SEVERE_AFTER { Severity::Severe } else { Severity::Soft };
        if self.profile == Profile::Balanced {
            self.cut(now);
        }
    }

    /// The engine refused a gated request, and others make room for it.
    pub fn count_refusal(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
    }

    /// The most requests that may be on their way, None while there is no limit.
    pub fn cap(&self) -> Option<u32> {
        self.cap
    }

    /// Permits taken and not yet released.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// How badly the engine pushes back.
    pub fn state(&self) -> Severity {
        self.severity
    }

    /// Refusals seen so far.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }

    /// The share of its usual number of jobs that a poll asks for, in (0, 1]. Polls alone do not load an
    /// engine: the outcomes of what they bring do, and those are never held up.
    pub fn batch_scale(&self) -> f32 {
        let cap = self.cap.unwrap_or(INITIAL_CAP).min(INITIAL_CAP);
        f32::from(u8::try_from(cap).unwrap_or(u8::MAX)) / 16.0
    }

    /// The time to leave between the starts of two polls; zero at the initial cap and above.
    pub fn poll_gap(&self) -> Duration {
        match self.cap {
            Some(cap) if cap < INITIAL_CAP => POLL_GAP.saturating_mul(INITIAL_CAP / cap.max(FLOOR) - 1),
            _ => Duration::ZERO,
        }
    }

    fn grant(&mut self, now: Duration) -> Acquire {
        self.in_use = self.in_use.saturating_add(1);
        self.last_grant = now;
        if !self.backoff.is_zero() {
            self.not_before = now.saturating_add(self.jittered(self.backoff));
        }
        self.probe_wait = self.jittered(PROBE_AFTER);
        Acquire::Granted(self.in_use)
    }

    fn cut(&mut self, now: Duration) {
        let before = self.cap.unwrap_or(INITIAL_CAP);
        self.refused_cap = self.cap;
        let percent = if self.severity == Severity::Severe { SEVERE_PERCENT } else { SOFT_PERCENT };
        let after = scaled(before, percent).max(FLOOR);
        // Rounding up alone would hold small caps where they are: a cut cuts by one at least.
        let after = if after == before && before > FLOOR { before - 1 } else { after };
        self.cap = Some(after);
        if after == FLOOR && self.severity == Severity::Severe {
            self.backoff = (self.backoff * 2).clamp(BACKOFF_START, BACKOFF_MAX);
            self.not_before = now.saturating_add(self.jittered(self.backoff));
        }
    }

    fn decay(&mut self, now: Duration) {
        if now.saturating_sub(self.last_refusal) <= QUIET_FOR_DECAY {
            return;
        }
        match self.severity {
            Severity::Severe => self.severity = Severity::Soft,
            Severity::Soft => {
                self.severity = Severity::Healthy;
                self.consecutive = 0;
                self.healthy_since = Some(now);
            }
            Severity::Healthy => {}
        }
    }

    fn grow(&mut self, now: Duration) {
        let Some(cap) = self.cap else { return };
        if self.severity != Severity::Healthy {
            self.cap = Some(cap.max(cap.saturating_add(1).min(INITIAL_CAP)));
            return;
        }
        if self.healthy_since.is_some_and(|since| now.saturating_sub(since) >= UNLIMITED_AFTER) {
            self.cap = None;
            self.refused_cap = None;
            return;
        }
        let fast = scaled(cap, HEALTHY_PERCENT);
        let next = match self.refused_cap {
            Some(refused) if cap > refused => fast,
            Some(refused) => fast.min(scaled(refused, CAUTION_PERCENT)).max(cap.saturating_add(1)),
            None => fast,
        };
        self.cap = Some(next);
    }

    /// `around` times a random factor in [0.75, 1.25), so that hosts that were refused together part.
    fn jittered(&mut self, around: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let fraction = u32::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap_or(0);
        around.mul_f64(0.75 + 0.5 * f64::from(fraction) / f64::from(1u32 << 31))
    }
}

/// `percent` of `cap`, rounded up.
fn scaled(cap: u32, percent: u64) -> u32 {
    u32::try_from((u64::from(cap) * percent).div_ceil(100)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
