//! `PATCH` of a job: timeout, retries, priority.

use super::command::{self, Command};
use super::problem;
use super::render::INCIDENT;
use super::request::Request;
use crate::http::{Answer, Reply};
use crate::options::Dialect::{self, V8_6, V8_8, V8_10};
use crate::shared::State;
use crate::store::{Change, Refusal};

const UPDATE: [(&str, Dialect); 2] = [("changeset", V8_6), ("operationReference", V8_8)];
const CHANGESET: [(&str, Dialect); 3] = [("retries", V8_6), ("timeout", V8_6), ("priority", V8_10)];

/// Reads and applies an update.
pub(super) fn update(state: &mut State, now: u64, command: &Command<'_>) -> Result<Reply, Answer> {
    let dialect = state.settings.dialect;
    let settings = &state.settings;
    let request = Request::read(settings, command.path, command.body, &UPDATE)?;
    let token = request.token()?;
    let changeset = request.object("changeset")?.unwrap_or("{}");
    let mut change = Request::read(settings, command.path, changeset.as_bytes(), &CHANGESET)?;
    let limit = i64::from(i32::MAX);
    let wanted = Change {
        retries: change.int("retries", limit)?.map(|retries| retries as i32),
        timeout_ms: change.int("timeout", i64::MAX)?,
        priority: if dialect >= V8_10 {
            change.int("priority", limit)?.map(|value| value as i32)
        } else {
            None
        },
    };
    if wanted.is_empty() {
        change.complain("At least one of [retries, timeout, priority] is required in the changeset.".into());
    }
    if wanted.retries.is_some_and(|retries| retries < 1) {
        change.complain("The value for retries must be greater than 0.".into());
    }
    change.check()?;
    // 8.6 knows no tokens, so there is nothing to check.
    let token = token.filter(|_| dialect >= V8_10);
    let fence = command::fence(state.seed, token.as_deref());
    let settled = state.store.update(command.key, fence, wanted, now);
    if let (Err(Refusal::InvalidState(_)), V8_6) = (settled.result, dialect) {
        // 8.6 says 400 here, and 409 nowhere.
        let sentence = format!("Cannot update the timeout of job {}: it is not active.", command.key);
        return Err(problem::invalid(command.path, &[sentence]));
    }
    Ok(command::conclude(state, command, settled))
}

/// Resolves the incident of a job. Incident keys are made from the job's.
pub(super) fn resolve(state: &mut State, command: &Command<'_>) -> Reply {
    match state.store.resolve(command.key.wrapping_sub(INCIDENT)) {
        Ok(()) => Answer::NO_CONTENT.into(),
        Err(refusal) => command::refuse(command, refusal).into(),
    }
}
