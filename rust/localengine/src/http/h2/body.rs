//! The body of an answer on an HTTP/2 stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::http::receipt::Receipt;

/// A fault ends the stream here.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("broken off by a fault")
    }
}

impl std::error::Error for BrokenOff {}

/// See the module. Its receipt is confirmed once hyper has taken everything: what the client's window leaves
/// unsent after that is not told apart.
pub(super) struct AnswerBody {
    data: Option<Bytes>,
    length: u64,
    breaks_off: bool,
    receipt: Option<Receipt>,
}

impl AnswerBody {
    pub(super) fn whole(data: Bytes, receipt: Option<Receipt>) -> Self {
        let length = data.len() as u64;
        Self { data: Some(data).filter(|data| !data.is_empty()), length, breaks_off: false, receipt }
    }

    /// Announces all of `data` and sends half of it.
    pub(super) fn half(mut data: Bytes) -> Self {
        let length = data.len() as u64;
        data.truncate(data.len() / 2);
        Self { data: Some(data), length, breaks_off: true, receipt: None }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        Poll::Ready(match this.data.take() {
            Some(data) => Some(Ok(Frame::data(data))),
            None => this.breaks_off.then_some(Err(BrokenOff)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && !self.breaks_off
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if self.data.is_none()
            && let Some(receipt) = self.receipt.take()
        {
            receipt.confirm();
        }
    }
}
