//! Writes request bodies. Variables and results are spliced in as the bytes that they came as.

use std::time::Duration;

use bytes::Bytes;

use super::{Ask, Command, Method, Outcome, Request};
use crate::job::Job;

/// The request that activates jobs; with `leased`, each comes with a token of its activation.
pub(super) fn activation(ask: &Ask<'_>, leased: bool, all_tenants: bool) -> Request {
    let mut body = Object::with_capacity(192);
    body.string("type", ask.job_type);
    body.number("maxJobsToActivate", i64::from(ask.jobs));
    body.number("timeout", millis(ask.lease));
    body.number("requestTimeout", millis(ask.hold));
    body.string("worker", ask.worker);
    if let Some(fetch) = ask.fetch {
        body.strings("fetchVariable", fetch);
    }
    if !ask.tenants.is_empty() {
        body.strings("tenantIds", ask.tenants);
    }
    if all_tenants {
        body.raw("tenantFilter", b"\"ASSIGNED\"");
    }
    if leased {
        body.raw("withLease", b"true");
    }
    Request { method: Method::Post, path: "/v2/jobs/activation".to_owned(), body: body.close().into() }
}

/// The body of a command; without its token where `with_token` is false.
pub(super) fn command(job: &Job, command: &Command, with_token: bool) -> Bytes {
    let mut body = Object::with_capacity(length(command));
    match command {
        Command::Renew(lease) => {
            let mut changes = Object::with_capacity(32);
            changes.number("timeout", millis(*lease));
            body.raw("changeset", &changes.close());
        }
        Command::Settle(Outcome::Complete { variables, result, business_id }) => {
            body.optional_raw("variables", variables.as_ref());
            body.optional_raw("result", result.as_ref());
            if let Some(business_id) = business_id {
                body.string("businessId", business_id);
            }
        }
        Command::Settle(Outcome::Fail { message, retries, backoff_ms, variables }) => {
            body.number("retries", i64::from(retries.unwrap_or(job.retries - 1).max(0)));
            body.string("errorMessage", message);
            body.number("retryBackOff", whole(backoff_ms.unwrap_or(Outcome::USUAL_BACKOFF_MS)));
            body.optional_raw("variables", variables.as_ref());
        }
        Command::Settle(Outcome::HandBack { message, backoff_ms }) => {
            body.number("retries", i64::from(job.retries));
            body.string("errorMessage", message);
            body.number("retryBackOff", whole(*backoff_ms));
        }
        Command::Settle(Outcome::Error { code, message, variables }) => {
            body.string("errorCode", code);
            if let Some(message) = message {
                body.string("errorMessage", message);
            }
            body.optional_raw("variables", variables.as_ref());
        }
    }
    // Under the name that it came under: servers before the release of 8.10 call it leaseToken.
    if with_token && let (Some(token), Some(name)) = (job.token(), job.token_name()) {
        body.raw(name, token.as_bytes());
    }
    body.close().into()
}

/// About as long as the body of a command becomes: it is then allocated once.
fn length(command: &Command) -> usize {
    let of = |json: &Option<Bytes>| json.as_ref().map_or(0, Bytes::len);
    let parts = match command {
        Command::Renew(_) => 0,
        Command::Settle(Outcome::Complete { variables, result, .. }) => of(variables) + of(result),
        Command::Settle(Outcome::Fail { message, variables, .. }) => message.len() + of(variables),
        Command::Settle(Outcome::HandBack { message, .. }) => message.len(),
        Command::Settle(Outcome::Error { message, variables, .. }) => {
            message.as_ref().map_or(0, |message| message.len()) + of(variables)
        }
    };
    parts + 128
}

/// Writes one JSON object member by member; values that are JSON already are spliced in as they are.
struct Object(Vec<u8>);

impl Object {
    fn with_capacity(bytes: usize) -> Self {
        let mut text = Vec::with_capacity(bytes);
        text.push(b'{');
        Self(text)
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.0.extend_from_slice(json);
    }

    fn optional_raw(&mut self, name: &str, json: Option<&Bytes>) {
        if let Some(json) = json {
            self.raw(name, json);
        }
    }

    fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        push_json(&mut self.0, value);
    }

    fn strings(&mut self, name: &str, values: &[String]) {
        self.name(name);
        push_json(&mut self.0, values);
    }

    fn close(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

fn push_json<T: serde::Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) {
    // Strings and lists of strings always serialise, and a Vec takes every write.
    let _ = serde_json::to_writer(body, value);
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
