//! The Engine trait: what the four loops know of a workflow engine. One file per protocol.
//!
//! A protocol is sans-I/O: it turns what the loops want into requests and judges the answers. Connections,
//! retries and clocks belong to the loops.

mod camunda;
mod problem;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use camunda::Camunda;

use crate::job::Job;
use crate::link::Outcome;

/// One HTTP request of a protocol; the transport adds the host, the base path and the credentials.
#[derive(Debug, Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path below the engine's base address, starting with `/`.
    pub path: String,
    /// The JSON body; empty for GET.
    pub body: Bytes,
}

/// The HTTP methods that the protocols use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as HTTP names them")]
pub enum Method {
    Get,
    Post,
    Patch,
}

/// An answer as it arrived.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// The media type without parameters, in lower case; empty when absent.
    pub content_type: String,
    /// What arrived of the body.
    pub body: Bytes,
    /// False when the connection ended before the body did; what is in `body` may still hold whole jobs.
    pub whole: bool,
}

/// What one activation asks for.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The job type.
    pub job_type: &'a str,
    /// The largest number of jobs wanted, at least 1.
    pub jobs: u32,
    /// The lease asked for.
    pub lease: Duration,
    /// How long the engine may hold the request while it has nothing.
    pub hold: Duration,
    /// The variables to fetch; None fetches all.
    pub fetch: Option<&'a [String]>,
    /// The tenants to draw from; empty leaves it to the engine.
    pub tenants: &'a [String],
    /// Draw from every tenant that the credentials belong to, where the engine can.
    pub all_tenants: bool,
    /// The label of this fleet at the engine.
    pub worker: &'a str,
}

/// What an activation answer brought.
#[derive(Debug, Default)]
pub struct Activation {
    /// The jobs that could be read.
    pub jobs: Vec<Job>,
    /// How many elements had no usable key; the engine gives them out again after their lease.
    pub unreadable: u32,
    /// True when the text broke off, so the answer may have held more jobs than arrived.
    pub cut: bool,
    /// True when the jobs are not those of the version that is known: it is worth another look.
    pub drifted: bool,
}

/// A command on one activated job.
#[derive(Debug, Clone)]
pub enum Command {
    /// Settle with this outcome.
    Settle(Outcome),
    /// Ask for the lease to last this long from now.
    Renew(Duration),
}

/// The decision that an answer to a command calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The engine has carried it out.
    Done,
    /// The job is no longer this fleet's: nothing more is sent.
    Final,
    /// The engine refuses this command for good, in these words, once it has said so this many times.
    Rejected {
        /// What the engine says.
        words: String,
        /// How many such answers make it certain.
        certain_after: u32,
    },
    /// Not now; the command had no effect. Try again.
    Busy(String),
    /// The engine pushes back; the command had no effect.
    Backpressure,
    /// An error after which the command may or may not have had its effect.
    Ambiguous(String),
    /// An error that looks transient but is known to be able to last for ever: a few tries, then given up.
    Stubborn(String),
    /// The engine does not know the token of the activation; the command had no effect. Send it without.
    TokenUnknown(String),
    /// Whatever answered is not the engine's job API: an outage of the path.
    PathOutage(String),
    /// The credentials were refused; the command had no effect. Wait for others.
    Unauthorized(String),
    /// The credentials are good and do not allow this.
    Forbidden(String),
}

/// The decision that a failed activation calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The engine pushes back.
    Backpressure,
    /// The answer would be too large: ask for fewer jobs.
    TooLarge(String),
    /// The engine does not know a member of the request, and the next request leaves it out. Try again at once.
    Unsupported(String),
    /// Try again with a growing pause.
    Transient(String),
    /// The engine is well and refuses this request: what it asks for makes no sense there. Long pauses, loud.
    Refused(String),
    /// Nothing gets better by itself: what answers is not the engine's API. Long pauses, loud.
    Wrong(String),
    /// The credentials were refused. Wait for others.
    Unauthorized(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backpressure => f.write_str("the engine pushes back"),
            Self::TooLarge(words)
            | Self::Unsupported(words)
            | Self::Transient(words)
            | Self::Refused(words)
            | Self::Wrong(words)
            | Self::Unauthorized(words) => f.write_str(words),
        }
    }
}

/// What an engine, as far as its version is known, can do.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// The engine notices that the client of a held poll has left and gives its jobs to others at once.
    pub notices_departed_clients: bool,
    /// Activations ask for a token, so that repeating a command that carries it cannot hit another holder.
    pub fencing: bool,
    /// Leases can be prolonged.
    pub renewal: bool,
}

/// One engine protocol.
pub trait Engine {
    /// What the engine can do, as far as is known by now.
    fn capabilities(&self) -> Capabilities;

    /// The engine's version, once it has been learnt.
    fn version(&self) -> Option<String>;

    /// The request that tells the engine's version and whether the address is right at all.
    fn probe(&self) -> Request;

    /// Learns from the probe's answer; an error is one sentence that says what is wrong.
    fn learn(&mut self, answer: &Answer) -> Result<(), String>;

    /// The request that activates jobs.
    fn activation(&self, ask: &Ask<'_>) -> Request;

    /// Reads the answer to an activation.
    fn read_activation(&self, answer: &Answer) -> Result<Activation, Refusal>;

    /// The request that carries out a command, with the job's token if it has one and `with_token` says so.
    fn command(&self, job: &Job, command: &Command, with_token: bool) -> Request;

    /// Judges the answer to a command.
    fn judge(&self, command: &Command, answer: &Answer) -> Verdict;
}
