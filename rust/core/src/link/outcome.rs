//! What a handler's run ended in, owned (as the core keeps it) and borrowed (as the worker writes it).

use bytes::Bytes;

/// The outcome of one job, on its way from the worker to the engine.
///
/// JSON members are kept as the worker's bytes: they are spliced into the engine's request without being parsed.
/// Bytes decoded from a link share the reader's buffer (64 KiB at most for small frames) and keep it alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned.
    Complete {
        /// A JSON object of variables; none leaves the engine's variables as they are.
        variables: Option<Bytes>,
        /// A JSON value in the engine's own shape for results.
        result: Option<Bytes>,
        /// The business id that the job's process instance gets.
        business_id: Option<String>,
    },
    /// The handler failed.
    Fail {
        /// What the engine shows to an operator.
        message: String,
        /// The retries the job has left; none means one less than it has.
        retries: Option<i32>,
        /// Milliseconds until the job may be activated again; none means the default back-off.
        backoff_ms: Option<u64>,
        /// A JSON object of variables to set with the failure.
        variables: Option<Bytes>,
    },
    /// The handler threw a BPMN error.
    Error {
        /// The code a boundary event catches.
        code: String,
        /// What the engine shows to an operator.
        message: Option<String>,
        /// A JSON object of variables to set with the error.
        variables: Option<Bytes>,
    },
    /// The job goes back to the engine with unchanged retries.
    HandBack {
        /// Why, for an operator.
        message: String,
        /// Milliseconds until the job may be activated again.
        backoff_ms: u64,
    },
}

/// [`Outcome`] with borrowed members, so that a worker writes it without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the members are those of `Outcome`")]
pub enum OutcomeRef<'a> {
    Complete { variables: Option<&'a [u8]>, result: Option<&'a [u8]>, business_id: Option<&'a str> },
    Fail { message: &'a str, retries: Option<i32>, backoff_ms: Option<u64>, variables: Option<&'a [u8]> },
    Error { code: &'a str, message: Option<&'a str>, variables: Option<&'a [u8]> },
    HandBack { message: &'a str, backoff_ms: u64 },
}

impl Outcome {
    /// The pause before the next try of a failure that names none. It is a window in which repeating the failure,
    /// when its answer was lost, cannot hit the next holder of the job.
    pub const USUAL_BACKOFF_MS: u64 = 1_000;

    /// The same outcome, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> OutcomeRef<'_> {
        match self {
            Self::Complete { variables, result, business_id } => OutcomeRef::Complete {
                variables: variables.as_deref(),
                result: result.as_deref(),
                business_id: business_id.as_deref(),
            },
            Self::Fail { message, retries, backoff_ms, variables } => OutcomeRef::Fail {
                message,
                retries: *retries,
                backoff_ms: *backoff_ms,
                variables: variables.as_deref(),
            },
            Self::Error { code, message, variables } => {
                OutcomeRef::Error { code, message: message.as_deref(), variables: variables.as_deref() }
            }
            Self::HandBack { message, backoff_ms } => {
                OutcomeRef::HandBack { message, backoff_ms: *backoff_ms }
            }
        }
    }
}

impl OutcomeRef<'_> {
    /// About how many bytes its frame takes, never too few.
    pub(super) fn frame_bytes(&self) -> usize {
        const FIXED: usize = 64;
        let members = match self {
            Self::Complete { variables, result, business_id } => {
                [variables.map(<[u8]>::len), result.map(<[u8]>::len), business_id.map(str::len)]
            }
            Self::Fail { message, variables, .. } => [Some(message.len()), variables.map(<[u8]>::len), None],
            Self::Error { code, message, variables } => {
                [Some(code.len()), message.map(str::len), variables.map(<[u8]>::len)]
            }
            Self::HandBack { message, .. } => [Some(message.len()), None, None],
        };
        members.into_iter().flatten().fold(FIXED, usize::saturating_add)
    }
}
