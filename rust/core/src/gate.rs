//! The gate of credentials: what a 401 means for everything else that would go out with the same header. Sans-I/O:
//! time goes in, decisions come out.
//!
//! One refusal speaks for all requests with that header, so they wait: for another header, which opens the gate at
//! once, or for a pause, after which one request tries whether the header is accepted again.

use std::time::Duration;

/// A refusal comes at once; a request without one for so long was accepted, or is a held poll.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// Whether a request may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Send it.
    Free,
    /// Ask again at this time, or when the header has changed.
    Wait(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Held { until: Duration },
    Probing { until: Duration },
}

/// Counts headers and their refusals.
#[derive(Debug)]
pub(crate) struct Gate {
    state: State,
    header: u64,
    refusals: u32,
}

impl Gate {
    /// A gate that is open, or one that waits for the first header.
    pub(crate) fn new(awaits_header: bool) -> Self {
        let state = if awaits_header { State::Held { until: Duration::MAX } } else { State::Open };
        Self { state, header: 0, refusals: 0 }
    }

    /// The number of the header that requests carry now: 0 for the one of the settings, then one more for each new one.
    pub(crate) fn header(&self) -> u64 {
        self.header
    }

    /// Refusals since the engine last accepted a header.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Asks for passage. Once after each pause the answer is yes for a single request.
    pub(crate) fn ask(&mut self, now: Duration) -> Passage {
        match self.state {
            State::Open => Passage::Free,
            State::Held { until } | State::Probing { until } if now < until => Passage::Wait(until),
            State::Held { .. } => {
                self.state = State::Probing { until: now + PROBE_LIMIT };
                Passage::Free
            }
            State::Probing { .. } => {
                self.state = State::Open;
                Passage::Free
            }
        }
    }

    /// The engine refused a request with this header; everything waits for `pause`. True when that is news.
    pub(crate) fn refused(&mut self, header: u64, now: Duration, pause: Duration) -> bool {
        if header != self.header || matches!(self.state, State::Held { .. }) {
            return false;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.state = State::Held { until: now + pause };
        true
    }

    /// The engine took a request with this header. True when the gate opens by that.
    pub(crate) fn accepted(&mut self, header: u64) -> bool {
        if header != self.header {
            return false;
        }
        self.refusals = 0;
        let probed = matches!(self.state, State::Probing { .. });
        if probed {
            self.state = State::Open;
        }
        probed
    }

    /// Requests carry another header from now on.
    pub(crate) fn renewed(&mut self) {
        self.header += 1;
        self.state = State::Open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_refusal_holds_everything_and_is_news_once() {
        let mut gate = Gate::new(false);
        assert!(gate.refused(0, SECOND, SECOND));
        assert!(!gate.refused(0, SECOND, SECOND), "the others were on their way already");
        assert_eq!(gate.ask(SECOND), Passage::Wait(2 * SECOND));
        assert_eq!(gate.refusals(), 1);
    }

    #[test]
    fn another_header_opens_at_once_and_late_refusals_of_the_old_one_do_not_close() {
        let mut gate = Gate::new(false);
        gate.refused(0, SECOND, SECOND);
        gate.renewed();
        assert_eq!(gate.ask(SECOND), Passage::Free);
        assert!(!gate.refused(0, SECOND, SECOND));
        assert!(gate.is_open() && gate.header() == 1);
    }

    #[test]
    fn after_a_pause_a_single_request_tries_again() {
        let mut gate = Gate::new(false);
        gate.refused(0, SECOND, SECOND);
        assert_eq!(gate.ask(2 * SECOND), Passage::Free);
        assert_eq!(gate.ask(2 * SECOND), Passage::Wait(2 * SECOND + PROBE_LIMIT));
        assert!(gate.refused(0, 2 * SECOND, SECOND), "a refused try is news again");
        assert_eq!(gate.refusals(), 2);
        assert_eq!(gate.ask(2 * SECOND), Passage::Wait(3 * SECOND));
    }

    #[test]
    fn an_accepted_try_opens_and_forgets_the_refusals() {
        let mut gate = Gate::new(false);
        gate.refused(0, SECOND, SECOND);
        gate.ask(2 * SECOND);
        assert!(gate.accepted(0));
        assert!(gate.is_open() && gate.refusals() == 0);
    }

    #[test]
    fn an_answer_to_an_older_request_does_not_open() {
        let mut gate = Gate::new(false);
        gate.refused(0, SECOND, SECOND);
        assert!(!gate.accepted(0));
        assert!(!gate.is_open());
    }

    #[test]
    fn a_try_that_is_held_counts_as_accepted() {
        let mut gate = Gate::new(false);
        gate.refused(0, SECOND, SECOND);
        gate.ask(2 * SECOND);
        assert_eq!(gate.ask(2 * SECOND + PROBE_LIMIT), Passage::Free);
        assert!(gate.is_open());
    }

    #[test]
    fn nothing_goes_out_before_the_first_header_that_was_promised() {
        let mut gate = Gate::new(true);
        assert_eq!(gate.ask(SECOND), Passage::Wait(Duration::MAX));
        gate.renewed();
        assert_eq!(gate.ask(SECOND), Passage::Free);
    }
}
