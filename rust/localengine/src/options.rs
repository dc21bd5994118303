//! What an engine is started with, and the part of it that can change while it runs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on: an IP address or a name.
    pub host: String,
    /// TCP port to listen on; 0 takes a free one.
    pub port: u16,
    /// The dialect to start with; the one in `settings` is ignored.
    pub dialect: Dialect,
    /// Seed of the faults' random numbers and of the lease tokens.
    pub seed: u64,
    /// Certificates; None listens without TLS.
    pub tls: Option<TlsOptions>,
    /// What can be changed later, too.
    pub settings: Settings,
}

/// What an engine that speaks TLS needs, as PEM text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// Its certificate, and what leads from it to its authority.
    pub cert_pem: String,
    /// The certificate's private key.
    pub key_pem: String,
    /// The authorities of clients: with it, a client without a certificate of theirs is refused.
    #[serde(default)]
    pub client_ca_pem: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 0,
            dialect: Dialect::default(),
            seed: 1,
            tls: None,
            settings: Settings::default(),
        }
    }
}

impl Options {
    /// Reads options from a JSON object: `host`, `port`, `seed`, `tls`, and the fields of [`Settings`] beside them.
    ///
    /// # Errors
    /// When the text is no JSON object or a field is unknown or of the wrong type; the message names it.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        let mut fields: Map<String, Value> =
            serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let mut options = Self::default();
        take(&mut fields, "host", &mut options.host)?;
        take(&mut fields, "port", &mut options.port)?;
        take(&mut fields, "seed", &mut options.seed)?;
        take(&mut fields, "tls", &mut options.tls)?;
        options.settings = options.settings.merged(fields)?;
        options.dialect = options.settings.dialect;
        Ok(options)
    }
}

fn take<T: for<'a> Deserialize<'a>>(
    fields: &mut Map<String, Value>,
    name: &str,
    into: &mut T,
) -> Result<(), String> {
    if let Some(value) = fields.remove(name) {
        *into = serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// What can be changed while the engine runs. None takes what the dialect's servers do.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The dialect spoken from the next request on.
    pub dialect: Dialect,
    /// Whether a client that leaves during a held poll is noticed, and its jobs given back; 8.6 does not.
    pub notices_departed: Option<bool>,
    /// Whether bodies go out in chunks without a length; 8.6 does.
    pub chunked: Option<bool>,
    /// Whether connections may speak HTTP/2 from their first byte; 8.6 does not, by default.
    pub http2: Option<bool>,
    /// The most streams at a time on one connection of HTTP/2; None is what the server library has.
    pub max_streams: Option<u32>,
    /// Requests after which a connection is closed (Camunda's default is 100); None keeps it.
    pub max_requests_per_connection: Option<u64>,
    /// Time without a request after which a connection is closed (Camunda's default is 60 s); None keeps it.
    /// Applies to connections made afterwards.
    pub idle_close_ms: Option<u64>,
    /// Accepted Authorization headers, such as `Basic dTpw` or `Bearer x`; empty accepts every request.
    pub require_authorization: Vec<String>,
    /// How long a poll is held that does not say.
    pub default_hold_ms: u64,
    /// Whether activation asks for tenants.
    pub multi_tenancy: bool,
    /// Size of an activation answer beyond which it is cut short; 0 is no limit. None is 4 MiB, and no limit in 8.6.
    pub max_answer_bytes: Option<usize>,
    /// Size of a command body beyond which it is refused as too large for a record.
    pub max_record_bytes: usize,
    /// BPMN error codes that nothing catches: throwing them raises an incident.
    pub uncaught_errors: Vec<String>,
    /// The member that carries a lease token: servers before 8.10's release call it `leaseToken`.
    pub lease_member: String,
    /// How far the clock that deadlines are told in is ahead of this host's.
    pub clock_offset_ms: i64,
    /// How many ended jobs stay inspectable.
    pub history: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            notices_departed: None,
            chunked: None,
            http2: None,
            max_streams: None,
            max_requests_per_connection: None,
            idle_close_ms: None,
            require_authorization: Vec::new(),
            default_hold_ms: 10_000,
            multi_tenancy: false,
            max_answer_bytes: None,
            max_record_bytes: 2 << 20,
            uncaught_errors: Vec::new(),
            lease_member: "jobLeaseToken".into(),
            clock_offset_ms: 0,
            history: 10_000,
        }
    }
}

impl Settings {
    /// These settings with some fields replaced.
    pub(crate) fn merged(&self, changes: Map<String, Value>) -> Result<Self, String> {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(self) else {
            return Err("the settings cannot be written as JSON".into());
        };
        for (name, value) in changes {
            // Told apart here, as the error of a wrong type does not name its field.
            let mut single = Map::new();
            single.insert(name.clone(), value.clone());
            let checked: Result<Self, _> = serde_json::from_value(Value::Object(single));
            checked.map_err(|error| format!("{name}: {error}"))?;
            fields.insert(name, value);
        }
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
    }

    pub(crate) fn notices_departed(&self) -> bool {
        self.notices_departed.unwrap_or(self.dialect > Dialect::V8_6)
    }

    pub(crate) fn chunked(&self) -> bool {
        self.chunked.unwrap_or(self.dialect == Dialect::V8_6)
    }

    pub(crate) fn http2(&self) -> bool {
        self.http2.unwrap_or(self.dialect > Dialect::V8_6)
    }

    pub(crate) fn max_answer_bytes(&self) -> usize {
        let by_dialect = if self.dialect == Dialect::V8_6 { 0 } else { 4 << 20 };
        match self.max_answer_bytes.unwrap_or(by_dialect) {
            0 => usize::MAX,
            limit => limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_flat_and_name_what_is_wrong() {
        let options = Options::from_json(br#"{"port": 7, "dialect": "8.6", "history": 3}"#).unwrap();
        assert_eq!((options.port, options.dialect, options.settings.history), (7, Dialect::V8_6, 3));
        for (text, name) in [
            (r#"{"prot": 7}"#, "prot"),
            (r#"{"port": 70000}"#, "port"),
            (r#"{"dialect": "8.5"}"#, "dialect"),
            (r#"{"chunked": 3}"#, "chunked"),
        ] {
            let error = Options::from_json(text.as_bytes()).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_no_setting_says_follows_the_dialect() {
        let old = Settings { dialect: Dialect::V8_6, ..Settings::default() };
        assert!(old.chunked() && !old.notices_departed() && old.max_answer_bytes() == usize::MAX);
        let new = Settings::default();
        assert!(!new.chunked() && new.notices_departed() && new.max_answer_bytes() == 4 << 20);
    }
}
