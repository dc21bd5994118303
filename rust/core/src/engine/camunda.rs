//! Camunda 8, REST v2: versions 8.6 to 8.10.
//!
//! Differences between the versions are settled here: the job key is `key` as a number in 8.6 and `jobKey` as a
//! string later; 8.6 answers backpressure on activation as 500 and tells so only in `detail`; every version
//! before 8.8 leaves the poll of a departed client waiting for the next job.

use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;

use super::problem::{Problem, words};
use super::{Activation, Answer, Ask, Capabilities, Command, Engine, Method, Refusal, Request, Verdict};
use crate::job::Job;
use crate::link::Outcome;
use crate::scan::{Cursor, integer, unquoted};

/// The Camunda 8 REST protocol.
#[derive(Debug, Default)]
pub struct Camunda {
    version: Option<String>,
    minor: Option<u32>,
}

impl Camunda {
    /// A protocol that does not know the engine's version yet and keeps to what all versions understand.
    pub fn new() -> Self {
        Self::default()
    }

    fn at_least(&self, minor: u32) -> bool {
        self.minor.is_some_and(|known| known >= minor)
    }
}

#[derive(Deserialize)]
struct Topology {
    #[serde(rename = "gatewayVersion", default)]
    gateway_version: String,
}

impl Engine for Camunda {
    fn capabilities(&self) -> Capabilities {
        Capabilities { notices_departed_clients: self.at_least(8), fencing: false, renewal: true }
    }

    fn version(&self) -> Option<String> {
        self.version.clone()
    }

    fn probe(&self) -> Request {
        Request { method: Method::Get, path: "/v2/topology".to_owned(), body: Bytes::new() }
    }

    fn learn(&mut self, answer: &Answer) -> Result<(), String> {
        if answer.status != 200 {
            return Err(probe_failure(answer));
        }
        let topology: Topology = serde_json::from_slice(&answer.body).map_err(|_| {
            let found = words(answer);
            format!("{found}: this is not Camunda's REST API; check the address, and the proxies before it")
        })?;
        self.minor = minor_version(&topology.gateway_version);
        self.version = Some(topology.gateway_version);
        Ok(())
    }

    fn activation(&self, ask: &Ask<'_>) -> Request {
        let mut body = Vec::with_capacity(192);
        body.extend_from_slice(b"{\"type\":");
        push_json(&mut body, ask.job_type);
        push_number(&mut body, b",\"maxJobsToActivate\":", i64::from(ask.jobs));
        push_number(&mut body, b",\"timeout\":", millis(ask.lease));
        push_number(&mut body, b",\"requestTimeout\":", millis(ask.hold));
        body.extend_from_slice(b",\"worker\":");
        push_json(&mut body, ask.worker);
        if let Some(fetch) = ask.fetch {
            body.extend_from_slice(b",\"fetchVariable\":");
            push_json(&mut body, fetch);
        }
        body.push(b'}');
        Request { method: Method::Post, path: "/v2/jobs/activation".to_owned(), body: body.into() }
    }

    fn read_activation(&self, answer: &Answer) -> Result<Activation, Refusal> {
        if answer.status == 200 {
            return read_jobs(&answer.body, answer.whole)
                .ok_or_else(|| Refusal::Wrong(format!("{}, but no list of jobs", words(answer))));
        }
        if is_backpressure(answer) {
            return Err(Refusal::Backpressure);
        }
        Err(match answer.status {
            401 => Refusal::Unauthorized(unauthorized(answer)),
            403 => Refusal::Wrong(format!("{}: the credentials may not activate jobs", words(answer))),
            400 | 404 | 405 | 406 | 415 => Refusal::Wrong(words(answer)),
            _ => Refusal::Transient(words(answer)),
        })
    }

    fn command(&self, job: &Job, command: &Command) -> Request {
        let (method, verb) = match command {
            Command::Renew(_) => (Method::Patch, ""),
            Command::Settle(Outcome::Complete { .. }) => (Method::Post, "/completion"),
            Command::Settle(Outcome::Fail { .. } | Outcome::HandBack { .. }) => (Method::Post, "/failure"),
            Command::Settle(Outcome::Error { .. }) => (Method::Post, "/error"),
        };
        let mut path = String::with_capacity(40);
        path.push_str("/v2/jobs/");
        path.push_str(job.key());
        path.push_str(verb);
        Request { method, path, body: command_body(job, command) }
    }

    fn judge(&self, command: &Command, answer: &Answer) -> Verdict {
        match answer.status {
            // A login page or a proxy's greeting: nothing of the kind has reached the engine.
            200..=299 if answer.content_type == "text/html" => return Verdict::PathOutage(words(answer)),
            200..=299 => return Verdict::Done,
            401 => return Verdict::Unauthorized(unauthorized(answer)),
            403 => return Verdict::Forbidden(words(answer)),
            _ if is_backpressure(answer) => return Verdict::Backpressure,
            _ => {}
        }
        let Some(problem) = Problem::of(answer) else { return judge_foreign(answer) };
        let renewal = matches!(command, Command::Renew(_));
        match answer.status {
            404 if problem.title == "NOT_FOUND" => Verdict::Final,
            409 if problem.title == "INVALID_STATE" => Verdict::Final,
            400 if renewal && problem.mentions("is not active") => Verdict::Final,
            400 | 413 => rejected(answer, 1),
            // The same words also come while a leader changes, so one answer does not prove that it is the record.
            500 if problem.mentions("EXCEEDED_BATCH_RECORD_SIZE")
                || problem.mentions("MALFORMED_REQUEST") =>
            {
                rejected(answer, 3)
            }
            503 if problem.title.ends_with("PartitionNotFoundException") => Verdict::Stubborn(words(answer)),
            404 | 405 => Verdict::PathOutage(words(answer)),
            503 => Verdict::Busy(words(answer)),
            _ => Verdict::Ambiguous(words(answer)),
        }
    }
}

/// Judges an answer that does not come from the engine's job API: a router, a proxy, an ingress.
fn judge_foreign(answer: &Answer) -> Verdict {
    match answer.status {
        400 | 413 => rejected(answer, 1),
        404 | 405 => Verdict::PathOutage(words(answer)),
        503 => Verdict::Busy(words(answer)),
        status if status < 500 && answer.content_type == "text/html" => Verdict::PathOutage(words(answer)),
        _ => Verdict::Ambiguous(words(answer)),
    }
}

fn rejected(answer: &Answer, certain_after: u32) -> Verdict {
    Verdict::Rejected { words: words(answer), certain_after }
}

/// Backpressure in every encoding that 8.6 to 8.10 and the proxies before them have used.
fn is_backpressure(answer: &Answer) -> bool {
    match answer.status {
        429 => true,
        503 if answer.body.is_empty() => true,
        500 | 503 => Problem::of(answer).is_some_and(|problem| problem.mentions("RESOURCE_EXHAUSTED")),
        _ => false,
    }
}

fn unauthorized(answer: &Answer) -> String {
    format!("{}: the engine refuses the credentials", words(answer))
}

fn probe_failure(answer: &Answer) -> String {
    match answer.status {
        401 => unauthorized(answer),
        403 => format!("{}: the credentials may not read the topology", words(answer)),
        404 => format!("{}: no Camunda REST API (8.6 or newer) at this path", words(answer)),
        _ => words(answer),
    }
}

fn minor_version(version: &str) -> Option<u32> {
    version.strip_prefix("8.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The jobs of an activation answer; None when it is no such answer at all.
fn read_jobs(body: &Bytes, whole: bool) -> Option<Activation> {
    let mut object = Cursor::new(body, 0);
    if !object.open(b'{') {
        return None;
    }
    let list = find_list(body, &mut object)?;
    let mut found = Activation::default();
    let mut array = Cursor::new(body, list);
    if !array.open(b'[') {
        return None;
    }
    while let Some(extent) = array.element() {
        match read_job(body, extent) {
            Some(job) => found.jobs.push(job),
            None => found.unreadable += 1,
        }
    }
    found.cut = !whole || !array.closed(b']');
    Some(found)
}

/// Where the list of jobs begins. It may itself be cut off, so its end is not looked for.
fn find_list(body: &[u8], object: &mut Cursor<'_>) -> Option<usize> {
    // The first member is the list in every version; only an unknown one before it has to be stepped over.
    const FIRST: &[u8] = b"{\"jobs\":";
    if body.starts_with(FIRST) {
        return Some(FIRST.len());
    }
    while let Some(member) = object.member() {
        if body.get(member.name) == Some(b"jobs") {
            return Some(member.value.start);
        }
    }
    None
}

fn read_job(body: &Bytes, extent: Range<usize>) -> Option<Job> {
    let raw = body.slice(extent);
    let mut cursor = Cursor::new(&raw, 0);
    if !cursor.open(b'{') {
        return None;
    }
    let (mut key, mut old_key, mut token) = (None, None, None);
    let (mut retries, mut deadline) = (1, None);
    while let Some(member) = cursor.member() {
        let value = raw.get(member.value.clone())?;
        match raw.get(member.name)? {
            b"jobKey" => key = key_extent(value, &member.value),
            b"key" => old_key = key_extent(value, &member.value),
            b"jobLeaseToken" | b"leaseToken" if value.starts_with(b"\"") => {
                token = Some(member.value.start as u32..member.value.end as u32);
            }
            b"retries" => retries = integer(value).and_then(|n| i32::try_from(n).ok()).unwrap_or(1),
            b"deadline" => deadline = integer(value),
            _ => {}
        }
    }
    Some(Job::new(raw.clone(), key.or(old_key)?, token, retries, deadline))
}

/// The extent of a key without quotes, provided that it can stand in a path.
fn key_extent(value: &[u8], extent: &Range<usize>) -> Option<Range<u32>> {
    let text = unquoted(value);
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let quote = (value.len() - text.len()) / 2;
    Some((extent.start + quote) as u32..(extent.end - quote) as u32)
}

fn command_body(job: &Job, command: &Command) -> Bytes {
    let mut body = Object::new();
    match command {
        Command::Renew(lease) => {
            let mut changes = Object::new();
            changes.number("timeout", millis(*lease));
            body.raw("changeset", &changes.close());
        }
        Command::Settle(Outcome::Complete { variables, result }) => {
            body.optional_raw("variables", variables.as_ref());
            body.optional_raw("result", result.as_ref());
        }
        Command::Settle(Outcome::Fail { message, retries, backoff_ms, variables }) => {
            body.number("retries", i64::from(retries.unwrap_or(job.retries - 1).max(0)));
            body.string("errorMessage", message);
            body.number("retryBackOff", i64::try_from(backoff_ms.unwrap_or(0)).unwrap_or(i64::MAX));
            body.optional_raw("variables", variables.as_ref());
        }
        Command::Settle(Outcome::HandBack { message, backoff_ms }) => {
            body.number("retries", i64::from(job.retries));
            body.string("errorMessage", message);
            body.number("retryBackOff", i64::try_from(*backoff_ms).unwrap_or(i64::MAX));
        }
        Command::Settle(Outcome::Error { code, message, variables }) => {
            body.string("errorCode", code);
            if let Some(message) = message {
                body.string("errorMessage", message);
            }
            body.optional_raw("variables", variables.as_ref());
        }
    }
    if let Some(token) = job.token() {
        body.raw("jobLeaseToken", token.as_bytes());
    }
    body.close().into()
}

/// Writes one JSON object member by member; values that are JSON already are spliced in as they are.
struct Object(Vec<u8>);

impl Object {
    fn new() -> Self {
        Self(vec![b'{'])
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
        push_number(&mut self.0, b"", value);
    }

    fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        push_json(&mut self.0, value);
    }

    fn close(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

fn push_number(body: &mut Vec<u8>, before: &[u8], value: i64) {
    body.extend_from_slice(before);
    body.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn push_json<T: serde::Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) {
    // Strings and lists of strings always serialise, and a Vec takes every write.
    let _ = serde_json::to_writer(body, value);
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
#[path = "camunda_tests.rs"]
mod tests;
