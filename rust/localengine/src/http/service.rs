//! One request from its head to its answer.

use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::body::AnswerBody;
use super::connection::Connection;
use super::receipt::Receipt;
use super::reply::{Answer, Reply};
use crate::admin;
use crate::camunda::{self, Verdict};
use crate::polls::Held;

pub(super) async fn answer(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    connection.requests.set(connection.requests.get() + 1);
    let (head, body) = request.into_parts();
    let body = read(body).await;
    let shared = &connection.shared;
    let verdict = shared.change(|state, now| match admin::handle(state, now, &head, &body) {
        Some(answer) => answer.into(),
        None => camunda::handle(state, now, &head, &body),
    });
    let reply = match verdict {
        Verdict::Reply(reply) => reply,
        Verdict::Hold(held) => hold(&connection, held).await,
    };
    Ok(respond(&connection, reply))
}

/// The whole body. Bodies of commands come in one frame nearly always: then nothing is copied.
async fn read(mut body: Incoming) -> Bytes {
    let mut whole = Bytes::new();
    while !body.is_end_stream() {
        let Some(Ok(frame)) = body.frame().await else { break };
        let Ok(data) = frame.into_data() else { continue };
        if whole.is_empty() {
            whole = data;
        } else {
            let mut joined = BytesMut::from(whole);
            joined.extend_from_slice(&data);
            whole = joined.freeze();
        }
    }
    whole
}

/// Waits for a job or for the end of the hold. When the client leaves, hyper drops this future.
async fn hold(connection: &Rc<Connection>, held: Rc<Held>) -> Reply {
    let shared = &connection.shared;
    let guard = Departure { connection, held: &held };
    let wait = Duration::from_millis(held.until.saturating_sub(shared.clock.now()));
    let waited = tokio::time::timeout(
        wait,
        poll_fn(|cx| match held.take(cx.waker()) {
            Some(reply) => std::task::Poll::Ready(reply),
            None => std::task::Poll::Pending,
        }),
    );
    let reply = waited.await;
    std::mem::forget(guard);
    reply.unwrap_or_else(|_| {
        shared.state.borrow_mut().polls.remove(&held);
        held.take_orphan().unwrap_or_else(|| camunda::no_jobs().into())
    })
}

/// Dropped while the poll is held: the client is gone.
struct Departure<'a> {
    connection: &'a Rc<Connection>,
    held: &'a Rc<Held>,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        let shared = &self.connection.shared;
        let notices = shared.state.borrow().settings.notices_departed();
        if notices {
            shared.state.borrow_mut().polls.remove(self.held);
        } else {
            self.held.departed.set(true);
        }
        if let Some(batch) = self.held.take_orphan().and_then(|reply| reply.batch) {
            drop(Receipt::activation(shared, batch));
        }
    }
}

fn respond(connection: &Rc<Connection>, reply: Reply) -> Response<AnswerBody> {
    let Reply { answer, batch, mark } = reply;
    let shared = &connection.shared;
    let receipt = match (batch, mark) {
        (Some(batch), _) => Some(Receipt::activation(shared, batch)),
        (None, Some(mark)) => Some(Receipt::command(shared, mark)),
        (None, None) => None,
    };
    let Answer { status, content_type, body } = answer;
    let mut response =
        Response::new(AnswerBody::new(body, receipt.map(|receipt| (connection.clone(), receipt))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    // As Tomcat does.
    if matches!(status, 400 | 500 | 503) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
