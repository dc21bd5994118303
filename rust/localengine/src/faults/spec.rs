//! What a fault is made of, as JSON and in Rust.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum FaultKind {
    /// Backpressure in the encoding of the dialect's servers.
    #[serde(rename = "backpressure")]
    Backpressure,
    /// 429, problem RESOURCE_EXHAUSTED.
    #[serde(rename = "429")]
    TooManyRequests,
    /// 503, problem RESOURCE_EXHAUSTED.
    #[serde(rename = "503")]
    Unavailable,
    /// 503 without a body.
    #[serde(rename = "503_bare")]
    BareUnavailable,
    /// 503 whose title is the Java class PartitionNotFoundException.
    #[serde(rename = "503_partition")]
    PartitionNotFound,
    /// 500 that says RESOURCE_EXHAUSTED in its detail only, as 8.6 does on activation.
    #[serde(rename = "500")]
    HiddenBackpressure,
    /// 500 EXCEEDED_BATCH_RECORD_SIZE: never good by retrying.
    #[serde(rename = "500_record_size")]
    RecordTooLarge,
    /// 401 without a problem body.
    #[serde(rename = "401")]
    Unauthorized,
    /// 403, problem FORBIDDEN.
    #[serde(rename = "403")]
    Forbidden,
    /// 404 as HTML, from a proxy that lost its backend.
    #[serde(rename = "404_html")]
    ProxyNotFound,
    /// 502 as HTML, from a proxy.
    #[serde(rename = "502_html")]
    ProxyBadGateway,
    /// 504, problem DEADLINE_EXCEEDED, without an effect.
    #[serde(rename = "504")]
    GatewayTimeout,
    /// The connection is reset, nothing happened.
    #[serde(rename = "reset_before")]
    ResetBefore,
    /// The connection is reset after the command took effect.
    #[serde(rename = "reset_after")]
    ResetAfter,
    /// The answer never comes, nothing happened.
    #[serde(rename = "hang_before")]
    HangBefore,
    /// The answer never comes, the command took effect.
    #[serde(rename = "hang_after")]
    HangAfter,
    /// The body breaks off before the length it announced. An answer without a body is reset.
    #[serde(rename = "truncate")]
    Truncate,
    /// The message is whole, its JSON is not. An answer without a body is left alone.
    #[serde(rename = "cut_json")]
    CutJson,
    /// The answer comes late, by `latency_ms` and up to `jitter_ms` more.
    #[serde(rename = "latency")]
    Latency,
    /// Refusal of requests beyond `concurrent` in service at once, as by `answer`. Held polls are not in
    /// service; requests are while a latency delays them, so this fault wants one beside it.
    #[serde(rename = "limit")]
    Limit,
}

impl FaultKind {
    /// True for kinds that answer with an error instead of doing anything.
    pub(super) fn is_refusal(self) -> bool {
        use FaultKind::{
            Backpressure, BareUnavailable, Forbidden, GatewayTimeout, HiddenBackpressure, PartitionNotFound,
            ProxyBadGateway, ProxyNotFound, RecordTooLarge, TooManyRequests, Unauthorized, Unavailable,
        };
        matches!(
            self,
            Backpressure
                | TooManyRequests
                | Unavailable
                | BareUnavailable
                | PartitionNotFound
                | HiddenBackpressure
                | RecordTooLarge
                | Unauthorized
                | Forbidden
                | ProxyNotFound
                | ProxyBadGateway
                | GatewayTimeout
        )
    }
}

/// The requests that a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// All requests below.
    Any,
    /// Activations.
    Activate,
    /// Completions.
    Complete,
    /// Failures, hand-backs included.
    Fail,
    /// Thrown errors.
    Error,
    /// Updates: renewals of leases.
    Update,
    /// `GET /v2/topology` and `/v2/status`.
    Topology,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub fault: FaultKind,
    /// The requests concerned.
    #[serde(default = "any", deserialize_with = "one_or_more")]
    pub on: Vec<Target>,
    /// Only jobs of this type. Commands for jobs that ended have none.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// The share of the requests concerned, 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// How often it happens before it is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How many of the requests concerned are let through first.
    #[serde(default)]
    pub skip: u64,
    /// Fixed part of a latency.
    #[serde(default)]
    pub latency_ms: u64,
    /// Random part of a latency, at most.
    #[serde(default)]
    pub jitter_ms: u64,
    /// Requests in service that a limit lets through.
    #[serde(default)]
    pub concurrent: u64,
    /// How a limit refuses.
    #[serde(default = "backpressure")]
    pub answer: FaultKind,
}

impl Fault {
    /// A fault of every request of any kind.
    pub fn new(fault: FaultKind) -> Self {
        Self {
            fault,
            on: any(),
            job_type: None,
            probability: always(),
            count: None,
            skip: 0,
            latency_ms: 0,
            jitter_ms: 0,
            concurrent: 0,
            answer: backpressure(),
        }
    }

    /// The same for these requests only.
    #[must_use]
    pub fn on(mut self, targets: impl Into<Vec<Target>>) -> Self {
        self.on = targets.into();
        self
    }

    /// The same for this share of the requests.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// The same, this often.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// The same after letting this many requests through.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// The same for jobs of this type only.
    #[must_use]
    pub fn job_type(mut self, job_type: impl Into<String>) -> Self {
        self.job_type = Some(job_type.into());
        self
    }

    /// Answers that come this much later.
    pub fn latency(latency_ms: u64, jitter_ms: u64) -> Self {
        Self { latency_ms, jitter_ms, ..Self::new(FaultKind::Latency) }
    }

    /// Refusal of requests beyond this many at once.
    pub fn limit(concurrent: u64) -> Self {
        Self { concurrent, ..Self::new(FaultKind::Limit) }
    }

    /// What makes no sense about it, starting with the field's name.
    pub(crate) fn complaint(&self) -> Option<String> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Some("probability: must lie between 0 and 1".into());
        }
        if self.on.is_empty() {
            return Some("on: must name at least one kind of request".into());
        }
        if self.fault == FaultKind::Latency && self.latency_ms == 0 && self.jitter_ms == 0 {
            return Some("latency_ms: a latency needs latency_ms or jitter_ms".into());
        }
        if self.fault == FaultKind::Limit && self.concurrent == 0 {
            return Some("concurrent: a limit must let at least 1 request through".into());
        }
        if !self.answer.is_refusal() {
            return Some("answer: must be a kind that answers with an error".into());
        }
        None
    }
}

fn any() -> Vec<Target> {
    vec![Target::Any]
}

fn always() -> f64 {
    1.0
}

fn backpressure() -> FaultKind {
    FaultKind::Backpressure
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Target>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Targets {
        One(Target),
        More(Vec<Target>),
    }
    match Targets::deserialize(deserializer) {
        Ok(Targets::One(target)) => Ok(vec![target]),
        Ok(Targets::More(targets)) => Ok(targets),
        Err(_) => Err(serde::de::Error::custom(
            "on: expected one or a list of any, activate, complete, fail, error, update, topology",
        )),
    }
}
