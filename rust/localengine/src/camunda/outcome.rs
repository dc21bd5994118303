//! Complete, fail and throw error.

use std::borrow::Cow;

use super::command::{self, Command, Kind};
use super::json::{Object, push_string};
use super::request::Request;
use crate::http::{Answer, Reply};
use crate::options::Dialect::{self, V8_6, V8_8, V8_10};
use crate::shared::State;
use crate::store::{Failure, Outcome};

const COMPLETION: [(&str, Dialect); 4] =
    [("variables", V8_6), ("result", V8_8), ("jobLeaseToken", V8_10), ("businessId", V8_10)];
const FAILURE: [(&str, Dialect); 5] = [
    ("retries", V8_6),
    ("errorMessage", V8_6),
    ("retryBackOff", V8_6),
    ("variables", V8_6),
    ("jobLeaseToken", V8_10),
];
const ERROR: [(&str, Dialect); 4] =
    [("errorCode", V8_6), ("errorMessage", V8_6), ("variables", V8_6), ("jobLeaseToken", V8_10)];

/// Reads and applies an outcome.
pub(super) fn settle(state: &mut State, now: u64, command: &Command<'_>) -> Result<Reply, Answer> {
    let dialect = state.settings.dialect;
    let known: &[_] = match command.kind {
        Kind::Complete => &COMPLETION,
        Kind::Fail => &FAILURE,
        _ => &ERROR,
    };
    let mut request = Request::read(dialect, command.path, command.body, known)?;
    let variables = request.object("variables")?;
    let token = request.text("jobLeaseToken")?;
    let message = request.text("errorMessage")?;
    let code = request.text("errorCode")?.unwrap_or_default();
    let outcome = match command.kind {
        Kind::Complete => Outcome::Complete,
        Kind::Fail => Outcome::Fail(Failure {
            retries: request.int("retries", i64::from(i32::MAX))?.unwrap_or(0) as i32,
            backoff_ms: request.int("retryBackOff", i64::MAX)?.unwrap_or(0).max(0) as u64,
            message: message.as_deref(),
            variables: merged(state, command.key, variables),
        }),
        _ => {
            if code.trim().is_empty() {
                request.complain("No errorCode provided.".into());
            }
            Outcome::Error { code: &code, message: message.as_deref(), caught: true }
        }
    };
    request.check()?;
    let fence = command::fence(state.seed, token.as_deref());
    let (result, mark) = state.store.settle(command.key, fence, dialect >= V8_10, outcome, now);
    Ok(command::conclude(command, result, Some(mark)))
}

/// The job's variables with those that a failure writes over them.
fn merged(state: &State, key: u64, written: Option<&str>) -> Option<String> {
    let written = Object::parse(written?.as_bytes()).ok()?;
    let before = state.store.variables(key)?;
    let before = Object::parse(before.as_bytes()).ok()?;
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
