//! HTTP/2: hyper's server over a socket without locks.

mod activity;
mod body;
mod socket;

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

use super::connection::Connection;
use super::head::{Head, Method};
use super::reply::Outgoing;
use super::service::{self, MAX_BODY};
use super::socket::Socket as Bytestream;
use activity::{Activity, Limits};
use body::{AnswerBody, BrokenOff};
use socket::Socket;

/// Serves streams until either side closes.
pub(super) async fn serve(connection: &Rc<Connection>, stream: Bytestream) {
    let limits = Limits::of(&connection.shared.state.borrow().settings);
    let activity = Rc::new(Activity::new(limits));
    let service = {
        let (connection, activity) = (connection.clone(), activity.clone());
        service_fn(move |request| {
            let busy = activity.begin();
            let answer = answer(connection.clone(), request);
            async move {
                let _busy = busy;
                answer.await
            }
        })
    };
    let mut builder = http2::Builder::new(LocalTasks);
    if let Some(streams) = limits.streams {
        builder.max_concurrent_streams(streams);
    }
    let mut serving = pin!(builder.serve_connection(Socket::new(stream), service));
    tokio::select! {
        // An error here is a client that left or talked nonsense: nobody to tell.
        _ = serving.as_mut() => return,
        () = activity.enough() => serving.as_mut().graceful_shutdown(),
    }
    drop(serving.await);
}

/// Streams run beside each other in the engine's thread.
#[derive(Clone, Copy)]
struct LocalTasks;

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalTasks {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// An error resets the stream. hyper drops this future when the client does so.
async fn answer(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, BrokenOff> {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let (answer, body) = match service::settle(&connection, &head(&parts), &body).await {
        Outgoing::Reset => return Err(BrokenOff),
        Outgoing::Whole(answer, receipt) => {
            let body = AnswerBody::whole(answer.body.clone(), receipt);
            (answer, body)
        }
        Outgoing::Half(answer) => {
            let body = AnswerBody::half(answer.body.clone());
            (answer, body)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    if let Some(content_type) = answer.content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if answer.status == 401 {
        let challenge = HeaderValue::from_static("Basic realm=\"Realm\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    Ok(response)
}

fn head(parts: &Parts) -> Head<'_> {
    let value = |name: HeaderName| parts.headers.get(name).map(HeaderValue::as_bytes);
    Head {
        method: Method::from(parts.method.as_str()),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        content_type: value(CONTENT_TYPE),
        accept: value(ACCEPT),
        authorization: value(AUTHORIZATION),
    }
}

/// The whole body. Bodies of commands come in one frame nearly always: then nothing is copied.
async fn read(mut body: Incoming) -> Result<Bytes, BrokenOff> {
    let mut whole = Bytes::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame.map_err(|_| BrokenOff)?.into_data() else { continue };
        if whole.is_empty() {
            whole = data;
        } else {
            let mut joined = BytesMut::from(whole);
            joined.extend_from_slice(&data);
            whole = joined.freeze();
        }
        if whole.len() > MAX_BODY {
            return Err(BrokenOff);
        }
    }
    Ok(whole)
}
