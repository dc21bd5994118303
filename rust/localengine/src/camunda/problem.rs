//! Error answers: RFC 9457 problems, and what the web server answers by itself.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::http::Answer;
use crate::options::Dialect;

/// A problem in Camunda's form.
pub(crate) fn problem(status: u16, title: &str, detail: &str, instance: &str) -> Answer {
    let body = json!({
        "type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance,
    });
    Answer { status, content_type: Some("application/problem+json"), body: body.to_string().into() }
}

/// A request that cannot be read.
pub(crate) fn bad_request(path: &str, detail: &str) -> Answer {
    problem(400, "Bad Request", detail, path)
}

/// A request whose values make no sense; all that is wrong in one answer.
pub(crate) fn invalid(path: &str, sentences: &[String]) -> Answer {
    problem(400, "INVALID_ARGUMENT", &sentences.join(" "), path)
}

/// An answer of the router, before any operation is found. 8.6 has a form of its own for these.
pub(crate) fn router(dialect: Dialect, status: u16, title: &str, path: &str) -> Answer {
    if dialect > Dialect::V8_6 {
        return problem(
            status,
            title,
            &format!("No static resource {}.", path.trim_start_matches('/')),
            path,
        );
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let body = json!({"timestamp": now, "status": status, "error": title, "path": path});
    Answer::json(status, body.to_string())
}
