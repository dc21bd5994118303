//! What an engine is started with, and the part of it that can change while it runs.

use serde::{Deserialize, Serialize};

/// The server version whose wire dialect is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Dialect {
    /// Camunda 8.6: keys as numbers under `key`, no fencing, unknown request fields ignored.
    #[serde(rename = "8.6")]
    V8_6,
    /// Camunda 8.8: string keys under `jobKey`, job kinds and tags, unknown request fields refused.
    #[serde(rename = "8.8")]
    V8_8,
    /// Camunda 8.10: 8.8 with leases, priorities and business ids.
    #[default]
    #[serde(rename = "8.10")]
    V8_10,
}

/// How to start an engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Address to listen on: an IP address or a name.
    pub host: String,
    /// TCP port to listen on; 0 takes a free one.
    pub port: u16,
    /// The dialect to start with.
    pub dialect: Dialect,
    /// Seed of the faults' random numbers and of the lease tokens.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { host: "127.0.0.1".into(), port: 0, dialect: Dialect::default(), seed: 1 }
    }
}

/// What can be changed while the engine runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// The dialect spoken from the next request on.
    pub dialect: Dialect,
}

impl Settings {
    /// Whether a client that leaves during a held poll is noticed; 8.6 does not.
    pub(crate) fn notices_departed(&self) -> bool {
        self.dialect > Dialect::V8_6
    }
}
