//! Camunda 8, REST v2: versions 8.6 to 8.10.
//!
//! Differences between the versions are settled here: the job key is `key` as a number in 8.6 and `jobKey` as a
//! string later; 8.6 answers backpressure on activation as 500 and tells so only in `detail`; every version
//! before 8.8 leaves the poll of a departed client waiting for the next job; 8.9 brings the tenant filter and
//! 8.10 the lease token. A server of 8.8 or newer refuses a member that it does not know, so one that is newer
//! than the server is left out, and left out again when a server refuses it.

mod judge;
mod read;
mod write;

use std::cell::Cell;

use bytes::Bytes;
use serde::Deserialize;

use super::problem::{Problem, words};
use super::{Activation, Answer, Ask, Capabilities, Command, Engine, Method, Refusal, Request, Verdict};
use crate::job::Job;
use crate::link::Outcome;

/// The version that brought lease tokens.
const LEASES: u32 = 10;
/// The version that brought the tenant filter.
const TENANT_FILTER: u32 = 9;
/// The version whose servers notice that the client of a held poll has left.
const NOTICES_DEPARTED: u32 = 8;

/// The Camunda 8 REST protocol.
#[derive(Debug)]
pub struct Camunda {
    fencing: bool,
    version: Option<String>,
    minor: Option<u32>,
    /// What jobs prove of the version while the credentials may not read it.
    proven: Cell<Option<u32>>,
    /// A server has refused to lease with tokens since the version was learnt.
    lease_refused: Cell<bool>,
}

impl Camunda {
    /// A protocol that does not know the engine's version yet and keeps to what all versions understand.
    /// `fencing` false never asks for lease tokens, whatever the version.
    pub fn new(fencing: bool) -> Self {
        Self { fencing, version: None, minor: None, proven: Cell::new(None), lease_refused: Cell::new(false) }
    }

    fn at_least(&self, minor: u32) -> bool {
        self.minor.or(self.proven.get()).is_some_and(|known| known >= minor)
    }

    fn asks_for_tokens(&self) -> bool {
        self.fencing && self.at_least(LEASES) && !self.lease_refused.get()
    }

    /// Whether the jobs of an answer are not those of the version that is known, so that it has changed.
    fn is_contradicted_by(&self, shape: &read::Shape) -> bool {
        let Some(minor) = self.minor else { return false };
        (shape.numbers && minor >= NOTICES_DEPARTED)
            || (shape.texts && minor < NOTICES_DEPARTED - 1)
            || (shape.newest && minor < LEASES)
            || (shape.without_token && self.asks_for_tokens())
    }
}

#[derive(Deserialize)]
struct Topology {
    #[serde(rename = "gatewayVersion", default)]
    gateway_version: String,
}

impl Engine for Camunda {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            notices_departed_clients: self.at_least(NOTICES_DEPARTED),
            fencing: self.asks_for_tokens(),
            renewal: true,
        }
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
        self.proven.set(None);
        // During a rolling upgrade some gateways refuse what others take: each look at the version tries again.
        self.lease_refused.set(false);
        Ok(())
    }

    fn activation(&self, ask: &Ask<'_>) -> Request {
        // A filter that was asked for is sent unless the server is known to be too old for it.
        let filter = ask.all_tenants && self.minor.is_none_or(|minor| minor >= TENANT_FILTER);
        write::activation(ask, self.asks_for_tokens(), filter)
    }

    fn read_activation(&self, answer: &Answer) -> Result<Activation, Refusal> {
        if answer.status == 200 {
            let Some((mut found, shape)) = read::jobs(&answer.body, answer.whole) else {
                return Err(Refusal::Wrong(format!("{}, but no list of jobs", words(answer))));
            };
            found.drifted = self.is_contradicted_by(&shape);
            if shape.newest {
                self.proven.set(Some(LEASES));
            }
            return Ok(found);
        }
        if answer.status == 400 && self.asks_for_tokens() && judge::refuses_leases(answer) {
            self.lease_refused.set(true);
            return Err(Refusal::Unsupported(words(answer)));
        }
        Err(judge::refusal(answer))
    }

    fn command(&self, job: &Job, command: &Command, with_token: bool) -> Request {
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
        Request { method, path, body: write::command(job, command, with_token) }
    }

    fn judge(&self, command: &Command, answer: &Answer) -> Verdict {
        judge::judge(command, answer)
    }
}

fn probe_failure(answer: &Answer) -> String {
    match answer.status {
        401 => judge::unauthorized(answer),
        403 => format!("{}: the credentials may not read the topology", words(answer)),
        404 => format!("{}: no Camunda REST API (8.6 or newer) at this path", words(answer)),
        _ => words(answer),
    }
}

fn minor_version(version: &str) -> Option<u32> {
    version.strip_prefix("8.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests;
