//! Outcomes: complete, fail, throw error; what they do to a job and what they say about its holder.

use super::Store;
use std::rc::Rc;

use super::answers::{Fence, Mark};
use super::history::Ending;
use super::job::State;
use super::timers::Due;

/// A fail command.
pub(crate) struct Failure<'a> {
    /// The new number of tries left, not a difference.
    pub(crate) retries: i32,
    pub(crate) backoff_ms: u64,
    pub(crate) message: Option<&'a str>,
    /// The variables of the job from now on, when the failure wrote some.
    pub(crate) variables: Option<String>,
}

/// What a worker says about a job.
pub(crate) enum Outcome<'a> {
    Complete(Ending<'a>),
    Fail(Failure<'a>),
    /// A BPMN error that something catches.
    Caught(Ending<'a>),
    /// A BPMN error that nothing catches.
    Uncaught(Ending<'a>),
}

/// Why a command has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such job, or it ended.
    NotFound,
    /// The job is in a state in which the command makes no sense.
    InvalidState(State),
    /// The token is missing or belongs to another activation.
    Fenced,
}

impl Store {
    /// Applies an outcome. `fenced` says whether the dialect knows tokens.
    pub(crate) fn settle(
        &mut self,
        key: u64,
        fence: Fence,
        fenced: bool,
        outcome: Outcome<'_>,
        now: u64,
    ) -> (Result<(), Refusal>, Mark) {
        if !self.jobs.contains_key(&key) && !self.materialise(key) {
            return (Err(Refusal::NotFound), self.answer_gone(key, fence));
        }
        let Some(job) = self.jobs.get_mut(&key) else { return (Err(Refusal::NotFound), Mark::default()) };
        let leased = fenced && job.leased;
        if leased && fence != Fence::Seq(job.seq) {
            let held = job.state == State::Activated;
            let mark = match fence {
                Fence::Seq(seq) => self.answers.answer_ended(key, seq, held),
                Fence::None | Fence::Unknown => Mark::default(),
            };
            return (Err(Refusal::Fenced), mark);
        }
        let mut mark = match &job.batch {
            Some(batch) if batch.leased => self.answers.answer_holder(key, job.seq),
            None if leased => self.answers.answer_ended(key, job.seq, false),
            _ => self.answers.answer_job(key, &mut job.unanswered),
        };
        if !matches!(job.state, State::Activated | State::Waiting) {
            return (Err(Refusal::InvalidState(job.state)), mark);
        }
        if matches!(outcome, Outcome::Complete(_)) {
            self.latency.completed(job);
        }
        let worker = job.batch.as_ref().map(|batch| batch.worker.clone());
        let undelivered = job.undelivered;
        self.leave_state(key);
        match outcome {
            Outcome::Complete(ending) => {
                self.account.completed += 1;
                self.end(key, worker, &ending);
            }
            Outcome::Caught(ending) => {
                self.account.errors_thrown += 1;
                self.end(key, worker, &ending);
            }
            Outcome::Fail(failure) => mark.hand_back = self.fail(key, failure, now) && !undelivered,
            Outcome::Uncaught(ending) => self.halt(key, &ending),
        }
        (Ok(()), mark)
    }

    /// A fault cut off a command before it had an effect.
    pub(crate) fn cut_before(&mut self, key: u64, hand_back: bool) {
        let Some(job) = self.jobs.get_mut(&key).filter(|job| job.state == State::Activated) else { return };
        job.cut = true;
        if hand_back && !job.undelivered {
            job.undelivered = true;
            self.account.undelivered += 1;
        }
    }

    /// The answer to a command was cut off after its effect.
    pub(crate) fn cut_after(&mut self, mark: Mark) {
        self.answers.take_back(mark, self.jobs.get_mut(&mark.key).map(|job| &mut job.unanswered));
        if mark.hand_back {
            self.account.undelivered += 1;
        }
    }

    /// True when failing with these retries gives the job back unchanged.
    pub(crate) fn is_hand_back(&self, key: u64, retries: i32) -> bool {
        retries > 0 && self.jobs.get(&key).is_some_and(|job| job.retries == retries)
    }

    fn answer_gone(&mut self, key: u64, fence: Fence) -> Mark {
        if key < self.known_from || key >= self.next_key {
            return Mark::default();
        }
        match fence {
            Fence::Seq(seq) => self.answers.answer_ended(key, seq, false),
            _ => self.answers.answer_ended_job(key),
        }
    }

    /// Takes an activated or waiting job out of its batch or its queue.
    fn leave_state(&mut self, key: u64) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        if job.state == State::Activated {
            self.end_activation(key, true);
        } else {
            let (queue, priority) = (job.blueprint.queue, job.priority);
            if let Some(queue) = self.queue_mut(queue) {
                queue.remove(key, priority);
            }
        }
    }

    fn end(&mut self, key: u64, worker: Option<Rc<str>>, ending: &Ending<'_>) {
        if let Some(job) = self.jobs.remove(&key) {
            self.history.add(key, &job, worker, ending);
            self.answers.job_ended(key, job.unanswered);
        }
    }

    /// Returns whether it was a hand-back.
    fn fail(&mut self, key: u64, failure: Failure<'_>, now: u64) -> bool {
        self.account.failed += 1;
        let Some(job) = self.jobs.get_mut(&key) else { return false };
        let hand_back = failure.retries > 0 && failure.retries == job.retries;
        if hand_back {
            self.account.handed_back += 1;
            self.account.unexplained += u64::from(failure.message.is_none_or(str::is_empty));
        }
        job.retries = failure.retries;
        if failure.message.is_some() || failure.variables.is_some() {
            let notes = job.notes();
            notes.message = failure.message.map(str::to_owned);
            notes.variables = failure.variables.or(notes.variables.take());
        }
        if failure.retries <= 0 {
            job.state = State::Incident;
            self.account.incidents += 1;
        } else if failure.backoff_ms > 0 {
            job.state = State::BackingOff;
            job.until = now.saturating_add(failure.backoff_ms);
            self.backing_off += 1;
            self.timers.push(job.until, Due::Job { key, seq: job.seq });
        } else {
            self.put_back(key);
        }
        hand_back
    }

    fn halt(&mut self, key: u64, ending: &Ending<'_>) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.state = State::ErrorThrown;
        let notes = job.notes();
        notes.error_code = ending.error_code.map(str::to_owned);
        notes.message = ending.message.map(str::to_owned);
        self.account.incidents += 1;
    }
}
