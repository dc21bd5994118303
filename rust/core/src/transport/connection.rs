//! One HTTP/1.1 connection, driven by whoever sends on it: no task of its own, no channel between tasks.

use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::CONTENT_TYPE;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Kind;
use super::stream::Stream;
use crate::engine::Answer;

/// The engine closes a connection that was idle for 60 s; an older one is not worth the risk of a reset.
const IDLE_LIMIT: Duration = Duration::from_secs(45);

/// Connections move on to newly resolved addresses after this time.
const AGE_LIMIT: Duration = Duration::from_secs(600);

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The request never left: it may be sent again without any doubt.
    Unsent(String),
    /// The request left and may have had its effect.
    Ambiguous(String),
    /// The answer broke off in the middle of its body.
    Cut(Answer),
}

type Request = hyper::Request<Full<Bytes>>;
type Driver = http1::Connection<Stream, Full<Bytes>>;

pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
    closed: bool,
    born: Instant,
    used: Instant,
    handle: Option<OwnedFd>,
}

impl Connection {
    pub(super) async fn open(socket: TcpStream, kind: Kind) -> Result<Self, SendError> {
        let unsent = |error: &dyn std::fmt::Display| SendError::Unsent(format!("connection: {error}"));
        socket.set_nodelay(true).map_err(|error| unsent(&error))?;
        let (buffer_bytes, handle) = match kind {
            Kind::Outcomes => (4 * 1024, None),
            Kind::Polls => (64 * 1024, socket.as_fd().try_clone_to_owned().ok()),
        };
        let stream = Stream::new(socket, buffer_bytes);
        let (sender, driver) =
            http1::Builder::new().handshake(stream).await.map_err(|error| unsent(&error))?;
        let now = Instant::now();
        Ok(Self { sender, driver: Box::pin(driver), closed: false, born: now, used: now, handle })
    }

    /// A handle that can half-close this connection while it waits for an answer.
    pub(crate) fn take_handle(&mut self) -> Option<OwnedFd> {
        self.handle.take()
    }

    /// Whether another request may go out on it. Looks at the socket, so a close by the engine is seen.
    pub(crate) async fn reusable(&mut self) -> bool {
        if self.closed || self.used.elapsed() > IDLE_LIMIT || self.born.elapsed() > AGE_LIMIT {
            return false;
        }
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        !self.closed && !self.sender.is_closed()
    }

    /// Sends one request and reads its answer to the end.
    pub(crate) async fn send(&mut self, request: Request, deadline: Instant) -> Result<Answer, SendError> {
        let Ok(result) = tokio::time::timeout_at(deadline, self.exchange(request)).await else {
            self.closed = true;
            return Err(SendError::Ambiguous("no answer in time".to_owned()));
        };
        self.used = Instant::now();
        if result.is_err() {
            self.closed = true;
        }
        result
    }

    async fn exchange(&mut self, request: Request) -> Result<Answer, SendError> {
        let ready = poll_fn(|cx| {
            self.drive(cx);
            self.sender.poll_ready(cx)
        });
        ready.await.map_err(|error| SendError::Unsent(format!("connection closed: {error}")))?;
        let mut response = pin!(self.sender.try_send_request(request));
        let head = poll_fn(|cx| {
            drive(&mut self.driver, &mut self.closed, cx);
            response.as_mut().poll(cx)
        });
        let response = head.await.map_err(|mut failed| {
            let unsent = failed.take_message().is_some();
            let text = format!("connection broke: {}", failed.error());
            if unsent { SendError::Unsent(text) } else { SendError::Ambiguous(text) }
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
                self.drive(cx);
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

    fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, &mut self.closed, cx);
    }
}

/// Lets the connection read and write; remembers when it has ended, whatever the reason.
fn drive(driver: &mut Pin<Box<Driver>>, closed: &mut bool, cx: &mut Context<'_>) {
    if !*closed && driver.as_mut().poll(cx).is_ready() {
        *closed = true;
    }
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}
