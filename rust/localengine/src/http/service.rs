//! One request from its head to its answer.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};

use super::body::AnswerBody;
use super::connection::Connection;
use super::receipt::Receipt;
use super::reply::{Answer, Reply};
use super::{Cut, faulty};
use crate::camunda::{self, Verdict};
use crate::options::{Dialect, Settings};
use crate::polls::Held;
use crate::{admin, camunda::Intake};

/// Bodies beyond are refused: no client of a job API sends such.
const MAX_BODY: usize = 64 << 20;

pub(super) async fn answer(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Cut> {
    connection.begin();
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let answered = if connection.shared.state.borrow().faults.is_empty() {
        let reply = settle(&connection, &head, &body, |_| {}).await;
        let (answer, receipt) = seal(&connection, reply);
        Ok(respond(&connection, answer, Sending::Whole(receipt)))
    } else {
        // Boxed, so that the state of faults does not weigh on every request without one.
        Box::pin(faulty::answer(&connection, &head, &body)).await
    };
    connection.end();
    answered
}

/// Applies a request and waits for its reply. `on_hold` is told when it becomes a held poll.
pub(super) async fn settle(
    connection: &Rc<Connection>,
    head: &Parts,
    body: &[u8],
    on_hold: impl FnOnce(&Connection),
) -> Reply {
    let shared = &connection.shared;
    let verdict = shared.change(|state, now| match admin::handle(shared, state, head, body) {
        Some(answer) => answer.into(),
        None => camunda::handle(state, &Intake { now, caller: &connection.caller, head, body }),
    });
    match verdict {
        Verdict::Reply(reply) => reply,
        Verdict::Hold(held) => {
            on_hold(connection);
            hold(connection, held).await
        }
    }
}

/// The whole body. Bodies of commands come in one frame nearly always: then nothing is copied.
async fn read(mut body: Incoming) -> Result<Bytes, Cut> {
    let mut whole = Bytes::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame.map_err(|_| Cut)?.into_data() else { continue };
        if whole.is_empty() {
            whole = data;
        } else {
            let mut joined = BytesMut::from(whole);
            joined.extend_from_slice(&data);
            whole = joined.freeze();
        }
        if whole.len() > MAX_BODY {
            return Err(Cut);
        }
    }
    Ok(whole)
}

/// Waits for a job or for the end of the hold. When the client leaves, hyper drops this future.
async fn hold(connection: &Rc<Connection>, held: Rc<Held>) -> Reply {
    let shared = &connection.shared;
    let mut presence = Departure { connection, held: &held, waiting: true };
    let wait = Duration::from_millis(held.until.saturating_sub(shared.clock.now()));
    let reply = poll_fn(|cx| held.take(cx.waker()).map_or(Poll::Pending, Poll::Ready));
    let reply = tokio::time::timeout(wait, reply).await;
    presence.waiting = false;
    reply.unwrap_or_else(|_| {
        shared.state.borrow_mut().polls.remove(&held);
        camunda::no_jobs().into()
    })
}

/// Dropped while the poll is held: the client is gone.
struct Departure<'a> {
    connection: &'a Rc<Connection>,
    held: &'a Rc<Held>,
    waiting: bool,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        if !self.waiting {
            return;
        }
        let shared = &self.connection.shared;
        let mut state = shared.state.borrow_mut();
        if state.settings.notices_departed() {
            state.polls.remove(self.held);
        } else {
            self.held.departed.set(true);
        }
        drop(state);
        // Jobs may have come in the moment of the departure.
        let batch = self.held.take_orphan().and_then(|reply| reply.batch);
        drop(Receipt::new(shared, batch, None));
    }
}

/// Separates an answer from what hangs on its arrival.
pub(super) fn seal(connection: &Connection, reply: Reply) -> (Answer, Option<Receipt>) {
    let Reply { answer, batch, mark } = reply;
    (answer, Receipt::new(&connection.shared, batch, mark))
}

/// How much of an answer is sent.
pub(super) enum Sending {
    Whole(Option<Receipt>),
    Half,
}

pub(super) fn respond(connection: &Rc<Connection>, answer: Answer, sending: Sending) -> Response<AnswerBody> {
    let Answer { status, content_type, body } = answer;
    let state = connection.shared.state.borrow();
    let settings = &state.settings;
    let chunked = settings.chunked() && !body.is_empty();
    let mut response = Response::new(match sending {
        Sending::Whole(receipt) => {
            AnswerBody::whole(body, chunked, receipt.map(|receipt| (connection.clone(), receipt)))
        }
        Sending::Half => AnswerBody::broken_off(body, chunked, connection.clone()),
    });
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    if settings.dialect == Dialect::V8_6 {
        response.extensions_mut().insert(ReasonPhrase::from_static(b""));
    }
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Realm\""));
    }
    if closes(settings, status, connection.requests()) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Tomcat, which Camunda is served by, closes the connection after these answers.
fn closes(settings: &Settings, status: u16, requests: u64) -> bool {
    matches!(status, 400 | 500 | 503)
        || settings.max_requests_per_connection.is_some_and(|limit| requests >= limit)
}
