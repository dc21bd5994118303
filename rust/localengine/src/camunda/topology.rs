//! The cluster's description: one broker with one partition.

use serde_json::json;

use super::problem;
use crate::http::Answer;
use crate::options::Dialect;

impl Dialect {
    /// The version that the gateway reports.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::V8_6 => "8.6.0",
            Self::V8_8 => "8.8.9",
            Self::V8_10 => "8.10.0",
        }
    }
}

/// `GET /v2/topology`.
pub(super) fn topology(dialect: Dialect) -> Answer {
    let version = dialect.version();
    let mut body = json!({
        "brokers": [{
            "nodeId": 0, "host": "127.0.0.1", "port": 26501, "version": version,
            "partitions": [{"partitionId": 1, "role": "leader", "health": "healthy"}],
        }],
        "clusterSize": 1, "partitionsCount": 1, "replicationFactor": 1, "gatewayVersion": version,
    });
    if dialect > Dialect::V8_6
        && let Some(members) = body.as_object_mut()
    {
        members.insert("lastCompletedChangeId".into(), "-1".into());
        if dialect > Dialect::V8_8 {
            members.insert("clusterId".into(), "jobfleet-local".into());
        }
    }
    Answer::json(200, body.to_string())
}

/// `GET /v2/status`, which 8.6 does not have.
pub(super) fn status(dialect: Dialect, path: &str) -> Answer {
    if dialect == Dialect::V8_6 {
        problem::router(dialect, 404, "Not Found", path)
    } else {
        Answer::NO_CONTENT
    }
}
