//! Camunda's REST v2 job API over the store: routes, request checks, answers, in the dialects of 8.6 to 8.10.

mod activation;
mod command;
mod json;
mod outcome;
pub(crate) mod problem;
mod render;
mod request;
mod route;
mod token;
mod topology;
mod update;

use std::rc::Rc;

use hyper::http::request::Parts;

use crate::http::Reply;
use crate::polls::Held;
use crate::shared::State;

pub(crate) use activation::{Ask, no_jobs, serve_held};
use command::Command;
use route::Route;

/// What becomes of a request.
pub(crate) enum Verdict {
    /// It is answered now.
    Reply(Reply),
    /// It is a poll that waits for a job.
    Hold(Rc<Held>),
}

impl<T: Into<Reply>> From<T> for Verdict {
    fn from(reply: T) -> Self {
        Self::Reply(reply.into())
    }
}

/// Applies one request to the state.
pub(crate) fn handle(state: &mut State, now: u64, head: &Parts, body: &[u8]) -> Verdict {
    let path = head.uri.path();
    let dialect = state.settings.dialect;
    match route::find(&head.method, path) {
        Route::Activate => activation::activate(state, now, path, body),
        Route::Job { key, command } => match key.parse() {
            Ok(key) => command::apply(state, now, &Command { kind: command, key, path, body }).into(),
            Err(_) => problem::bad_request(path, &format!("Failed to convert '{key}' to a key")).into(),
        },
        Route::Topology => topology::topology(dialect).into(),
        Route::Status => topology::status(dialect, path).into(),
        Route::WrongMethod => problem::router(dialect, 405, "Method Not Allowed", path).into(),
        Route::Unknown => problem::router(dialect, 404, "Not Found", path).into(),
    }
}
