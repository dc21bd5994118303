//! Appends frames to a write buffer. A frame that would be too long is taken back and refused.

use super::frame::{FrameError, LENGTH_BYTES, MAX_FRAME, OutcomeHead, kind, outcome_kind};
use super::outcome::OutcomeRef;

/// Append a job with its body.
pub fn encode_job(
    out: &mut Vec<u8>,
    lane: u16,
    type_index: u16,
    number: u64,
    body: &[u8],
) -> Result<(), FrameError> {
    encode_job_head(out, lane, type_index, number, body.len())?;
    out.extend_from_slice(body);
    Ok(())
}

/// Append all of a job but its body, which the caller writes next: large bodies need no copy that way.
pub fn encode_job_head(
    out: &mut Vec<u8>,
    lane: u16,
    type_index: u16,
    number: u64,
    body_bytes: usize,
) -> Result<(), FrameError> {
    const HEAD: usize = 1 + 2 + 2 + 8;
    let length = checked_length(HEAD.saturating_add(body_bytes))?;
    out.extend_from_slice(&length);
    out.push(kind::JOB);
    out.extend_from_slice(&lane.to_le_bytes());
    out.extend_from_slice(&type_index.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    Ok(())
}

/// Append the word that nothing more comes.
pub fn encode_drain(out: &mut Vec<u8>) {
    empty(out, kind::DRAIN);
}

/// Append a cancellation. A reason that is too long is an error.
pub fn encode_cancel(out: &mut Vec<u8>, lane: u16, number: u64, reason: &str) -> Result<(), FrameError> {
    frame(out, kind::CANCEL, |out| {
        out.extend_from_slice(&lane.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(reason.as_bytes());
    })
}

/// Append the word that the time of a job's handler is over.
pub fn encode_limit(out: &mut Vec<u8>, lane: u16, number: u64, limit_ms: u64) {
    empty(out, kind::LIMIT);
    if let Some(length) = out.len().checked_sub(LENGTH_BYTES + 1).and_then(|start| out.get_mut(start)) {
        *length = 1 + 2 + 8 + 8;
    }
    out.extend_from_slice(&lane.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&limit_ms.to_le_bytes());
}

/// Append the word that the worker takes jobs.
pub fn encode_ready(out: &mut Vec<u8>) {
    empty(out, kind::READY);
}

/// Append why the worker cannot start.
pub fn encode_start_failed(out: &mut Vec<u8>, error: &str) -> Result<(), FrameError> {
    frame(out, kind::START_FAILED, |out| out.extend_from_slice(error.as_bytes()))
}

/// Append an outcome.
pub fn encode_outcome(
    out: &mut Vec<u8>,
    head: OutcomeHead,
    outcome: OutcomeRef<'_>,
) -> Result<(), FrameError> {
    frame(out, kind::OUTCOME, |out| {
        out.extend_from_slice(&head.lane.to_le_bytes());
        out.extend_from_slice(&head.slot.to_le_bytes());
        out.extend_from_slice(&head.number.to_le_bytes());
        out.extend_from_slice(&head.run_ns.to_le_bytes());
        outcome_body(out, outcome);
    })
}

/// Append a log record.
pub fn encode_log(
    out: &mut Vec<u8>,
    level: u8,
    lane: u16,
    number: u64,
    record: &[u8],
) -> Result<(), FrameError> {
    frame(out, kind::LOG, |out| {
        out.push(level);
        out.extend_from_slice(&lane.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(record);
    })
}

/// Append the number of log records that were dropped.
pub fn encode_logs_dropped(out: &mut Vec<u8>, count: u64) -> Result<(), FrameError> {
    frame(out, kind::LOGS_DROPPED, |out| out.extend_from_slice(&count.to_le_bytes()))
}

/// `kind u8`, then its members; an optional member is a byte 0, or a byte 1 and the member; bytes and text are
/// `length u32 | bytes`.
fn outcome_body(out: &mut Vec<u8>, outcome: OutcomeRef<'_>) {
    match outcome {
        OutcomeRef::Complete { variables, result, business_id } => {
            out.push(outcome_kind::COMPLETE);
            optional(out, variables, blob);
            optional(out, result, blob);
            optional(out, business_id.map(str::as_bytes), blob);
        }
        OutcomeRef::Fail { message, retries, backoff_ms, variables } => {
            out.push(outcome_kind::FAIL);
            blob(out, message.as_bytes());
            optional(out, retries, |out, retries| out.extend_from_slice(&retries.to_le_bytes()));
            optional(out, backoff_ms, |out, backoff_ms| out.extend_from_slice(&backoff_ms.to_le_bytes()));
            optional(out, variables, blob);
        }
        OutcomeRef::Error { code, message, variables } => {
            out.push(outcome_kind::ERROR);
            blob(out, code.as_bytes());
            optional(out, message.map(str::as_bytes), blob);
            optional(out, variables, blob);
        }
        OutcomeRef::HandBack { message, backoff_ms } => {
            out.push(outcome_kind::HAND_BACK);
            blob(out, message.as_bytes());
            out.extend_from_slice(&backoff_ms.to_le_bytes());
        }
    }
}

fn optional<T>(out: &mut Vec<u8>, member: Option<T>, append: impl FnOnce(&mut Vec<u8>, T)) {
    match member {
        Some(member) => {
            out.push(1);
            append(out, member);
        }
        None => out.push(0),
    }
}

fn blob(out: &mut Vec<u8>, bytes: &[u8]) {
    // A length that does not fit makes the frame too long as well, and `frame` takes it back.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

fn empty(out: &mut Vec<u8>, kind: u8) {
    out.extend_from_slice(&[1, 0, 0, 0, kind]);
}

fn frame(out: &mut Vec<u8>, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    payload(out);
    match checked_length(out.len() - start - LENGTH_BYTES) {
        Ok(length) => {
            if let Some(place) = out.get_mut(start..start + LENGTH_BYTES) {
                place.copy_from_slice(&length);
            }
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

fn checked_length(length: usize) -> Result<[u8; LENGTH_BYTES], FrameError> {
    match u32::try_from(length) {
        Ok(word) if length <= MAX_FRAME => Ok(word.to_le_bytes()),
        _ => Err(FrameError::TooLong { length }),
    }
}
