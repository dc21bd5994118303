//! Error bodies: problem+json as the engine writes it, and whatever else a proxy or router may send.

use serde::Deserialize;

use super::Answer;

/// The members of a problem body (RFC 9457) that decisions depend on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    pub(super) title: String,
    pub(super) detail: String,
}

impl Problem {
    /// The problem in `answer`; None when the body is anything else, such as a proxy's HTML.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        if answer.content_type != "application/problem+json" {
            return None;
        }
        serde_json::from_slice(&answer.body).ok()
    }

    pub(super) fn mentions(&self, word: &str) -> bool {
        self.title.contains(word) || self.detail.contains(word)
    }
}

/// The engine's own words for an error, or a description of what answered instead.
pub(super) fn words(answer: &Answer) -> String {
    match Problem::of(answer) {
        Some(problem) if problem.detail.is_empty() => format!("HTTP {}: {}", answer.status, problem.title),
        Some(problem) => format!("HTTP {} {}: {}", answer.status, problem.title, problem.detail),
        None => {
            let kind = if answer.content_type.is_empty() { "an empty answer" } else { &answer.content_type };
            format!("HTTP {} with {kind}", answer.status)
        }
    }
}
