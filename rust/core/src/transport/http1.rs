//! One HTTP/1.1 connection, driven by whoever sends on it: no task of its own, no channel between tasks.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::CONTENT_TYPE;
use tokio::time::Instant;

use super::error::{SendError, connection_words, refused_handshake, tls_error};
use super::socket::Socket;
use super::stream::Stream;
use super::{Age, Kind, Open};
use crate::engine::Answer;

type Request = hyper::Request<Full<Bytes>>;
type Driver = http1::Connection<Stream, Full<Bytes>>;

pub(super) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    driven: Driven,
    age: Age,
    _open: Open,
}

/// The reading and writing half, and how it ended.
struct Driven {
    driver: Pin<Box<Driver>>,
    closed: bool,
    words: Option<String>,
}

impl Http1 {
    pub(super) async fn open(socket: Socket, kind: Kind, age: Age, open: Open) -> Result<Self, SendError> {
        let buffer_bytes = match kind {
            Kind::Outcomes => 4 * 1024,
            Kind::Polls => 64 * 1024,
        };
        let stream = Stream::new(socket, buffer_bytes);
        let handshake = http1::Builder::new().handshake(stream).await;
        let (sender, driver) =
            handshake.map_err(|error| SendError::Unsent(format!("connection: {error}")))?;
        let driven = Driven { driver: Box::pin(driver), closed: false, words: None };
        Ok(Self { sender, driven, age, _open: open })
    }

    /// Whether another request may go out on it. Looks at the socket, so a close by the engine is seen.
    pub(super) async fn reusable(&mut self) -> bool {
        if self.driven.closed || self.age.over() {
            return false;
        }
        poll_fn(|cx| {
            self.driven.poll(cx);
            Poll::Ready(())
        })
        .await;
        !self.driven.closed && !self.sender.is_closed()
    }

    /// Sends one request and reads its answer to the end.
    pub(super) async fn send(&mut self, request: Request, deadline: Instant) -> Result<Answer, SendError> {
        let Ok(result) = tokio::time::timeout_at(deadline, self.exchange(request)).await else {
            self.driven.closed = true;
            return Err(SendError::Ambiguous("no answer in time".to_owned()));
        };
        self.age.used();
        if result.is_err() {
            self.driven.closed = true;
        }
        result
    }

    async fn exchange(&mut self, request: Request) -> Result<Answer, SendError> {
        let ready = poll_fn(|cx| {
            self.driven.poll(cx);
            self.sender.poll_ready(cx)
        });
        ready.await.map_err(|error| self.driven.gone(&error))?;
        let mut response = pin!(self.sender.try_send_request(request));
        let head = poll_fn(|cx| {
            self.driven.poll(cx);
            response.as_mut().poll(cx)
        });
        let response = head.await.map_err(|mut failed| match failed.take_message() {
            Some(_) => self.driven.gone(failed.error()),
            None => unanswered(failed.error()),
        })?;
        let (parts, body) = response.into_parts();
        let content_type =
            parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(media_type);
        let answer = Answer {
            status: parts.status.as_u16(),
            content_type: content_type.unwrap_or_default(),
            body: Bytes::new(),
            whole: true,
        };
        if body.is_end_stream() { Ok(answer) } else { self.read_body(answer, body).await }
    }

    async fn read_body(&mut self, mut answer: Answer, body: Incoming) -> Result<Answer, SendError> {
        let mut body = pin!(body);
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(64 * 1024 * 1024);
        let mut received = BytesMut::with_capacity(expected);
        loop {
            let frame = poll_fn(|cx| {
                self.driven.poll(cx);
                body.as_mut().poll_frame(cx)
            });
            match frame.await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        received.extend_from_slice(&data);
                    }
                }
                Some(Err(_)) => {
                    answer.body = received.freeze();
                    answer.whole = false;
                    return Err(SendError::Cut(answer));
                }
                None => break,
            }
        }
        answer.body = received.freeze();
        Ok(answer)
    }
}

impl Driven {
    /// Lets the connection read and write; remembers when it has ended, whatever the reason.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if self.closed {
            return;
        }
        if let Poll::Ready(ended) = self.driver.as_mut().poll(cx) {
            self.closed = true;
            self.words = ended.err().map(|error| connection_words(&error));
        }
    }

    /// The connection ended before it took the request.
    fn gone(&mut self, error: &hyper::Error) -> SendError {
        SendError::Gone(self.words.take().unwrap_or_else(|| connection_words(error)))
    }
}

fn unanswered(error: &hyper::Error) -> SendError {
    if tls_error(error).is_some_and(refused_handshake) {
        SendError::Gone(connection_words(error))
    } else if error.is_parse() {
        let hint = "write https in place of http in the engine's address if it expects TLS";
        SendError::Ambiguous(format!("what answers does not speak HTTP/1.1; {hint}"))
    } else {
        SendError::Ambiguous(connection_words(error))
    }
}

/// The media type without its parameters, in lower case.
pub(super) fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}
