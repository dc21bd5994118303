//! One HTTP/1.1 connection, driven by whoever sends on it: no task of its own, no channel between tasks, nothing
//! allocated for a request or for an answer without a body. A general client takes half of what an outcome costs in
//! user space.

mod body;
mod head;
mod input;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep, sleep_until};

pub(super) use head::media_type;
use head::{Framing, Head};
use input::Input;

use super::error::{SendError, connection_words, refused_handshake, tls_error};
use super::socket::Socket;
use super::{Age, Kind, Open, Transport};
use crate::engine::{Answer, Request};

/// Bodies up to this length are copied behind the head; longer ones leave from where they are.
const COPIED_BYTES: usize = 8 * 1024;

/// See the module.
pub(super) struct Http1 {
    socket: Socket,
    input: Input,
    /// The head of a request, and its body where that is short.
    output: Vec<u8>,
    /// Kept over requests: moving it to a later time costs less than making one.
    timer: Pin<Box<Sleep>>,
    closed: bool,
    /// Why it closed, where that is known.
    words: Option<String>,
    age: Age,
    pub(super) peer: Option<SocketAddr>,
    _open: Open,
}

/// Why the exchange of a request and its answer broke off.
enum Broken {
    /// The deadline came.
    Late,
    /// Nothing of the request had been sent.
    Unsent(io::Error),
    Socket(io::Error),
    /// The engine closed the connection before the end of the answer's head.
    Ended,
    /// What came is no answer.
    Nonsense(String),
}

impl Http1 {
    pub(super) fn new(socket: Socket, kind: Kind, age: Age, open: Open) -> Self {
        let input = Input::new(match kind {
            Kind::Outcomes => 4 * 1024,
            Kind::Polls => 16 * 1024,
        });
        let (output, timer) = (Vec::with_capacity(1024), Box::pin(sleep_until(Instant::now())));
        let peer = socket.peer();
        Self { socket, input, output, timer, closed: false, words: None, age, peer, _open: open }
    }

    /// Whether another request may go out on it. Looks at the socket, so a close by the engine is seen.
    pub(super) async fn reusable(&mut self) -> bool {
        if self.closed || self.age.over() {
            return false;
        }
        self.look().await;
        !self.closed
    }

    /// Sends one request and reads its answer to the end.
    pub(super) async fn send(
        &mut self,
        transport: &Transport,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        self.output.clear();
        transport.write_http1(request, &mut self.output)?;
        let body = if request.body.len() > COPIED_BYTES {
            request.body.as_ref()
        } else {
            self.output.extend_from_slice(&request.body);
            &[]
        };
        self.look().await;
        if self.closed {
            let words = self.words.take();
            return Err(SendError::Gone(words.unwrap_or_else(|| "the connection was given up".to_owned())));
        }
        self.timer.as_mut().reset(deadline);
        // Whoever drops this in the middle leaves a connection on which nothing else can be sent.
        self.closed = true;
        let head = self.exchange(body).await.map_err(Broken::meaning)?;
        let keep_alive = head.keep_alive;
        let answer = self.read_body(head).await?;
        self.closed = !keep_alive;
        self.age.used();
        Ok(answer)
    }

    /// Sees, without waiting, that the engine has closed, or has sent what nobody asked for.
    async fn look(&mut self) {
        if self.closed {
            return;
        }
        let words = if !self.input.unread().is_empty() {
            "the connection broke: the engine sent more than its answer".to_owned()
        } else {
            let filled = poll_fn(|cx| Poll::Ready(self.input.poll_fill(&mut self.socket, cx)));
            match filled.await {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => "the connection broke: the engine closed it".to_owned(),
                Poll::Ready(Ok(_)) => {
                    "the connection broke: the engine sent what nobody asked for".to_owned()
                }
                Poll::Ready(Err(error)) => connection_words(&error),
            }
        };
        self.closed = true;
        self.words = Some(words);
    }

    /// Sends what is in `output`, and `body`; returns the head of the answer.
    async fn exchange(&mut self, body: &[u8]) -> Result<Head, Broken> {
        let total = self.output.len() + body.len();
        let mut written = 0;
        let sent = self.in_time(|this, cx| this.poll_send(cx, body, &mut written)).await?;
        if let Err(error) = sent {
            if written == 0 {
                return Err(Broken::Unsent(error));
            }
            // The engine may have answered before it closed.
            return self.read_head().await.map(Head::last).map_err(|_| Broken::Socket(error));
        }
        let head = self.read_head().await?;
        // An engine that answered before it had everything may take the rest for the next request.
        Ok(if written < total { head.last() } else { head })
    }

    /// Ready when all is out, or an answer comes before.
    fn poll_send(&mut self, cx: &mut Context<'_>, body: &[u8], written: &mut usize) -> Poll<io::Result<()>> {
        let waits = loop {
            let (head, body) = match self.output.get(*written..) {
                Some(head) => (head, body),
                None => (&[][..], body.get(*written - self.output.len()..).unwrap_or_default()),
            };
            if head.is_empty() && body.is_empty() {
                break Pin::new(&mut self.socket).poll_flush(cx)?;
            }
            let wrote = if body.is_empty() {
                Pin::new(&mut self.socket).poll_write(cx, head)
            } else {
                let slices = [io::IoSlice::new(head), io::IoSlice::new(body)];
                Pin::new(&mut self.socket).poll_write_vectored(cx, &slices)
            };
            match wrote? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(count) => *written += count,
                Poll::Pending => break Poll::Pending,
            }
        };
        if waits.is_pending() && self.input.poll_fill(&mut self.socket, cx)?.is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// The head of the answer, after those that only announce one.
    async fn read_head(&mut self) -> Result<Head, Broken> {
        loop {
            if !self.input.unread().is_empty()
                && let Some((head, length)) = Head::parse(self.input.unread()).map_err(Broken::Nonsense)?
            {
                self.input.consume(length);
                if head.is_final() {
                    return Ok(head);
                }
                continue;
            }
            let filled = self.in_time(|this, cx| this.input.poll_fill(&mut this.socket, cx)).await?;
            if filled.map_err(Broken::Socket)? == 0 {
                return Err(Broken::Ended);
            }
        }
    }

    async fn read_body(&mut self, head: Head) -> Result<Answer, SendError> {
        let mut answer =
            Answer { status: head.status, content_type: head.content_type, body: Bytes::new(), whole: true };
        if head.framing != Framing::Length(0) {
            (answer.body, answer.whole) = self.receive(head.framing).await;
        }
        if answer.whole { Ok(answer) } else { Err(SendError::Cut(answer)) }
    }

    /// `step`, unless the deadline comes first.
    async fn in_time<T>(
        &mut self,
        mut step: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Broken> {
        poll_fn(|cx| match step(self, cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.timer.as_mut().poll(cx).map(|()| Err(Broken::Late)),
        })
        .await
    }
}

impl Broken {
    /// What it means for the request.
    fn meaning(self) -> SendError {
        match self {
            Self::Late => SendError::Ambiguous("no answer in time".to_owned()),
            Self::Unsent(error) => SendError::Gone(connection_words(&error)),
            Self::Socket(error) if tls_error(&error).is_some_and(refused_handshake) => {
                SendError::Gone(connection_words(&error))
            }
            Self::Socket(error) => SendError::Ambiguous(connection_words(&error)),
            Self::Ended => SendError::Ambiguous(
                "the connection broke: the engine closed it before it answered".to_owned(),
            ),
            Self::Nonsense(words) => SendError::Ambiguous(words),
        }
    }
}

#[cfg(test)]
mod tests;
