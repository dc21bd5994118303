//! How many outcome connections are worth having. Pure: answers go in, a limit comes out.

use std::time::Duration;

/// Fewer make the wake-ups dominate; more gain nothing on a near engine.
const FEWEST: usize = 8;

/// Twice the connections must settle at least this much more, or the engine is what limits.
const WORTHWHILE: f64 = 1.25;

/// After growth did not help, it is tried again this much later.
const HOLD: Duration = Duration::from_secs(5);

/// A window shorter than this says nothing.
const WINDOW: Duration = Duration::from_millis(20);

/// Doubles the number of connections while outcomes wait and doubling settles more of them.
pub(crate) struct Sizer {
    limit: usize,
    most: usize,
    answers: u32,
    since: Duration,
    starved: bool,
    grown_from: Option<(usize, f64)>,
    hold_until: Duration,
}

impl Sizer {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            limit: FEWEST.min(most.max(1)),
            most: most.max(1),
            answers: 0,
            since: Duration::ZERO,
            starved: true,
            grown_from: None,
            hold_until: Duration::ZERO,
        }
    }

    /// The number of connections that may be open.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Takes in one answer, and how many outcomes wait for a connection.
    pub(crate) fn answered(&mut self, waiting: usize, now: Duration) {
        if self.answers == 0 {
            (self.since, self.starved) = (now, true);
        }
        self.answers += 1;
        self.starved &= waiting > 0;
        let span = now.saturating_sub(self.since);
        if span < WINDOW || (self.answers as usize) < 2 * self.limit {
            return;
        }
        let rate = f64::from(self.answers) / span.as_secs_f64();
        self.answers = 0;
        if self.starved {
            self.decide(rate, now);
        } else {
            self.grown_from = None;
        }
    }

    fn decide(&mut self, rate: f64, now: Duration) {
        if let Some((before, rate_before)) = self.grown_from.take()
            && rate < rate_before * WORTHWHILE
        {
            self.limit = before;
            self.hold_until = now + HOLD;
            return;
        }
        if now >= self.hold_until && self.limit < self.most {
            self.grown_from = Some((self.limit, rate));
            self.limit = (self.limit * 2).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs an engine that answers each request after `latency_ms`, but at most `ceiling` a second in all.
    fn run(sizer: &mut Sizer, latency_ms: f64, ceiling: f64, seconds: f64) {
        let mut now = 1.0;
        while now < 1.0 + seconds {
            let rate = (sizer.limit() as f64 * 1000.0 / latency_ms).min(ceiling);
            now += 1.0 / rate;
            sizer.answered(100, Duration::from_secs_f64(now));
        }
    }

    #[test]
    fn a_distant_engine_gets_all_the_connections() {
        let mut sizer = Sizer::new(512);
        run(&mut sizer, 25.0, f64::INFINITY, 1.0);
        assert_eq!(sizer.limit(), 512);
    }

    #[test]
    fn an_engine_at_its_limit_keeps_a_few() {
        let mut sizer = Sizer::new(512);
        run(&mut sizer, 0.1, 60_000.0, 4.0);
        assert_eq!(sizer.limit(), FEWEST);
    }

    #[test]
    fn nothing_grows_while_nothing_waits() {
        let mut sizer = Sizer::new(512);
        for step in 0..10_000u64 {
            sizer.answered(0, Duration::from_micros(1_000_000 + step * 100));
        }
        assert_eq!(sizer.limit(), FEWEST);
    }
}
