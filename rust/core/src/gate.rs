//! The gate of credentials: what a 401 means for everything else that would go out with the same header. Sans-I/O:
//! time goes in, decisions come out.
//!
//! One refusal of a header that was never accepted speaks for all requests with it; of one that was accepted a moment
//! before, only several in a row do, as one gateway of many may be wrong. Then all requests wait: for another header,
//! which opens the gate at once, or for a pause, after which one request at a time tries whether the header is accepted
//! again.

use std::time::Duration;

/// A refusal comes at once; when all tries of so long stay without one, the header was accepted, or they are held polls.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// A try that has no answer by then may never have one: another takes its turn. Leases must not end behind it.
const NEXT_PROBE: Duration = Duration::from_millis(100);

/// What may be held by the engine, and so tells little, lets commands try first.
const POLLS_LATER: Duration = Duration::from_millis(50);

/// Refusals in a row that say nothing yet of a header that was accepted before them.
pub(crate) const TRUST: u32 = 8;

/// Whether a request may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Send it.
    Free,
    /// Ask again at this time, or when the header has changed.
    Wait(Duration),
}

/// What asks for passage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    Command,
    Poll,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// For this request alone: others are accepted with the same header.
    Alone,
    /// For all with this header, and that is news.
    News,
    /// What is known already.
    Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Held { until: Duration },
    Probing { next: Duration, until: Duration },
}

/// Counts headers and their refusals.
#[derive(Debug)]
pub(crate) struct Gate {
    state: State,
    header: u64,
    refusals: u32,
    trust: u32,
}

impl Gate {
    /// A gate that is open, or one that waits for the first header.
    pub(crate) fn new(awaits_header: bool) -> Self {
        let state = if awaits_header { State::Held { until: Duration::MAX } } else { State::Open };
        Self { state, header: 0, refusals: 0, trust: 0 }
    }

    /// The number of the header that requests carry now: 0 for the one of the settings, then one more for each new one.
    pub(crate) fn header(&self) -> u64 {
        self.header
    }

    /// How often the gate has closed since the engine last accepted a header.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Asks for passage. After each pause the answer is yes for one request, and for another each time that none of
    /// them has an answer after a while.
    pub(crate) fn ask(&mut self, now: Duration, asker: Asker) -> Passage {
        let later = if asker == Asker::Poll { POLLS_LATER } else { Duration::ZERO };
        let (turn, until) = match self.state {
            State::Open => return Passage::Free,
            State::Held { until } => (until, None),
            State::Probing { next, until } => (next, Some(until)),
        };
        if until.is_some_and(|until| now >= until) {
            self.state = State::Open;
            return Passage::Free;
        }
        let turn = turn.saturating_add(later);
        if now < turn {
            return Passage::Wait(turn);
        }
        self.state = State::Probing { next: now + NEXT_PROBE, until: until.unwrap_or(now + PROBE_LIMIT) };
        Passage::Free
    }

    /// The engine refused a request with this header. Unless that is for this one alone, everything waits for `pause`.
    pub(crate) fn refused(&mut self, header: u64, now: Duration, pause: Duration) -> Refused {
        if header != self.header || matches!(self.state, State::Held { .. }) {
            return Refused::Known;
        }
        if self.is_open() && self.trust > 0 {
            self.trust -= 1;
            return Refused::Alone;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.state = State::Held { until: now + pause };
        Refused::News
    }

    /// The engine took a request with this header. True when the gate opens by that.
    pub(crate) fn accepted(&mut self, header: u64) -> bool {
        if header != self.header {
            return false;
        }
        self.refusals = 0;
        self.trust = TRUST;
        let probed = matches!(self.state, State::Probing { .. });
        if probed {
            self.state = State::Open;
        }
        probed
    }

    /// Requests carry another header from now on.
    pub(crate) fn renewed(&mut self) {
        self.header += 1;
        self.trust = 0;
        self.state = State::Open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const COMMAND: Asker = Asker::Command;

    fn closed() -> Gate {
        let mut gate = Gate::new(false);
        assert_eq!(gate.refused(0, SECOND, SECOND), Refused::News);
        gate
    }

    #[test]
    fn one_refusal_holds_everything_and_is_news_once() {
        let mut gate = closed();
        assert_eq!(gate.refused(0, SECOND, SECOND), Refused::Known, "the others were on their way already");
        assert_eq!(gate.ask(SECOND, COMMAND), Passage::Wait(2 * SECOND));
        assert_eq!(gate.refusals(), 1);
    }

    #[test]
    fn a_header_that_was_accepted_is_doubted_only_after_several_refusals_in_a_row() {
        let mut gate = Gate::new(false);
        for _ in 0..2 {
            gate.accepted(0);
            for _ in 0..TRUST {
                assert_eq!(gate.refused(0, SECOND, SECOND), Refused::Alone);
                assert_eq!(gate.ask(SECOND, COMMAND), Passage::Free);
            }
        }
        assert_eq!(gate.refused(0, SECOND, SECOND), Refused::News);
        assert_eq!(gate.ask(SECOND, COMMAND), Passage::Wait(2 * SECOND));
    }

    #[test]
    fn another_header_opens_at_once_and_late_refusals_of_the_old_one_do_not_close() {
        let mut gate = closed();
        gate.renewed();
        assert_eq!(gate.ask(SECOND, COMMAND), Passage::Free);
        assert_eq!(gate.refused(0, SECOND, SECOND), Refused::Known);
        assert!(gate.is_open() && gate.header() == 1);
    }

    #[test]
    fn another_header_is_not_trusted_for_the_sake_of_the_old_one() {
        let mut gate = Gate::new(false);
        gate.accepted(0);
        gate.renewed();
        assert_eq!(gate.refused(1, SECOND, SECOND), Refused::News);
    }

    #[test]
    fn after_a_pause_a_single_request_tries_again() {
        let mut gate = closed();
        assert_eq!(gate.ask(2 * SECOND, COMMAND), Passage::Free);
        assert_eq!(gate.ask(2 * SECOND, COMMAND), Passage::Wait(2 * SECOND + NEXT_PROBE));
        assert_eq!(gate.refused(0, 2 * SECOND, SECOND), Refused::News, "a refused try is news again");
        assert_eq!(gate.refusals(), 2);
        assert_eq!(gate.ask(2 * SECOND, COMMAND), Passage::Wait(3 * SECOND));
    }

    #[test]
    fn a_try_without_an_answer_lets_another_take_its_turn() {
        let mut gate = closed();
        let mut time = 2 * SECOND;
        for _ in 0..3 {
            assert_eq!(gate.ask(time, COMMAND), Passage::Free);
            assert_eq!(gate.ask(time, COMMAND), Passage::Wait(time + NEXT_PROBE));
            time += NEXT_PROBE;
        }
        assert!(gate.accepted(0), "any of them opens");
    }

    #[test]
    fn polls_try_only_when_no_command_does() {
        let mut gate = closed();
        assert_eq!(gate.ask(2 * SECOND, Asker::Poll), Passage::Wait(2 * SECOND + POLLS_LATER));
        assert_eq!(gate.ask(2 * SECOND, COMMAND), Passage::Free);
        let later = 2 * SECOND + NEXT_PROBE + POLLS_LATER;
        assert_eq!(gate.ask(2 * SECOND + NEXT_PROBE, Asker::Poll), Passage::Wait(later));
        assert_eq!(gate.ask(later, Asker::Poll), Passage::Free);
    }

    #[test]
    fn an_accepted_try_opens_and_forgets_the_refusals() {
        let mut gate = closed();
        gate.ask(2 * SECOND, COMMAND);
        assert!(gate.accepted(0));
        assert!(gate.is_open() && gate.refusals() == 0);
    }

    #[test]
    fn an_answer_to_an_older_request_does_not_open() {
        let mut gate = closed();
        assert!(!gate.accepted(0));
        assert!(!gate.is_open());
    }

    #[test]
    fn tries_that_are_held_count_as_accepted() {
        let mut gate = closed();
        gate.ask(2 * SECOND, COMMAND);
        assert_eq!(gate.ask(2 * SECOND + PROBE_LIMIT, COMMAND), Passage::Free);
        assert!(gate.is_open());
    }

    #[test]
    fn nothing_goes_out_before_the_first_header_that_was_promised() {
        let mut gate = Gate::new(true);
        assert_eq!(gate.ask(SECOND, Asker::Poll), Passage::Wait(Duration::MAX));
        gate.renewed();
        assert_eq!(gate.ask(SECOND, COMMAND), Passage::Free);
    }
}
