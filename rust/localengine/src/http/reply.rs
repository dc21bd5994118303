//! What the dialects answer, before it becomes HTTP.

use std::rc::Rc;

use bytes::Bytes;

use super::receipt::Receipt;
use crate::store::{Batch, Mark};

/// Status, type and bytes of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) const NO_CONTENT: Self = Self { status: 204, content_type: None, body: Bytes::new() };

    pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: Some("application/json"), body: body.into() }
    }
}

/// An answer and what hangs on its arrival.
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) batch: Option<Rc<Batch>>,
    pub(crate) mark: Option<Mark>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { answer, batch: None, mark: None }
    }
}

/// What goes out for a request.
pub(super) enum Outgoing {
    /// The whole answer.
    Whole(Answer, Option<Receipt>),
    /// The whole head and half of the body.
    Half(Answer),
    /// A reset.
    Reset,
}
