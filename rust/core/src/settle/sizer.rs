//! How many outcome connections are worth having. Pure: answers go in, a limit comes out.
//!
//! The measure is what fills the path: the rate of answers times the quickest answer of late. An engine that is
//! far away answers all alike, so twice the connections settle twice as much and the product grows with them; an
//! engine at its limit still answers some quickly, so the product stays small however long the others wait.
//!
//! An engine that refuses outcomes because too many come at once is believed: the limit falls, stays a little under
//! what was refused, and feels its way up from there.

use std::time::Duration;

/// Fewer make the wake-ups dominate.
const FEWEST: usize = 8;

/// Up to here growth needs no proof: with many answers at a time each wake-up carries more of them.
const UNPROVEN: usize = 32;

/// The same where requests share connections. Fewer would all be in the hands of one side at a time, while the other
/// side waits for them; and a stream costs next to nothing.
const UNPROVEN_STREAMS: usize = 128;

/// Connections per request that the path holds; what is above one lets the rate grow.
const GAIN: f64 = 2.0;

/// A window shorter than this says nothing.
const WINDOW: Duration = Duration::from_millis(20);

/// Outcomes refused together are one piece of news.
const REACTION: Duration = Duration::from_millis(100);

/// What a refusal leaves of the limit, in percent: of one that was too high by far, and of one near the bound.
const FAR_PERCENT: usize = 70;
const NEAR_PERCENT: usize = 90;

/// After a refusal the limit grows by one in this time.
const STEP_EVERY: Duration = Duration::from_secs(1);

/// A refusal is forgotten after this time.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// The quickest answer counts for this long.
const MEMORY: Duration = Duration::from_secs(5);

/// Doubles the number of connections while outcomes wait and the path can hold more requests.
pub(crate) struct Sizer {
    limit: usize,
    most: usize,
    unproven: usize,
    answers: u32,
    since: Duration,
    starved: bool,
    quickest: Duration,
    quickest_before: Duration,
    turned: Duration,
    refusal: Option<Refusal>,
}

/// The latest refusal that the limit answered.
#[derive(Clone, Copy)]
struct Refusal {
    /// The limit that was too high.
    limit: usize,
    at: Duration,
    stepped: Duration,
}

impl Sizer {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            limit: FEWEST.min(most.max(1)),
            most: most.max(1),
            unproven: UNPROVEN,
            answers: 0,
            since: Duration::ZERO,
            starved: true,
            quickest: Duration::MAX,
            quickest_before: Duration::MAX,
            turned: Duration::ZERO,
            refusal: None,
        }
    }

    /// The number of connections that may be open.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the requests share connections.
    pub(crate) fn shares(&mut self, shared: bool) {
        self.unproven = if shared { UNPROVEN_STREAMS } else { UNPROVEN };
    }

    /// The engine refused an outcome because too many came at once.
    pub(crate) fn refused(&mut self, now: Duration) {
        if self.refusal.is_some_and(|last| now.saturating_sub(last.at) < REACTION) {
            return;
        }
        // The second refusal at about the same limit tells where the bound is.
        let near = self.refusal.is_some_and(|last| self.limit <= last.limit * 11 / 10);
        let percent = if near { NEAR_PERCENT } else { FAR_PERCENT };
        self.refusal = Some(Refusal { limit: self.limit, at: now, stepped: now });
        self.limit = (self.limit * percent / 100).max(1);
        self.answers = 0;
    }

    /// The engine refused a poll. Where it refuses outcomes as well, there are too many of those: fewer make room for
    /// the poll, and this is true. Polls that yield instead would leave the workers without jobs, and the outcomes would
    /// go on to fill the engine.
    pub(crate) fn makes_room(&mut self, now: Duration) -> bool {
        let makes_room = self.refusal.is_some() && self.limit > FEWEST;
        if makes_room {
            self.refused(now);
        }
        makes_room
    }

    /// One step up, while a refusal is remembered.
    fn feel_up(&mut self, mut last: Refusal, now: Duration) {
        if now.saturating_sub(last.at) >= FORGET_AFTER {
            self.refusal = None;
        } else if self.starved && now.saturating_sub(last.stepped) >= STEP_EVERY {
            last.stepped = now;
            self.refusal = Some(last);
            self.limit = (self.limit + 1).min(self.most);
        }
    }

    /// Takes in one answer, how long it took, and how many outcomes wait for a connection.
    pub(crate) fn answered(&mut self, latency: Duration, waiting: usize, now: Duration) {
        if self.answers == 0 {
            (self.since, self.starved) = (now, true);
        }
        self.answers += 1;
        self.starved &= waiting > 0;
        self.quickest = self.quickest.min(latency);
        let span = now.saturating_sub(self.since);
        if span < WINDOW || (self.answers as usize) < 2 * self.limit {
            return;
        }
        if let Some(last) = self.refusal {
            self.feel_up(last, now);
            self.answers = 0;
            return;
        }
        let rate = f64::from(self.answers) / span.as_secs_f64();
        self.answers = 0;
        let quickest = self.quickest.min(self.quickest_before);
        let held = (rate * quickest.as_secs_f64() * GAIN).ceil() as usize;
        if self.starved && self.limit < held.max(self.unproven) {
            self.limit = (self.limit * 2).min(self.most);
        } else if self.limit > self.unproven && held < self.limit / 4 {
            self.limit = (self.limit / 2).max(self.unproven);
        }
        if now.saturating_sub(self.turned) > MEMORY {
            self.turned = now;
            self.quickest_before = std::mem::replace(&mut self.quickest, Duration::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs an engine that answers each request after `latency_ms`, but at most `ceiling` a second in all; beyond
    /// that the answers wait in a queue, all but every fiftieth.
    fn run(sizer: &mut Sizer, latency_ms: f64, ceiling: f64, seconds: f64) {
        let (mut now, mut count) = (1.0, 0u64);
        while now < 1.0 + seconds {
            let possible = sizer.limit() as f64 * 1000.0 / latency_ms;
            let rate = possible.min(ceiling);
            now += 1.0 / rate;
            count += 1;
            let queued = if count.is_multiple_of(50) { 1.0 } else { possible / rate };
            let latency = Duration::from_secs_f64(latency_ms * queued / 1000.0);
            sizer.answered(latency, 100, Duration::from_secs_f64(now));
        }
    }

    #[test]
    fn a_distant_engine_gets_all_the_connections() {
        let mut sizer = Sizer::new(512);
        run(&mut sizer, 25.0, f64::INFINITY, 1.5);
        assert_eq!(sizer.limit(), 512);
    }

    #[test]
    fn an_engine_at_its_limit_keeps_a_few() {
        let mut sizer = Sizer::new(512);
        run(&mut sizer, 0.2, 60_000.0, 4.0);
        assert_eq!(sizer.limit(), UNPROVEN);
    }

    #[test]
    fn streams_of_a_near_engine_are_enough_for_both_sides_to_have_some() {
        let mut sizer = Sizer::new(512);
        sizer.shares(true);
        run(&mut sizer, 0.2, 60_000.0, 0.5);
        assert_eq!(sizer.limit(), UNPROVEN_STREAMS);
        // The engine speaks HTTP/1.1 from now on.
        sizer.shares(false);
        run(&mut sizer, 0.1, 60_000.0, 2.0);
        assert_eq!(sizer.limit(), UNPROVEN);
    }

    #[test]
    fn connections_are_given_up_when_the_engine_comes_near() {
        let mut sizer = Sizer::new(512);
        run(&mut sizer, 25.0, f64::INFINITY, 1.5);
        run(&mut sizer, 0.1, 60_000.0, 1.0);
        assert_eq!(sizer.limit(), UNPROVEN);
    }

    /// A closed loop of the limit's connections against an engine that answers after 20 ms and refuses more than
    /// `bound` at once; the shares of refusals and of the best possible rate, over the last half of the time.
    fn against(sizer: &mut Sizer, bound: usize, seconds: u64) -> (f64, f64) {
        let (mut good, mut bad, mut turn) = (0u64, 0u64, 0u64);
        let turns = seconds * 50;
        while turn < turns {
            turn += 1;
            let now = Duration::from_millis(1_000 + turn * 20);
            let asked = sizer.limit();
            let taken = asked.min(bound);
            for _ in 0..taken {
                sizer.answered(Duration::from_millis(20), 100, now);
            }
            for _ in taken..asked {
                sizer.refused(now);
            }
            if turn > turns / 2 {
                good += taken as u64;
                bad += (asked - taken) as u64;
            }
        }
        let best = (turns - turns / 2) * bound as u64;
        (bad as f64 / (good + bad) as f64, good as f64 / best as f64)
    }

    #[test]
    fn an_engine_that_refuses_many_at_once_is_kept_just_busy() {
        for bound in [3, 10, 40, 200] {
            let mut sizer = Sizer::new(512);
            run(&mut sizer, 25.0, f64::INFINITY, 1.5);
            let (refused, rate) = against(&mut sizer, bound, 40);
            assert!(refused < 0.02, "{refused} at {bound}");
            assert!(rate > 0.85 || bound < 5, "{rate} at {bound}");
            assert!(rate > 0.6, "{rate} at {bound}");
        }
    }

    #[test]
    fn outcomes_make_room_for_a_refused_poll_where_they_are_refused_too() {
        let mut sizer = Sizer::new(512);
        run(&mut sizer, 25.0, f64::INFINITY, 1.5);
        let at = Duration::from_secs;
        assert!(!sizer.makes_room(at(3)), "an engine may refuse polls alone");
        assert_eq!(sizer.limit(), 512);
        sizer.refused(at(4));
        assert_eq!(sizer.limit(), 358);
        assert!(sizer.makes_room(at(4)), "it is the same piece of news");
        assert_eq!(sizer.limit(), 358);
        let often = (5..100).take_while(|second| sizer.makes_room(at(*second))).count();
        assert!((10..50).contains(&often), "{often} times, until it cannot be the outcomes");
        assert!(sizer.limit() <= FEWEST);
    }

    #[test]
    fn a_refusal_is_forgotten_in_time() {
        let mut sizer = Sizer::new(512);
        run(&mut sizer, 25.0, f64::INFINITY, 1.5);
        sizer.refused(Duration::from_secs(3));
        assert_eq!(sizer.limit(), 358);
        run(&mut sizer, 25.0, f64::INFINITY, 60.0);
        assert_eq!(sizer.limit(), 512);
    }

    #[test]
    fn nothing_grows_while_nothing_waits() {
        let mut sizer = Sizer::new(512);
        for step in 0..10_000u64 {
            sizer.answered(Duration::from_millis(1), 0, Duration::from_micros(1_000_000 + step * 100));
        }
        assert_eq!(sizer.limit(), FEWEST);
    }
}
