//! HTTP/2: connections that many senders share, each of them with one stream at a time.
//!
//! Senders talk to the connection's state themselves: a request costs no task and no channel of its own. One task
//! per connection reads and writes; it runs after the senders that one read has woken, so their requests leave in
//! one write.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use h2::client::{Builder, Connection, SendRequest};
use h2::{PingPong, Reason, RecvStream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::dial::HANDSHAKE_LIMIT;
use super::error::{SendError, connection_words, refused_handshake, tls_words};
use super::http1::media_type;
use super::socket::{Fault, HalfClose, Socket};
use super::{Age, Kind, Open};
use crate::engine::Answer;
use crate::tasks::caught;

/// More streams on one connection save nothing more, and one lost packet would hold up all of them.
const MOST_SEATS: usize = 128;

/// One connection.
pub(super) struct Shared {
    sender: SendRequest<Bytes>,
    life: Rc<Life>,
    seats: Cell<usize>,
    age: Age,
    peer: Option<SocketAddr>,
    half_close: Option<Rc<HalfClose>>,
}

/// What the task of a connection tells about it.
struct Life {
    /// No request goes out on it any more.
    over: Cell<bool>,
    /// Why it broke.
    words: RefCell<Option<String>>,
    fault: Fault,
}

impl Shared {
    /// Starts a connection and waits until the engine has shown that it speaks HTTP/2, and with which limits.
    pub(super) async fn open(
        mut socket: Socket,
        kind: Kind,
        age: Age,
        open: Open,
        half_close: Option<Rc<HalfClose>>,
    ) -> Result<Rc<Self>, SendError> {
        let peer = socket.peer();
        let life = Rc::new(Life { over: Cell::new(false), words: RefCell::default(), fault: socket.fault() });
        let opening = async {
            let (sender, mut connection) = settings(kind).handshake(socket).await?;
            let ping = connection.ping_pong();
            tokio::task::spawn_local(carry(connection, Rc::clone(&life), open));
            answer_to_ping(ping).await.map(|()| sender)
        };
        let failed = |words: String| {
            let hint = "set engine.http2 to \"never\" if the engine speaks HTTP/1.1 only";
            SendError::Unsent(format!("{words}; {hint}"))
        };
        match timeout(HANDSHAKE_LIMIT, opening).await {
            Ok(Ok(sender)) => Ok(Rc::new(Self { sender, life, seats: Cell::new(0), age, peer, half_close })),
            Ok(Err(error)) if life.refused() => Err(SendError::Unsent(life.words_of(&error))),
            Ok(Err(error)) => Err(failed(life.words.take().unwrap_or_else(|| life.words_of(&error)))),
            Err(_) => Err(failed(format!("no answer to HTTP/2 in {} s", HANDSHAKE_LIMIT.as_secs()))),
        }
    }

    /// A place for one more sender, unless there is none.
    pub(super) fn seat(self: &Rc<Self>) -> Option<Seat> {
        if self.ended() || self.seats.get() >= self.limit() {
            return None;
        }
        self.seats.set(self.seats.get() + 1);
        let place = Place { shared: Rc::clone(self), sender: self.sender.clone() };
        Some(Seat { place, timer: Box::pin(sleep_until(Instant::now())) })
    }

    /// Senders that it carries.
    pub(super) fn seats(&self) -> usize {
        self.seats.get()
    }

    fn limit(&self) -> usize {
        self.sender.current_max_send_streams().min(MOST_SEATS)
    }

    /// Whether it takes no further request.
    pub(super) fn ended(&self) -> bool {
        let half_closed = self.half_close.as_ref().is_some_and(|half_close| half_close.is_wanted());
        self.life.over.get() || half_closed || self.age.over()
    }
}

fn settings(kind: Kind) -> Builder {
    let mut builder = Builder::new();
    builder.enable_push(false);
    let (stream_bytes, connection_bytes) = match kind {
        Kind::Outcomes => (256 << 10, 2 << 20),
        // Answers with jobs arrive whole without a round trip in between.
        Kind::Polls => (16 << 20, 64 << 20),
    };
    builder.initial_window_size(stream_bytes).initial_connection_window_size(connection_bytes);
    builder
}

/// Reads and writes until the connection ends, which is when nobody holds a sender any more, or earlier.
async fn carry(connection: Connection<Socket>, life: Rc<Life>, _open: Open) {
    // Whatever ends it, a panic included: nobody may take a seat any more.
    *life.words.borrow_mut() = match caught(connection).await {
        Ok(ended) => ended.err().map(|error| life.words_of(&error)),
        Err(words) => Some(format!("the connection's task failed: {words}")),
    };
    life.over.set(true);
}

async fn answer_to_ping(ping: Option<PingPong>) -> Result<(), h2::Error> {
    match ping {
        Some(mut ping) => ping.ping(h2::Ping::opaque()).await.map(drop),
        None => Ok(()),
    }
}

impl Life {
    /// Whether the engine ended the handshake of TLS after all: it has read nothing.
    fn refused(&self) -> bool {
        self.fault.borrow().as_ref().is_some_and(refused_handshake)
    }

    fn words_of(&self, error: &h2::Error) -> String {
        if let Some(fault) = self.fault.borrow().as_ref() {
            return tls_words(fault);
        }
        match error.reason() {
            Some(reason) if error.is_remote() => {
                format!("the engine ended the HTTP/2 connection: {}", reason.description())
            }
            Some(reason) => format!("what answers does not keep to HTTP/2: {}", reason.description()),
            None => connection_words(error),
        }
    }
}

/// One sender on a connection.
pub(super) struct Seat {
    place: Place,
    /// Kept over requests: moving it to a later time costs less than making one.
    timer: Pin<Box<Sleep>>,
}

struct Place {
    shared: Rc<Shared>,
    sender: SendRequest<Bytes>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.seats.set(self.shared.seats.get() - 1);
    }
}

impl Seat {
    /// What half-closes its connection.
    pub(super) fn half_close(&self) -> Option<Rc<HalfClose>> {
        self.place.shared.half_close.clone()
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.place.shared.peer
    }

    /// Whether another request may go out from it.
    pub(super) fn reusable(&self) -> bool {
        !self.place.shared.ended() && self.place.shared.seats.get() <= self.place.shared.limit()
    }

    /// Sends one request and reads its answer to the end.
    pub(super) async fn send(
        &mut self,
        mut request: http::Request<()>,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        if !body.is_empty() {
            request.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        }
        self.timer.as_mut().reset(deadline);
        let in_time = {
            let Self { place, timer } = self;
            let mut exchange = pin!(place.exchange(request, body));
            poll_fn(|cx| match exchange.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
            })
            .await
        };
        if let Some(result) = in_time {
            self.place.shared.age.used();
            return result;
        }
        // What is left of the connection may be half-open: those who have requests on it may wait, no other.
        self.place.shared.life.over.set(true);
        Err(SendError::Ambiguous("no answer in time".to_owned()))
    }
}

impl Place {
    async fn exchange(&mut self, request: http::Request<()>, body: Bytes) -> Result<Answer, SendError> {
        let ready = poll_fn(|cx| self.sender.poll_ready(cx)).await;
        ready.map_err(|error| self.gone(&error))?;
        let (response, mut stream) =
            self.sender.send_request(request, body.is_empty()).map_err(|error| self.gone(&error))?;
        if !body.is_empty() {
            // A stream that ended meanwhile tells so in its response.
            let _ = stream.send_data(body, true);
        }
        let (parts, body) = response.await.map_err(|error| self.unanswered(&error))?.into_parts();
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut answer = Answer {
            status: parts.status.as_u16(),
            content_type: content_type.map(media_type).unwrap_or_default(),
            body: Bytes::new(),
            whole: true,
        };
        if !body.is_end_stream() {
            (answer.body, answer.whole) = read(body).await;
        }
        if answer.whole { Ok(answer) } else { Err(SendError::Cut(answer)) }
    }

    /// The connection ended before it took the request.
    fn gone(&self, error: &h2::Error) -> SendError {
        self.shared.life.over.set(true);
        SendError::Gone(self.shared.life.words_of(error))
    }

    /// What a stream without an answer means (RFC 9113, section 8.7): a stream that was refused, and one beyond the
    /// last that a closing engine names, have not been processed; of every other one nothing is known.
    fn unanswered(&self, error: &h2::Error) -> SendError {
        if error.is_reset() {
            return match error.reason() {
                Some(Reason::REFUSED_STREAM) => {
                    SendError::Refused("the engine refuses the stream".to_owned())
                }
                _ => SendError::Ambiguous(format!("the stream was reset: {error}")),
            };
        }
        let life = &self.shared.life;
        life.over.set(true);
        if (error.is_go_away() && error.is_remote()) || life.refused() {
            return SendError::Gone(life.words_of(error));
        }
        SendError::Ambiguous(life.words_of(error))
    }
}

/// The body, and whether it came whole.
async fn read(mut body: RecvStream) -> (Bytes, bool) {
    let Some(first) = body.data().await else { return (Bytes::new(), true) };
    let Ok(first) = first else { return (Bytes::new(), false) };
    release(&mut body, first.len());
    // Short answers come in one frame: nothing is copied then.
    if body.is_end_stream() {
        return (first, true);
    }
    let mut received = BytesMut::from(first);
    while let Some(part) = body.data().await {
        let Ok(part) = part else { return (received.freeze(), false) };
        release(&mut body, part.len());
        received.extend_from_slice(&part);
    }
    (received.freeze(), true)
}

fn release(body: &mut RecvStream, length: usize) {
    // Fails only for more than was received.
    let _ = body.flow_control().release_capacity(length);
}

#[cfg(test)]
#[path = "http2_tests.rs"]
mod tests;
