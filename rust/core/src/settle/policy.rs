//! What follows from an answer, or from the lack of one, to a command on a job. Pure: time is an argument.

use std::time::Duration;

use crate::engine::{Command, Verdict};
use crate::link::Outcome;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An answer that takes less than this is not late.
const LEAST_PATIENCE: Duration = Duration::from_millis(250);

/// The completion of finished work waits so long for the engine's next answer, even after the lease's end.
const LATE_GRACE: Duration = Duration::from_secs(60);

/// Tries after which an error that looks transient is taken for permanent.
const STUBBORN_TRIES: u32 = 8;

/// On which terms a job is held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// When the lease ends.
    pub(crate) end: Duration,
    /// Whether its commands carry a token, so that none of them can hit the next holder.
    pub(crate) fenced: bool,
    /// Whether finished work is told of after the lease's end.
    pub(crate) late: bool,
}

/// How a command went.
#[derive(Debug)]
pub(crate) enum Result {
    /// The engine, or something on the way to it, answered.
    Answered(Verdict),
    /// The request never left.
    Unsent,
    /// The request left and nothing came back.
    Unanswered,
}

/// The history of one command.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct History {
    /// Tries so far, the latest included.
    pub(crate) tries: u32,
    /// Beside them, tries whose credentials were refused: they had no effect and count as never sent.
    pub(crate) refused: u32,
    /// When it was first sent.
    pub(crate) first_sent: Option<Duration>,
    /// An earlier try may have had its effect.
    pub(crate) doubtful: bool,
    /// The engine does not know tokens: the next try goes without.
    pub(crate) without_token: bool,
    /// How many of the latest answers, without another between them, were errors that retrying may not mend.
    pub(crate) hopeless: u32,
    /// How many of them, without another between them, refused the command for what it holds.
    pub(crate) rejected: u32,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The engine has taken it.
    Done,
    /// The job is no longer this fleet's.
    Lost,
    /// Send it again after this pause.
    Retry(Duration),
    /// The lease ended first: nothing more is sent, the engine gives the job out again.
    Expired,
    /// It may have been taken, and repeating it could hit the next holder of the job.
    Unconfirmed,
    /// The engine will never take it, in these words.
    Rejected(String),
    /// It cannot be delivered and nothing else can either, in these words.
    Undeliverable(String),
}

/// Decides what follows. `history` tells about the tries before and including this one.
pub(crate) fn next(
    command: &Command,
    result: Result,
    history: &mut History,
    terms: Terms,
    now: Duration,
) -> Next {
    let pause = pause(history.tries);
    let rejected = matches!(result, Result::Answered(Verdict::Rejected { .. }));
    let hopeless = rejected || matches!(result, Result::Answered(Verdict::Stubborn(_)));
    history.rejected = if rejected { history.rejected + 1 } else { 0 };
    history.hopeless = if hopeless { history.hopeless + 1 } else { 0 };
    match result {
        Result::Answered(Verdict::Done) => Next::Done,
        Result::Answered(Verdict::Final) if history.doubtful => Next::Done,
        Result::Answered(Verdict::Final) => Next::Lost,
        Result::Answered(Verdict::Rejected { words, certain_after }) => {
            if history.rejected >= certain_after {
                return Next::Rejected(words);
            }
            unless_expired(command, history, pause, terms, now)
        }
        Result::Answered(Verdict::Stubborn(words)) if history.hopeless >= STUBBORN_TRIES => {
            Next::Undeliverable(words)
        }
        Result::Answered(Verdict::TokenUnknown(words)) if history.without_token => Next::Rejected(words),
        Result::Answered(Verdict::TokenUnknown(_)) => {
            history.without_token = true;
            unless_expired(command, history, Duration::ZERO, terms, now)
        }
        Result::Answered(Verdict::Ambiguous(_)) | Result::Unanswered => {
            history.doubtful = true;
            repeat_doubtful(command, history, pause, terms, now)
        }
        Result::Answered(_) | Result::Unsent => unless_expired(command, history, pause, terms, now),
    }
}

/// Whether a command may still go out.
pub(crate) fn may_send(command: &Command, history: &History, terms: Terms, now: Duration) -> bool {
    now < terms.end || goes_out_late(command, history, terms)
}

/// Until when waiting for permission to send it makes sense.
pub(crate) fn useful_until(command: &Command, history: &History, terms: Terms, now: Duration) -> Duration {
    if goes_out_late(command, history, terms) { late_until(history, terms, now) } else { terms.end }
}

/// A late completion of a job that nobody activated again is still taken, and repeats no work. Without a token it goes
/// out only if none before it can have been taken: nobody else completes a job that is completed already.
fn goes_out_late(command: &Command, history: &History, terms: Terms) -> bool {
    let finished = matches!(command, Command::Settle(Outcome::Complete { .. }));
    finished && terms.late && (terms.fenced || !history.doubtful)
}

/// Work that was finished after its lease's end has the same time as other work.
fn late_until(history: &History, terms: Terms, now: Duration) -> Duration {
    terms.end.max(history.first_sent.unwrap_or(now)) + LATE_GRACE
}

/// How long to wait for the answer to a command: not for all of the lease, when there is time for another try.
pub(crate) fn patience(command: &Command, terms: Terms, now: Duration, usual: Duration) -> Duration {
    let repeatable = match command {
        Command::Settle(outcome) => terms.fenced || window(outcome).is_none(),
        Command::Renew(_) => true,
    };
    let rest = terms.end.saturating_sub(now) / 2;
    if repeatable && rest >= LEAST_PATIENCE { rest.min(usual) } else { usual }
}

/// For how long after it was sent an outcome without an answer may be sent again to an engine without fencing; None
/// for as long as the lease lasts.
fn window(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Complete { .. } | Outcome::Error { .. } => None,
        // Without retries nobody gets the job next, so a repeat can only hit the incident that it made.
        Outcome::Fail { retries: Some(0), .. } => None,
        Outcome::Fail { backoff_ms, .. } => Some(backoff_ms.unwrap_or(Outcome::USUAL_BACKOFF_MS)),
        Outcome::HandBack { backoff_ms, .. } => Some(*backoff_ms),
    }
}

fn unless_expired(
    command: &Command,
    history: &History,
    pause: Duration,
    terms: Terms,
    now: Duration,
) -> Next {
    if let Some(pause) = fitting(pause, terms.end, now) {
        return Next::Retry(pause);
    }
    if goes_out_late(command, history, terms) && now < late_until(history, terms, now) {
        return Next::Retry(LONGEST_PAUSE);
    }
    Next::Expired
}

fn repeat_doubtful(
    command: &Command,
    history: &History,
    pause: Duration,
    terms: Terms,
    now: Duration,
) -> Next {
    let window = match command {
        Command::Settle(outcome) if !terms.fenced => window(outcome),
        _ => None,
    };
    let Some(window_ms) = window else { return unless_expired(command, history, pause, terms, now) };
    let window_end = history.first_sent.unwrap_or(now) + Duration::from_millis(window_ms);
    if now + pause < window_end.min(terms.end) { Next::Retry(pause) } else { Next::Unconfirmed }
}

/// The pause before another try within the lease: a long one is cut, so that no part of the lease goes unused;
/// None when the lease is as good as over.
fn fitting(pause: Duration, lease_end: Duration, now: Duration) -> Option<Duration> {
    let rest = lease_end.saturating_sub(now);
    (rest > FIRST_PAUSE).then(|| pause.min(rest / 2))
}

fn pause(tries: u32) -> Duration {
    (FIRST_PAUSE * 2u32.saturating_pow(tries.saturating_sub(1).min(10))).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE_END: Duration = Duration::from_secs(100);
    const EARLY: Duration = Duration::from_secs(50);

    fn complete() -> Command {
        Command::Settle(Outcome::Complete { variables: None, result: None, business_id: None })
    }

    fn hand_back(backoff_ms: u64) -> Command {
        Command::Settle(Outcome::HandBack { message: "m".into(), backoff_ms })
    }

    fn terms(fenced: bool) -> Terms {
        Terms { end: LEASE_END, fenced, late: true }
    }

    fn tried(tries: u32) -> History {
        let (hopeless, rejected) = (tries - 1, tries - 1);
        History { tries, first_sent: Some(EARLY), hopeless, rejected, ..History::default() }
    }

    fn decide(command: &Command, result: Result, now: Duration) -> Next {
        next(command, result, &mut tried(1), terms(false), now)
    }

    #[test]
    fn a_completion_is_repeated_when_its_answer_is_lost() {
        assert_eq!(decide(&complete(), Result::Unanswered, EARLY), Next::Retry(FIRST_PAUSE));
    }

    #[test]
    fn a_hand_back_without_back_off_is_sent_once() {
        assert_eq!(decide(&hand_back(0), Result::Unanswered, EARLY), Next::Unconfirmed);
        let ambiguous = Result::Answered(Verdict::Ambiguous("x".into()));
        assert_eq!(decide(&hand_back(0), ambiguous, EARLY), Next::Unconfirmed);
        assert_eq!(decide(&hand_back(0), Result::Unsent, EARLY), Next::Retry(FIRST_PAUSE));
    }

    #[test]
    fn a_failure_is_repeated_only_inside_its_own_back_off() {
        assert_eq!(decide(&hand_back(1000), Result::Unanswered, EARLY), Next::Retry(FIRST_PAUSE));
        let late = EARLY + Duration::from_millis(990);
        assert_eq!(decide(&hand_back(1000), Result::Unanswered, late), Next::Unconfirmed);
    }

    #[test]
    fn a_failure_that_leaves_no_retries_is_repeated() {
        let last =
            Outcome::Fail { message: "m".into(), retries: Some(0), backoff_ms: Some(0), variables: None };
        let next = decide(&Command::Settle(last), Result::Unanswered, EARLY);
        assert_eq!(next, Next::Retry(FIRST_PAUSE));
    }

    #[test]
    fn a_long_pause_is_cut_to_what_is_left_of_the_lease() {
        let renew = Command::Renew(Duration::from_secs(4));
        let busy = || Result::Answered(Verdict::Busy("x".into()));
        let late = LEASE_END - Duration::from_secs(1);
        let again = next(&renew, busy(), &mut tried(9), terms(false), late);
        assert_eq!(again, Next::Retry(Duration::from_millis(500)));
        let over = next(&renew, busy(), &mut tried(9), terms(false), LEASE_END - FIRST_PAUSE);
        assert_eq!(over, Next::Expired);
    }

    #[test]
    fn an_answer_is_waited_for_no_longer_than_leaves_time_for_another_try() {
        let usual = Duration::from_secs(15);
        let left = |ms| LEASE_END - Duration::from_millis(ms);
        let renew = Command::Renew(Duration::from_secs(4));
        for command in [&renew, &complete()] {
            assert_eq!(patience(command, terms(false), left(2_000), usual), Duration::from_secs(1));
            assert_eq!(patience(command, terms(false), left(60_000), usual), usual);
            assert_eq!(patience(command, terms(false), left(400), usual), usual, "no time is left for one");
        }
        assert_eq!(patience(&hand_back(0), terms(false), left(2_000), usual), usual, "it is sent once");
        assert_eq!(patience(&hand_back(0), terms(true), left(2_000), usual), Duration::from_secs(1));
    }

    #[test]
    fn with_fencing_everything_is_repeated() {
        let next = next(&hand_back(0), Result::Unanswered, &mut tried(1), terms(true), EARLY);
        assert_eq!(next, Next::Retry(FIRST_PAUSE));
    }

    #[test]
    fn a_completion_with_a_token_is_repeated_beyond_the_leases_end() {
        let late = LEASE_END + Duration::from_secs(1);
        let next = next(&complete(), Result::Unanswered, &mut tried(1), terms(true), late);
        assert_eq!(next, Next::Retry(LONGEST_PAUSE));
    }

    #[test]
    fn a_token_that_the_engine_does_not_know_is_left_out_at_once() {
        let unknown = || Result::Answered(Verdict::TokenUnknown("no such property".into()));
        let mut history = tried(1);
        let first = next(&complete(), unknown(), &mut history, terms(true), EARLY);
        assert_eq!((first, history.without_token), (Next::Retry(Duration::ZERO), true));
        let again = next(&complete(), unknown(), &mut history, terms(false), EARLY);
        assert_eq!(again, Next::Rejected("no such property".into()));
    }

    #[test]
    fn after_a_doubtful_try_a_final_answer_means_that_it_was_taken() {
        let mut history = tried(1);
        next(&complete(), Result::Unanswered, &mut history, terms(false), EARLY);
        let answer = Result::Answered(Verdict::Final);
        assert_eq!(next(&complete(), answer, &mut history, terms(false), EARLY), Next::Done);
        assert_eq!(decide(&complete(), Result::Answered(Verdict::Final), EARLY), Next::Lost);
    }

    #[test]
    fn after_the_lease_nothing_but_a_completion_goes_out() {
        let late = LEASE_END + Duration::from_secs(1);
        assert_eq!(decide(&hand_back(0), Result::Unsent, late), Next::Expired);
        assert!(may_send(&complete(), &History::default(), terms(false), late));
        assert!(!may_send(&hand_back(0), &History::default(), terms(true), late));
        let off = Terms { late: false, ..terms(true) };
        assert!(!may_send(&complete(), &History::default(), off, late), "it can be switched off");
        assert_eq!(next(&complete(), Result::Unsent, &mut tried(1), off, late), Next::Expired);
    }

    #[test]
    fn a_completion_that_nothing_took_before_the_leases_end_goes_out_after_it() {
        let late = LEASE_END + Duration::from_secs(1);
        let busy = || Result::Answered(Verdict::Busy("x".into()));
        for result in [Result::Unsent, busy()] {
            let mut history = tried(3);
            assert_eq!(
                next(&complete(), result, &mut history, terms(false), late),
                Next::Retry(LONGEST_PAUSE)
            );
            assert!(may_send(&complete(), &history, terms(false), late + LONGEST_PAUSE));
        }
        let over = LEASE_END + LATE_GRACE;
        assert_eq!(decide(&complete(), busy(), over), Next::Expired, "an engine that comes back too late");
    }

    #[test]
    fn work_that_was_finished_late_waits_as_long_for_the_engine_as_other_work() {
        let first_sent = LEASE_END + 5 * LATE_GRACE;
        let mut history = History { first_sent: Some(first_sent), ..tried(1) };
        let mut at = |now| next(&complete(), Result::Unsent, &mut history, terms(false), now);
        assert_eq!(at(first_sent + LATE_GRACE / 2), Next::Retry(LONGEST_PAUSE));
        assert_eq!(at(first_sent + LATE_GRACE), Next::Expired);
    }

    #[test]
    fn a_completion_that_may_have_been_taken_is_not_repeated_after_the_lease_without_a_token() {
        let late = LEASE_END + Duration::from_secs(1);
        assert_eq!(decide(&complete(), Result::Unanswered, late), Next::Expired);
        let doubtful = History { doubtful: true, ..tried(2) };
        assert!(!may_send(&complete(), &doubtful, terms(false), late));
        assert!(may_send(&complete(), &doubtful, terms(true), late));
    }

    #[test]
    fn a_record_that_is_too_large_is_rejected_after_three_tries() {
        let rejected = || Result::Answered(Verdict::Rejected { words: "too large".into(), certain_after: 3 });
        let at = |tries| next(&complete(), rejected(), &mut tried(tries), terms(false), EARLY);
        assert!(matches!(at(2), Next::Retry(_)));
        assert_eq!(at(3), Next::Rejected("too large".into()));
    }

    #[test]
    fn only_such_answers_in_a_row_make_a_rejection_certain() {
        let rejected = Result::Answered(Verdict::Rejected { words: "too large".into(), certain_after: 3 });
        // Two of another kind came before it.
        let mut history = History { tries: 9, hopeless: 2, rejected: 0, ..tried(9) };
        let next = next(&complete(), rejected, &mut history, terms(false), EARLY);
        assert!(matches!(next, Next::Retry(_)));
    }

    #[test]
    fn an_error_that_never_ends_is_given_up() {
        let stubborn = || Result::Answered(Verdict::Stubborn("no partition".into()));
        let at = |tries| next(&complete(), stubborn(), &mut tried(tries), terms(false), EARLY);
        assert!(matches!(at(1), Next::Retry(_)));
        assert_eq!(at(STUBBORN_TRIES), Next::Undeliverable("no partition".into()));
    }
}
