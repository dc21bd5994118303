//! What the web server checks before any operation: credentials, media types, and sizes.

use super::{Intake, problem};
use crate::faults;
use crate::http::Answer;
use crate::options::{Dialect, Settings};

/// The media type by which a client of 8.7 and newer asks for keys as strings; 8.6 does not know it.
const STRING_KEYS: &str = "application/vnd.camunda.api.keys.string+json";

/// The answer of a request that does not get through.
pub(super) fn check(settings: &Settings, intake: &Intake<'_>) -> Result<(), Answer> {
    let (head, path, dialect) = (intake.head, intake.head.path, settings.dialect);
    if !settings.require_authorization.is_empty() {
        let given = head.authorization.unwrap_or_default();
        if !settings.require_authorization.iter().any(|accepted| accepted.as_bytes() == given) {
            return Err(faults::unauthorized(path));
        }
    }
    if !intake.body.is_empty() && !head.content_type.is_some_and(is_json) {
        return Err(problem::router(dialect, 415, "Unsupported Media Type", path));
    }
    if head.accept.is_some_and(|accept| !accepts_json(dialect, accept)) {
        return Err(problem::router(dialect, 406, "Not Acceptable", path));
    }
    // Sizes as measured: refused by the log first, by the transport later.
    match intake.body.len() / settings.max_record_bytes.max(1) {
        0 => Ok(()),
        1 => {
            let detail = "Command rejected with code 'EXCEEDED_BATCH_RECORD_SIZE': the record is too large";
            Err(problem::problem(500, "EXCEEDED_BATCH_RECORD_SIZE", detail, path))
        }
        _ => Err(problem::problem(500, "MALFORMED_REQUEST", "The request exceeds the message size", path)),
    }
}

fn is_json(value: &[u8]) -> bool {
    value.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/json"))
}

fn accepts_json(dialect: Dialect, value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let json = ["*/*", "application/json", "application/*"];
    value.split(',').map(|range| range.split(';').next().unwrap_or_default().trim()).any(|range| {
        json.contains(&range) || range.is_empty() || (range == STRING_KEYS && dialect > Dialect::V8_6)
    })
}
