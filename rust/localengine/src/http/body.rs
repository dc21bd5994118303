//! The body of an answer; it knows when the connection has taken all of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::connection::Connection;
use super::receipt::Receipt;

/// See the module. When dropped, its receipt waits in the connection for the flush.
pub(crate) struct AnswerBody {
    data: Option<Bytes>,
    ticket: Option<(Rc<Connection>, Receipt)>,
}

impl AnswerBody {
    pub(crate) fn new(data: Bytes, ticket: Option<(Rc<Connection>, Receipt)>) -> Self {
        Self { data: Some(data).filter(|data| !data.is_empty()), ticket }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Some((connection, receipt)) = self.ticket.take()
            && self.data.is_none()
        {
            connection.confirm_when_flushed(receipt);
        }
    }
}
