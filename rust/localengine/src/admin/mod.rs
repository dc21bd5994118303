//! The engine's own HTTP API beside Camunda's: adding and inspecting jobs, settings, faults, the account.

mod jobs;

use hyper::Method;
use hyper::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::camunda::problem;
use crate::http::Answer;
use crate::shared::State;

/// Answers a request under `/local` or for `/account`; None when the path is none of these.
pub(crate) fn handle(state: &mut State, now: u64, head: &Parts, body: &[u8]) -> Option<Answer> {
    let path = head.uri.path();
    if path == "/account" {
        return Some(match head.method {
            Method::GET => json(&state.store.account()),
            _ => wrong_method(path),
        });
    }
    let rest = path.strip_prefix("/local/")?;
    let call = Call { state, now, path, query: head.uri.query().unwrap_or(""), body };
    Some(dispatch(call, &head.method, rest).unwrap_or_else(|answer| answer))
}

/// One request to this API.
struct Call<'a> {
    state: &'a mut State,
    now: u64,
    path: &'a str,
    query: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    /// The body as a `T`; unknown and wrong fields are named in the answer.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Answer> {
        serde_json::from_slice(if self.body.is_empty() { b"{}" } else { self.body })
            .map_err(|error| problem::bad_request(self.path, &error.to_string()))
    }

    /// A query parameter.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, v)| v)
    }
}

fn dispatch(mut call: Call<'_>, method: &Method, rest: &str) -> Result<Answer, Answer> {
    let (noun, subject) = rest.split_once('/').unwrap_or((rest, ""));
    match (method.as_str(), noun, subject) {
        ("POST", "jobs", "") => jobs::add(&mut call),
        ("POST", "endless", "") => jobs::add_endless(&mut call),
        ("DELETE", "endless", job_type) => jobs::end_endless(&mut call, job_type),
        (_, "jobs" | "endless", _) => Err(wrong_method(call.path)),
        _ => Err(problem::problem(404, "Not Found", "There is no such local operation.", call.path)),
    }
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => Answer::json(200, body),
        Err(error) => problem::problem(500, "INTERNAL", &error.to_string(), "/local"),
    }
}

fn wrong_method(path: &str) -> Answer {
    problem::problem(405, "Method Not Allowed", "This operation has another method.", path)
}
