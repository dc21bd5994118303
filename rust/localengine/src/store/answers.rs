//! Which activations were answered definitely: finds commands that a fleet had no reason to send.
//!
//! Kept as exceptions only. An activation that ended is taken as answered unless it is named here, so the
//! millions that end well cost nothing.

use super::bounded::Bounded;

/// What a command carries to prove that it comes from the holder of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// No token.
    None,
    /// The token of this activation.
    Seq(u64),
    /// A token that was never given out.
    Unknown,
}

/// What a definite answer changed in the account, so that it can be taken back when the answer is cut off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    pub(crate) key: u64,
    pub(crate) subject: Subject,
    pub(crate) twice: bool,
    /// The command was a hand-back and was accepted, of an activation not counted as undelivered before.
    pub(crate) hand_back: bool,
    pub(crate) seq: u64,
}

/// What the answer was counted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subject {
    #[default]
    Nothing,
    /// One of the job's activations without a token.
    Job,
    /// The activation `seq`.
    Activation,
}

#[derive(Default)]
pub(super) struct Answers {
    pub(super) settled_twice: u64,
    pub(super) foreign: u64,
    /// Per job that ended: activations that never got a definite answer.
    slack: Bounded<u32>,
    /// Ended activations with a token that got no definite answer; true when a fault cut off an answer.
    open: Bounded<bool>,
}

impl Answers {
    /// A job without tokens ended with this many unanswered activations.
    pub(super) fn job_ended(&mut self, key: u64, unanswered: u32) {
        if unanswered > 0 {
            self.slack.insert(key, unanswered);
        }
    }

    /// An activation with a token ended without an answer to its holder.
    pub(super) fn left_open(&mut self, seq: u64, cut: bool) {
        self.open.insert(seq, cut);
    }

    /// A definite answer about a job that ended, to a command without a token.
    pub(super) fn answer_ended_job(&mut self, key: u64) -> Mark {
        let twice = match self.slack.get_mut(key) {
            Some(slack) if *slack > 0 => {
                *slack -= 1;
                false
            }
            _ => true,
        };
        self.count(Mark { key, subject: Subject::Job, twice, ..Mark::default() })
    }

    /// A definite answer about a live job, to a command without a token.
    pub(super) fn answer_job(&mut self, key: u64, unanswered: &mut u32) -> Mark {
        let twice = *unanswered == 0;
        *unanswered = unanswered.saturating_sub(1);
        self.count(Mark { key, subject: Subject::Job, twice, ..Mark::default() })
    }

    /// The first answer for the activation that holds the job.
    pub(super) fn answer_holder(&mut self, key: u64, seq: u64) -> Mark {
        Mark { key, subject: Subject::Activation, seq, ..Mark::default() }
    }

    /// A definite answer for an activation that ended before; `other` holds the job now.
    pub(super) fn answer_ended(&mut self, key: u64, seq: u64, other: bool) -> Mark {
        let open = self.open.remove(seq);
        if other && open != Some(true) {
            self.foreign += 1;
        }
        self.count(Mark { key, subject: Subject::Activation, twice: open.is_none(), seq, hand_back: false })
    }

    /// The answer never arrived: as if it had not been given. `live` is the job's count while it lives.
    pub(super) fn take_back(&mut self, mark: Mark, live: Option<&mut u32>) {
        if mark.twice {
            self.settled_twice -= 1;
            return;
        }
        match (mark.subject, live) {
            (Subject::Nothing, _) => {}
            (Subject::Activation, _) => self.open.insert(mark.seq, true),
            (Subject::Job, Some(unanswered)) => *unanswered += 1,
            (Subject::Job, None) => match self.slack.get_mut(mark.key) {
                Some(slack) => *slack += 1,
                None => self.slack.insert(mark.key, 1),
            },
        }
    }

    fn count(&mut self, mark: Mark) -> Mark {
        self.settled_twice += u64::from(mark.twice);
        mark
    }
}
