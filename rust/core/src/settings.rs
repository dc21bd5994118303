//! What the supervisor tells the core, as JSON. Unknown members are refused, so a typing error is named.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::permits::Profile;
use crate::recorder::LaneSpec;

/// Settings of one core.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreSettings {
    /// Which engine, and where.
    pub engine: EngineSettings,
    /// The label under which the engine knows this fleet.
    pub worker_name: String,
    /// How long the engine may hold a poll, in milliseconds; None chooses by the engine's version and the grace.
    #[serde(default)]
    pub hold_ms: Option<u64>,
    /// How long handlers may still run after a drain began, in milliseconds, until another grace is set.
    #[serde(default = "default_grace_ms")]
    pub grace_ms: u64,
    /// The Authorization header of every request.
    #[serde(default)]
    pub authorization: Option<String>,
    /// Send nothing before the first `set_authorization`.
    #[serde(default)]
    pub await_authorization: bool,
    /// The most bytes that one activation answer should have.
    #[serde(default = "default_byte_budget")]
    pub byte_budget: u64,
    /// The most outcome connections.
    #[serde(default = "default_outcome_connections")]
    pub outcome_connections_max: usize,
    /// How long the engine may take for the answer to a command, in milliseconds; for that to a poll see
    /// `poll_limit`.
    #[serde(default = "default_answer_limit_ms")]
    pub answer_limit_ms: u64,
    /// How polls yield to backpressure.
    #[serde(default)]
    pub backpressure: Backpressure,
    /// Ask for lease tokens where the engine has them. Off for types that workers without tokens serve too: a
    /// job that was once leased with a token is not given to those.
    #[serde(default = "yes")]
    pub fencing: bool,
    /// Complete finished jobs after their lease has ended, unless this fleet knows that they were given out again.
    #[serde(default = "yes")]
    pub late_completions: bool,
    /// The first poll of each type starts within this time, in milliseconds, at random.
    #[serde(default)]
    pub poll_jitter_ms: u64,
    /// The death of a worker process that convicts the job that ran alone in it; zero never convicts.
    #[serde(default = "default_poison_deaths")]
    pub poison_deaths: u32,
    /// Whether every death costs the jobs that ran a retry.
    #[serde(default)]
    pub deaths_cost_retries: bool,
    /// Between two looks at the workers and at the core's own books, in milliseconds; a second at most.
    #[serde(default = "default_look_every_ms")]
    pub look_every_ms: u64,
}

/// Which engine, and where.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSettings {
    /// The protocol.
    pub kind: EngineKind,
    /// The address, `http://host:port[/base/path]`, or the same with `https`.
    pub url: String,
    /// Certificates, for `https`.
    #[serde(default)]
    pub tls: TlsSettings,
    /// When to speak HTTP/2.
    #[serde(default)]
    pub http2: Http2,
    /// The HTTP proxy on the way to the engine, `http://[user:password@]host:port`.
    #[serde(default)]
    pub proxy: Option<String>,
    /// Connections are replaced at about this age, in milliseconds, by ones to newly resolved addresses.
    #[serde(default = "default_connection_max_age_ms")]
    pub connection_max_age_ms: u64,
    /// How long a host may take to accept a connection, in milliseconds.
    #[serde(default = "default_connect_limit_ms")]
    pub connect_limit_ms: u64,
}

/// Certificates and keys. Where both are given, PEM text wins over a file.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Authorities to trust beside those of the system: a PEM file.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Authorities to trust beside those of the system, as PEM text.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// The client's certificate, and what leads from it to its authority: a PEM file.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// The client's certificate, and what leads from it to its authority, as PEM text.
    #[serde(default)]
    pub cert_pem: Option<String>,
    /// The client's private key: a PEM file.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The client's private key as PEM text.
    #[serde(default)]
    pub key_pem: Option<String>,
    /// What decrypts the key, where it is encrypted (PKCS #8).
    #[serde(default)]
    pub key_passphrase: Option<String>,
    /// The name to ask for and to find in the engine's certificate, in place of the address's host.
    #[serde(default)]
    pub server_name: Option<String>,
}

impl fmt::Debug for TlsSettings {
    /// Without what is secret in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// When to speak HTTP/2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Http2 {
    /// On `https` where the engine offers it (ALPN).
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Never,
    /// Always; on `http` without asking (prior knowledge).
    Always,
}

/// The protocols that the core speaks.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Camunda 8, REST v2.
    Camunda,
}

/// How requests yield to backpressure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backpressure {
    /// Fewer requests at a time and smaller batches while the engine pushes back.
    #[default]
    Balanced,
    /// Only observe.
    Legacy,
}

impl From<Backpressure> for Profile {
    fn from(value: Backpressure) -> Self {
        match value {
            Backpressure::Balanced => Self::Balanced,
            Backpressure::Legacy => Self::Legacy,
        }
    }
}

impl CoreSettings {
    pub(crate) fn answer_limit(&self) -> Duration {
        Duration::from_millis(self.answer_limit_ms)
    }

    /// How long a poll may be held. Where a departed client is not noticed, a drain has to wait for it: `grace_ms` is
    /// what it has for that.
    pub(crate) fn hold(&self, notices_departed_clients: bool, grace_ms: u64) -> Duration {
        let chosen = match self.hold_ms {
            Some(hold_ms) => hold_ms,
            None if notices_departed_clients => 10_000,
            None => 3_000.min(grace_ms / 3),
        };
        Duration::from_millis(chosen.max(50))
    }

    /// How long the answer to a poll is waited for. Where a departed client is not noticed, a poll that is given up
    /// costs the next job its lease, so it is given up later.
    pub(crate) fn poll_limit(&self, hold: Duration, notices_departed_clients: bool) -> Duration {
        let margin = self.answer_limit();
        hold + if notices_departed_clients { margin / 2 } else { margin }
    }
}

/// An engine that has not answered a command in this time is as good as gone. Held polls were measured up to 0.3 s
/// late, and proxies add theirs.
fn default_answer_limit_ms() -> u64 {
    15_000
}

fn yes() -> bool {
    true
}

fn default_grace_ms() -> u64 {
    30_000
}

fn default_byte_budget() -> u64 {
    8 * 1024 * 1024
}

fn default_outcome_connections() -> usize {
    512
}

fn default_connection_max_age_ms() -> u64 {
    600_000
}

/// A host that does not accept a connection in this time is as good as down.
fn default_connect_limit_ms() -> u64 {
    5_000
}

fn default_poison_deaths() -> u32 {
    3
}

fn default_look_every_ms() -> u64 {
    1_000
}

/// One generation of a pool: what its workers can run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    /// The pool's name.
    pub name: String,
    /// Counts up with every reload.
    pub generation: u64,
    /// Kind and slots of each lane.
    pub lanes: Vec<LaneSpec>,
    /// The job types, in the order of their index on the link.
    pub types: Vec<TypeSpec>,
    /// Whether it gets no jobs before the fleet is switched over to it.
    #[serde(default)]
    pub standby: bool,
}

/// One job type of a pool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeSpec {
    /// The job type as the engine names it.
    #[serde(rename = "type")]
    pub job_type: String,
    /// Index of the lane that runs it.
    pub lane: usize,
    /// The most jobs of the type at once in one process.
    pub slots: u32,
    /// The lease to ask for, in milliseconds.
    pub lease_ms: u64,
    /// Whether the lease is renewed while the job runs.
    #[serde(default = "yes")]
    pub renew: bool,
    /// The variables to fetch; None fetches all.
    #[serde(default)]
    pub fetch: Option<Vec<String>>,
    /// The run time after which the handler is told to stop, in milliseconds.
    #[serde(default)]
    pub time_limit_ms: Option<u64>,
    /// The run time after which the worker process is killed, in milliseconds.
    #[serde(default)]
    pub hard_time_limit_ms: Option<u64>,
    /// The tenants to draw from; empty leaves it to the engine.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Which tenants count.
    #[serde(default)]
    pub tenant_filter: TenantFilter,
    /// How long the engine may hold a poll of the type, in milliseconds; None takes the core's.
    #[serde(default)]
    pub hold_ms: Option<u64>,
    /// The most jobs of the type that are here at once, over all processes; None sets no bound of its own.
    #[serde(default)]
    pub max_jobs: Option<u64>,
}

/// Which tenants an activation draws from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantFilter {
    /// Those that are listed.
    #[default]
    Provided,
    /// All that the credentials belong to; 8.9 and newer.
    Assigned,
}

impl PoolSpec {
    /// One sentence on what is impossible in it; None when it can work.
    pub fn fault(&self) -> Option<String> {
        if self.lanes.is_empty() || self.lanes.iter().any(|lane| lane.slots == 0) {
            return Some(format!("pool {:?}: every lane needs at least one slot", self.name));
        }
        let bad = self.types.iter().find(|kind| {
            kind.lane >= self.lanes.len() || kind.slots == 0 || kind.lease_ms == 0 || kind.job_type.is_empty()
        });
        if let Some(bad) = bad {
            return Some(format!(
                "pool {:?}, type {:?}: lane {}, {} slots, lease {} ms: a lane that exists, a slot and a lease are needed",
                self.name, bad.job_type, bad.lane, bad.slots, bad.lease_ms
            ));
        }
        let idle = self.types.iter().find(|kind| kind.max_jobs == Some(0))?;
        Some(format!("pool {:?}, type {:?}: max_jobs is 0; give 1 or more", self.name, idle.job_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_given_up_later_where_that_costs_a_job() {
        let settings: CoreSettings = serde_json::from_value(
            serde_json::json!({"engine": {"kind": "camunda", "url": "http://engine"}, "worker_name": "w"}),
        )
        .unwrap();
        let hold = Duration::from_secs(3);
        let [noticed, unnoticed] = [true, false].map(|notices| settings.poll_limit(hold, notices));
        assert_eq!((noticed, unnoticed), (Duration::from_millis(10_500), Duration::from_secs(18)));
    }
}
