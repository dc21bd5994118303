//! Complete, fail and throw error.

use std::borrow::Cow;

use super::command::{self, Command, Kind};
use super::json::{Object, push_string};
use super::request::Request;
use super::result;
use crate::http::{Answer, Reply};
use crate::options::Dialect::{self, V8_6, V8_8, V8_10};
use crate::shared::State;
use crate::store::{Ending, Failure, Outcome};

const COMPLETION: [(&str, Dialect); 3] = [("variables", V8_6), ("result", V8_8), ("businessId", V8_10)];
const FAILURE: [(&str, Dialect); 4] =
    [("retries", V8_6), ("errorMessage", V8_6), ("retryBackOff", V8_6), ("variables", V8_6)];
const ERROR: [(&str, Dialect); 3] = [("errorCode", V8_6), ("errorMessage", V8_6), ("variables", V8_6)];

/// Reads and applies an outcome.
pub(super) fn settle(state: &mut State, now: u64, command: &Command<'_>) -> Result<Reply, Answer> {
    let settings = &state.settings;
    let known: &[_] = match command.kind {
        Kind::Complete => &COMPLETION,
        Kind::Fail => &FAILURE,
        _ => &ERROR,
    };
    let mut request = Request::read(settings, command.path, command.body, known)?;
    let message = request.text("errorMessage")?;
    let code = request.text("errorCode")?;
    let ending = |state| -> Result<Ending<'_>, Answer> {
        Ok(Ending {
            state,
            variables: request.object("variables")?,
            result: request.object("result")?,
            error_code: code.as_deref(),
            message: message.as_deref(),
        })
    };
    let outcome = match command.kind {
        Kind::Complete => Outcome::Complete(ending("completed")?),
        Kind::Fail => Outcome::Fail(Failure {
            retries: retries(&request)?,
            backoff_ms: request.int("retryBackOff", i64::MAX)?.unwrap_or(0).max(0) as u64,
            message: message.as_deref(),
            variables: merged(state, command.key, request.object("variables")?),
        }),
        _ if settings.uncaught_errors.iter().any(|uncaught| Some(&**uncaught) == code.as_deref()) => {
            Outcome::Uncaught(ending("uncaught_error")?)
        }
        _ => Outcome::Caught(ending("error_thrown")?),
    };
    if command.kind == Kind::Error && code.as_deref().is_none_or(|code| code.trim().is_empty()) {
        request.complain("No errorCode provided.".into());
    }
    if let Outcome::Complete(Ending { result: Some(result), .. }) = outcome {
        result::check(&mut request, result);
    }
    request.check()?;
    let fence = command::fence(state.seed, request.token()?.as_deref());
    let fenced = settings.dialect >= V8_10;
    let (result, mark) = state.store.settle(command.key, fence, fenced, outcome, now);
    Ok(command::conclude(command, result, Some(mark)))
}

/// Whether a fail command gives its job back unchanged.
pub(super) fn is_hand_back(state: &State, key: u64, body: &[u8]) -> bool {
    let request = Request::read(&state.settings, "", body, &FAILURE).ok();
    let retries = request.and_then(|request| retries(&request).ok());
    retries.is_some_and(|retries| state.store.is_hand_back(key, retries))
}

/// Absent is 0: the engine counts nothing down.
fn retries(request: &Request<'_>) -> Result<i32, Answer> {
    Ok(request.int("retries", i64::from(i32::MAX))?.unwrap_or(0) as i32)
}

/// The job's variables with those that a failure writes over them.
fn merged(state: &State, key: u64, written: Option<&str>) -> Option<String> {
    let written = Object::parse(written?.as_bytes())?;
    let before = state.store.variables(key)?;
    let before = Object::parse(before.as_bytes())?;
    let mut out = Vec::new();
    let kept = before.members().filter(|(name, _)| written.get(name).is_none());
    for (name, value) in kept.chain(written.members()).map(|(name, value)| (Cow::Borrowed(name), value)) {
        out.push(if out.is_empty() { b'{' } else { b',' });
        push_string(&mut out, &name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    if out.is_empty() {
        return None;
    }
    out.push(b'}');
    String::from_utf8(out).ok()
}
