//! What an answer means: to a command, and to an activation that failed.

use super::{Answer, Command, Outcome, Problem, Refusal, Verdict, words};

/// Words by which a server says that it does not know a member of an activation request. The first names it; the
/// others come from servers that name none.
const UNKNOWN_MEMBER: [&str; 3] = ["withLease", "Failed to read request", "Unrecognized"];

/// Words of servers that cannot send an answer, or take a command, of this size.
const TOO_LARGE: [&str; 5] = [
    "EXCEEDED_BATCH_RECORD_SIZE",
    "MALFORMED_REQUEST",
    "message size",
    "message larger than max",
    "exceeds maximum size",
];

/// Judges the answer to a command.
pub(super) fn judge(command: &Command, answer: &Answer) -> Verdict {
    match answer.status {
        // A login page or a proxy's greeting: nothing of the kind has reached the engine.
        200..=299 if answer.content_type == "text/html" => return Verdict::PathOutage(words(answer)),
        200..=299 => return Verdict::Done,
        401 => return Verdict::Unauthorized(unauthorized(answer)),
        403 => return Verdict::Forbidden(words(answer)),
        _ if is_backpressure(answer) => return Verdict::Backpressure,
        _ => {}
    }
    let Some(problem) = Problem::of(answer) else { return judge_foreign(answer) };
    match answer.status {
        404 if problem.title == "NOT_FOUND" => Verdict::Final,
        // Listeners cannot throw errors. The job is still held: dropped, it would come again for ever.
        409 if is_error(command) && problem.mentions("Cannot throw BPMN error") => rejected(answer, 1),
        409 if problem.title == "INVALID_STATE" => Verdict::Final,
        400 if matches!(command, Command::Renew(_)) && problem.mentions("is not active") => Verdict::Final,
        400 if problem.mentions("easeToken") => Verdict::TokenUnknown(words(answer)),
        400 | 413 => rejected(answer, 1),
        // The same words also come while a leader changes, so one answer does not prove that it is the record.
        500 if problem.mentions("EXCEEDED_BATCH_RECORD_SIZE") || problem.mentions("MALFORMED_REQUEST") => {
            rejected(answer, 3)
        }
        503 if problem.title.ends_with("PartitionNotFoundException") => Verdict::Stubborn(words(answer)),
        404 | 405 => Verdict::PathOutage(words(answer)),
        503 => Verdict::Busy(words(answer)),
        _ => Verdict::Ambiguous(words(answer)),
    }
}

/// Judges an answer that does not come from the engine's job API: a router, a proxy, an ingress.
fn judge_foreign(answer: &Answer) -> Verdict {
    match answer.status {
        400 | 413 => rejected(answer, 1),
        404 | 405 => Verdict::PathOutage(words(answer)),
        503 => Verdict::Busy(words(answer)),
        status if status < 500 && answer.content_type == "text/html" => Verdict::PathOutage(words(answer)),
        _ => Verdict::Ambiguous(words(answer)),
    }
}

fn is_error(command: &Command) -> bool {
    matches!(command, Command::Settle(Outcome::Error { .. }))
}

fn rejected(answer: &Answer, certain_after: u32) -> Verdict {
    Verdict::Rejected { words: words(answer), certain_after }
}

/// What a failed activation calls for.
pub(super) fn refusal(answer: &Answer) -> Refusal {
    // Before backpressure: a message that is too large is told as exhausted resources, too.
    if is_too_large(answer) {
        return Refusal::TooLarge(words(answer));
    }
    if is_backpressure(answer) {
        return Refusal::Backpressure;
    }
    match answer.status {
        401 => Refusal::Unauthorized(unauthorized(answer)),
        403 => Refusal::Wrong(format!("{}: the credentials may not activate jobs", words(answer))),
        400 if Problem::of(answer).is_some() => Refusal::Refused(words(answer)),
        400 | 404 | 405 | 406 | 415 => Refusal::Wrong(words(answer)),
        _ => Refusal::Transient(words(answer)),
    }
}

/// Whether a server refuses to lease with tokens because it is too old for them.
pub(super) fn refuses_leases(answer: &Answer) -> bool {
    Problem::of(answer).is_some_and(|problem| UNKNOWN_MEMBER.iter().any(|words| problem.mentions(words)))
}

fn is_too_large(answer: &Answer) -> bool {
    answer.status == 413
        || (answer.status >= 500
            && Problem::of(answer)
                .is_some_and(|problem| TOO_LARGE.iter().any(|words| problem.mentions(words))))
}

/// Backpressure in every encoding that 8.6 to 8.10 and the proxies before them have used.
fn is_backpressure(answer: &Answer) -> bool {
    match answer.status {
        429 => true,
        503 if answer.body.is_empty() => true,
        500 | 503 => Problem::of(answer).is_some_and(|problem| problem.mentions("RESOURCE_EXHAUSTED")),
        _ => false,
    }
}

/// What a refusal of the credentials says.
pub(super) fn unauthorized(answer: &Answer) -> String {
    format!("{}: the engine refuses the credentials", words(answer))
}
