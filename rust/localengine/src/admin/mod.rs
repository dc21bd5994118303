//! The engine's own HTTP API beside Camunda's: adding and inspecting jobs, settings, faults, clock, account.

mod control;
pub(crate) mod inspect;
mod jobs;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::camunda::problem;
use crate::http::Method::{Delete, Get, Post};
use crate::http::{Answer, Head, Method};
use crate::shared::{Shared, State};

/// Answers a request under `/local` or for `/account`; None when the path is none of these.
pub(crate) fn handle(shared: &Shared, state: &mut State, head: &Head<'_>, body: &[u8]) -> Option<Answer> {
    let path = head.path;
    let rest = if path == "/account" { "account" } else { path.strip_prefix("/local/")? };
    let query = head.query;
    let call = Call { shared, state, path, query, body };
    Some(dispatch(call, head.method, rest).unwrap_or_else(|answer| answer))
}

/// One request to this API.
struct Call<'a> {
    shared: &'a Shared,
    state: &'a mut State,
    path: &'a str,
    query: &'a str,
    body: &'a [u8],
}

fn dispatch(mut call: Call<'_>, method: Method, rest: &str) -> Result<Answer, Answer> {
    let (noun, subject) = rest.split_once('/').unwrap_or((rest, ""));
    match (method, noun, subject) {
        (Get, "account", "") => Ok(json(&call.state.store.account())),
        (Get, "defects", "") => Ok(json(&call.state.store.defects().collect::<Vec<_>>())),
        (Get, "latency", "") => Ok(json(&call.state.store.latency())),
        (Post, "jobs", "") => jobs::add(&mut call),
        (Get, "jobs", "") => inspect::list(&call),
        (Get, "jobs", key) => inspect::one(&call, key),
        (Post, "endless", "") => jobs::add_endless(&mut call),
        (Delete, "endless", job_type) => jobs::end_endless(&mut call, job_type),
        (Post, "faults", "") => control::set_faults(&mut call),
        (Get, "faults", "") => Ok(control::faults(&call)),
        (Delete, "faults", "") => Ok(control::clear_faults(&mut call)),
        (Post, "settings", "") => control::set_settings(&mut call),
        (Get, "settings", "") => Ok(json(&call.state.settings)),
        (Get, "polls", "") => Ok(control::polls(&call)),
        (Post, "clock", "") => control::set_clock(&mut call),
        (Get, "clock", "") => Ok(control::clock(&call)),
        (Post, "reset", "") => control::reset(&mut call),
        (
            _,
            "account" | "defects" | "latency" | "jobs" | "endless" | "faults" | "settings" | "polls"
            | "clock" | "reset",
            _,
        ) => {
            let detail = "This operation has another method.";
            Err(problem::problem(405, "Method Not Allowed", detail, call.path))
        }
        _ => Err(problem::problem(404, "Not Found", "There is no such local operation.", call.path)),
    }
}

impl Call<'_> {
    /// The body as a `T`; an unknown or wrong field is named in the answer.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Answer> {
        let body = if self.body.is_empty() { b"{}" } else { self.body };
        serde_json::from_slice(body).map_err(|error| self.refuse(&error.to_string()))
    }

    fn refuse(&self, detail: &str) -> Answer {
        problem::bad_request(self.path, detail)
    }

    /// A query parameter, decoded.
    fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| decode(value))
    }
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => Answer::json(200, body),
        Err(error) => problem::problem(500, "INTERNAL", &error.to_string(), "/local"),
    }
}

/// Undoes percent encoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn query_values_are_decoded() {
        assert_eq!(decode("a%20b+c%C3%A9"), "a b cé");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz"), "%zz");
    }
}
