//! The body of an answer; it knows when the connection has taken all of it, and can break off.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::Cut;
use super::connection::Connection;
use super::receipt::Receipt;

/// See the module. When dropped, its receipt waits in the connection for the flush.
pub(crate) struct AnswerBody {
    data: Option<Bytes>,
    /// Bytes announced; None sends chunks.
    length: Option<u64>,
    ending: Ending,
}

enum Ending {
    /// Whole, with what hangs on its arrival.
    Whole(Option<(Rc<Connection>, Receipt)>),
    /// Breaks off once the connection wrote out what it had, known by its number of flushes.
    BrokenOff { connection: Rc<Connection>, after: Option<u64> },
}

impl AnswerBody {
    pub(super) fn whole(data: Bytes, chunked: bool, ticket: Option<(Rc<Connection>, Receipt)>) -> Self {
        let length = Some(data.len() as u64).filter(|_| !chunked);
        Self { data: Some(data).filter(|data| !data.is_empty()), length, ending: Ending::Whole(ticket) }
    }

    /// Announces all of `data` and sends half of it.
    pub(super) fn broken_off(mut data: Bytes, chunked: bool, connection: Rc<Connection>) -> Self {
        let length = Some(data.len() as u64).filter(|_| !chunked);
        data.truncate(data.len() / 2);
        Self { data: Some(data), length, ending: Ending::BrokenOff { connection, after: None } }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        if let Some(data) = this.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let Ending::BrokenOff { connection, after } = &mut this.ending else { return Poll::Ready(None) };
        let flushes = connection.flushes();
        if flushes > *after.get_or_insert(flushes) {
            return Poll::Ready(Some(Err(Cut)));
        }
        connection.wake_when_flushed(cx.waker());
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && matches!(self.ending, Ending::Whole(_))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Ending::Whole(ticket) = &mut self.ending
            && self.data.is_none()
            && let Some((connection, receipt)) = ticket.take()
        {
            connection.confirm_when_flushed(receipt);
        }
    }
}
