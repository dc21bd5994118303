//! Commands that name a job: what they have in common.

use super::{outcome, problem, token, update};
use crate::http::{Answer, Reply};
use crate::options::Dialect;
use crate::presence::Caller;
use crate::shared::State;
use crate::store::{FIRST_KEY, Fence, Refusal, Settled, State as JobState};

/// What a command does to its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Complete,
    Fail,
    Error,
    Update,
    /// Resolves the incident of the job.
    Resolve,
}

impl Kind {
    fn intent(self) -> &'static str {
        match self {
            Self::Complete => "COMPLETE",
            Self::Fail => "FAIL",
            Self::Error => "THROW_ERROR",
            Self::Update => "UPDATE",
            Self::Resolve => "RESOLVE",
        }
    }
}

/// One command.
pub(crate) struct Command<'a> {
    pub(crate) kind: Kind,
    pub(crate) key: u64,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) caller: &'a Caller,
}

/// Applies a command.
pub(super) fn apply(state: &mut State, now: u64, command: &Command<'_>) -> Reply {
    if command.key < FIRST_KEY || command.key >= 2 * FIRST_KEY {
        return no_such_partition(state.settings.dialect, command).into();
    }
    let applied = match command.kind {
        Kind::Update => update::update(state, now, command),
        Kind::Resolve => Ok(update::resolve(state, command)),
        _ => outcome::settle(state, now, command),
    };
    applied.unwrap_or_else(Reply::from)
}

/// The answer to a command that was read, and what it means for the account.
pub(super) fn conclude(state: &mut State, command: &Command<'_>, settled: Settled) -> Reply {
    if let Some(holder) = settled.holder {
        state.presence.note_holder(command.caller, &holder);
    }
    let answer = match settled.result {
        Ok(()) => Answer::NO_CONTENT,
        Err(refusal) => refuse(command, refusal),
    };
    Reply { answer, batch: None, mark: Some(settled.mark) }
}

/// The token of a command.
pub(super) fn fence(seed: u64, token: Option<&str>) -> Fence {
    token.map_or(Fence::None, |token| token::read(seed, token))
}

pub(super) fn refuse(command: &Command<'_>, refusal: Refusal) -> Answer {
    let intent = command.kind.intent();
    let (status, title, reason) = match refusal {
        Refusal::NotFound => (404, "NOT_FOUND", "no such job was found".to_owned()),
        Refusal::Fenced => (409, "INVALID_STATE", "the job is leased by another activation".to_owned()),
        Refusal::InvalidState(state) => (409, "INVALID_STATE", format!("it is in state '{}'", name(state))),
    };
    let detail = format!("Command '{intent}' rejected with code '{title}': job {}: {reason}", command.key);
    problem::problem(status, title, &detail, command.path)
}

/// The engine's name of a job's state.
pub(crate) fn name(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "ACTIVATABLE",
        JobState::Activated => "ACTIVATED",
        JobState::BackingOff | JobState::Incident => "FAILED",
        JobState::ErrorThrown => "ERROR_THROWN",
    }
}

fn no_such_partition(dialect: Dialect, command: &Command<'_>) -> Answer {
    let title = match dialect {
        Dialect::V8_6 => "io.camunda.zeebe.broker.client.api.PartitionNotFoundException",
        _ => "UNAVAILABLE",
    };
    let partition = command.key / FIRST_KEY;
    let detail =
        format!("Expected to send a command to partition {partition}, but there is no such partition");
    problem::problem(503, title, &detail, command.path)
}
