//! Settle: delivers outcomes and renewals to the engine, each over a connection of its own pool, until the
//! engine has answered for good or the lease is over.

mod lanes;
mod policy;
mod sizer;

use std::rc::Rc;
use std::time::Duration;

pub(crate) use lanes::{Outcomes, Work, janitor};
use policy::Next;

use crate::engine::Command;
use crate::events::Event;
use crate::fleet::Fleet;
use crate::job::{Lease, now};
use crate::ledger::{JobId, Stage};
use crate::link::Outcome;
use crate::tasks;

/// A job that could not start in time goes back with this pause, so that it does not return at once.
const LATE_BACKOFF_MS: u64 = 1_000;

/// The longest message that replaces a refused outcome.
const MESSAGE_LIMIT: usize = 2_000;

impl Fleet {
    /// Gives a job back to the engine with unchanged retries.
    pub(crate) fn hand_back(self: &Rc<Self>, id: JobId, message: &str, backoff_ms: u64) {
        if !self.begin_settling(id) {
            return;
        }
        let message = message.to_owned();
        self.outcomes.push(self, Work::settle(id, Outcome::HandBack { message, backoff_ms }));
    }

    /// Notes that an outcome goes out for a job that no worker has; false when nobody wants one.
    pub(crate) fn begin_settling(&self, id: JobId) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.ledger.get_mut(id) else { return false };
        let (job_type, disowned) = (entry.job_type, entry.disowned);
        entry.stage = Stage::Settling;
        if disowned {
            state.ledger.remove(id);
        }
        if let Some(kind) = state.types.get_mut(job_type) {
            if disowned {
                kind.counters.lost += 1;
            } else {
                kind.settling += 1;
            }
        }
        !disowned
    }

    /// Gives back a job that cannot start before half its lease is over.
    pub(crate) fn hand_back_late(self: &Rc<Self>, id: JobId) {
        self.hand_back(id, "no worker was free before half of the lease was over", LATE_BACKOFF_MS);
    }

    /// Takes in what became of a piece of work.
    fn conclude(self: &Rc<Self>, mut work: Work, next: Next) {
        if let Next::Retry(pause) = next {
            let fleet = Rc::clone(self);
            let (id, renewal) = (work.id, work.is_renewal());
            let again = async move {
                tokio::time::sleep(pause).await;
                fleet.outcomes.push(&fleet, work);
            };
            tasks::once(self, "repeat of a command", again, move |fleet| fleet.forsake(id, renewal));
            return;
        }
        if let Command::Renew(lease) = work.command {
            let sent_at = work.history.first_sent.unwrap_or_else(now);
            self.renewed(work.id, next == Next::Done, next == Next::Lost, sent_at, lease);
            return;
        }
        if let Next::Rejected(words) = &next
            && let Some(outcome) = instead(&work.command, words)
        {
            self.tell_rejected(work.id, words);
            work = Work::settle(work.id, outcome);
            self.outcomes.push(self, work);
            return;
        }
        if let Next::Rejected(words) | Next::Undeliverable(words) = &next {
            self.tell_rejected(work.id, words);
        }
        self.close(&work, &next);
        self.tell_if_drained();
    }

    /// Ends a job's time in the ledger and counts what became of it.
    fn close(&self, work: &Work, next: &Next) {
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.ledger.remove(work.id) else { return };
        let Some(kind) = state.types.get_mut(entry.job_type) else { return };
        let time = now();
        kind.settling -= 1;
        kind.rate.count(time);
        kind.latency.record(time.saturating_sub(entry.lease.received_at));
        let counters = &mut kind.counters;
        match (next, &work.command) {
            (Next::Done | Next::Unconfirmed, Command::Settle(outcome)) => match outcome {
                Outcome::Complete { .. } => counters.completed += 1,
                Outcome::Fail { .. } => counters.failed += 1,
                Outcome::Error { .. } => counters.errors_thrown += 1,
                Outcome::HandBack { .. } => counters.handed_back += 1,
            },
            (Next::Lost, _) => counters.lost += 1,
            (Next::Expired, _) => counters.expired += 1,
            _ => counters.rejected += 1,
        }
        kind.poke();
    }

    /// Whoever carried a command has failed, and whether the engine has taken it is not known. A renewal is due again;
    /// of an outcome nothing more is sent, and the engine gives the job out again unless it has been taken.
    pub(crate) fn forsake(self: &Rc<Self>, id: JobId, renewal: bool) {
        let mut state = self.state.borrow_mut();
        if renewal {
            state.ledger.get_mut(id).into_iter().for_each(|entry| entry.renewing = false);
            return;
        }
        let Some(entry) = state.ledger.remove(id) else { return };
        if let Some(kind) = state.types.get_mut(entry.job_type) {
            kind.settling = kind.settling.saturating_sub(1);
            kind.counters.expired += 1;
            kind.poke();
        }
        drop(state);
        self.tell_if_drained();
    }

    /// How a message names a job.
    fn name_of(&self, id: JobId) -> Option<String> {
        let state = self.state.borrow();
        let entry = state.ledger.get(id)?;
        let kind = state.types.get(entry.job_type)?;
        Some(format!("job {} ({})", entry.job.key(), kind.name))
    }

    fn tell_rejected(&self, id: JobId, words: &str) {
        let state = self.state.borrow();
        let Some(entry) = state.ledger.get(id) else { return };
        let Some(kind) = state.types.get(entry.job_type) else { return };
        self.events.push(&Event::JobRejected {
            r#type: kind.name.to_string(),
            key: entry.job.key().to_owned(),
            message: self.transport.without_credentials(words),
        });
    }

    /// On which terms the job of a command is held; None when it has left the ledger.
    fn terms_of(&self, work: &Work, time: Duration) -> Option<policy::Terms> {
        let state = self.state.borrow();
        let entry = state.ledger.get(work.id)?;
        let end = entry.lease.end;
        // This fleet may be the next holder itself: it leaves the job to that activation.
        let taken_again = time >= end
            && state.ledger.iter().any(|(id, other)| id != work.id && other.job.key() == entry.job.key());
        let fenced = entry.job.token().is_some() && !work.history.without_token;
        Some(policy::Terms { end, fenced, late: self.settings.late_completions && !taken_again })
    }

    /// A renewal was answered: granted, refused for good, or neither.
    fn renewed(&self, id: JobId, granted: bool, refused: bool, sent_at: Duration, lease: Duration) {
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.ledger.get_mut(id) else { return };
        entry.renewing = false;
        if granted {
            entry.lease = Lease { received_at: sent_at, end: sent_at + lease };
        }
        if !refused || entry.stage == Stage::Settling {
            return;
        }
        entry.disowned = true;
        let stage = entry.stage;
        drop(state);
        if let Stage::Sent { worker, lane, number } = stage {
            self.cancel(
                worker,
                lane,
                number,
                "the engine refused to renew the lease: the job is no longer held",
            );
        }
    }
}

/// What goes to the engine in place of an outcome that it refuses: never nothing, or the job would come again
/// for ever. None when this was already the replacement.
fn instead(command: &Command, words: &str) -> Option<Outcome> {
    let (what, retries) = match command {
        Command::Settle(Outcome::Complete { .. }) => ("completion", Some(0)),
        Command::Settle(Outcome::Error { .. }) => ("error", Some(0)),
        Command::Settle(Outcome::Fail { variables, message, retries, .. })
            if variables.is_some() || message.len() > MESSAGE_LIMIT =>
        {
            ("failure", *retries)
        }
        _ => return None,
    };
    let mut message = format!("the engine refused the handler's {what}: {words}");
    if message.len() > MESSAGE_LIMIT {
        let end = (0..=MESSAGE_LIMIT).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
    }
    Some(Outcome::Fail { message, retries, backoff_ms: Some(1_000), variables: None })
}
