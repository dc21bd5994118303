//! The wrong answers.

use bytes::Bytes;

use super::{FaultKind, Target};
use crate::camunda::problem::{problem, router};
use crate::http::Answer;
use crate::options::Dialect;

const EXHAUSTED: &str = "RESOURCE_EXHAUSTED";

/// The answer of a refusal.
pub(super) fn refusal(kind: FaultKind, dialect: Dialect, target: Target, path: &str) -> Answer {
    match kind {
        FaultKind::Backpressure => backpressure(dialect, target, path),
        FaultKind::TooManyRequests => problem(429, EXHAUSTED, "The engine has too much to do.", path),
        FaultKind::BareUnavailable => Answer { status: 503, content_type: None, body: Bytes::new() },
        FaultKind::PartitionNotFound => problem(
            503,
            "io.camunda.zeebe.broker.client.api.PartitionNotFoundException",
            "Expected to send a command to partition 7, but there is no such partition",
            path,
        ),
        FaultKind::HiddenBackpressure => problem(
            500,
            "java.lang.RuntimeException",
            "Expected to handle the request, but got an error: code = RESOURCE_EXHAUSTED",
            path,
        ),
        FaultKind::RecordTooLarge => problem(
            500,
            "EXCEEDED_BATCH_RECORD_SIZE",
            "Command rejected with code 'EXCEEDED_BATCH_RECORD_SIZE': the record is too large",
            path,
        ),
        FaultKind::Unauthorized => unauthorized(path),
        FaultKind::Forbidden => problem(403, "FORBIDDEN", "The principal may not do this.", path),
        FaultKind::ProxyNotFound => html(404, "404 Not Found"),
        FaultKind::ProxyBadGateway => html(502, "502 Bad Gateway"),
        FaultKind::GatewayTimeout => {
            problem(504, "DEADLINE_EXCEEDED", "The broker did not answer in time.", path)
        }
        _ => problem(503, EXHAUSTED, "The engine has too much to do.", path),
    }
}

/// What an unauthorised request gets, from the web server rather than from an operation.
pub(crate) fn unauthorized(path: &str) -> Answer {
    router(Dialect::V8_6, 401, "Unauthorized", path)
}

fn backpressure(dialect: Dialect, target: Target, path: &str) -> Answer {
    let kind = match (dialect, target) {
        (Dialect::V8_6, Target::Activate) => FaultKind::HiddenBackpressure,
        (Dialect::V8_6, _) => FaultKind::TooManyRequests,
        _ => FaultKind::Unavailable,
    };
    refusal(kind, dialect, target, path)
}

fn html(status: u16, title: &str) -> Answer {
    let body =
        format!("<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n");
    Answer { status, content_type: Some("text/html"), body: body.into() }
}
