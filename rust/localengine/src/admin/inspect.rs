//! Inspecting jobs.

use serde::{Serialize, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::Call;
use crate::camunda::problem;
use crate::http::Answer;
use crate::store::Look;

/// Jobs listed unless a limit is given.
const LIMIT: usize = 100;

#[derive(Serialize)]
struct View<'a> {
    key: u64,
    #[serde(rename = "type")]
    job_type: &'a str,
    tenant_id: &'a str,
    state: &'a str,
    retries: i32,
    priority: i32,
    activations: u32,
    leased: bool,
    worker: Option<&'a str>,
    until: Option<u64>,
    #[serde(serialize_with = "raw")]
    variables: Option<&'a str>,
    #[serde(serialize_with = "raw")]
    result: Option<&'a str>,
    error_code: Option<&'a str>,
    message: Option<&'a str>,
}

/// `GET /local/jobs/{key}`: where a job stands, or how it ended.
pub(super) fn one(call: &Call<'_>, key: &str) -> Result<Answer, Answer> {
    let look = key.parse().ok().and_then(|key| call.state.store.look(key));
    match look {
        Some(look) => Ok(super::json(&view(&look))),
        None => {
            Err(problem::problem(404, "NOT_FOUND", "No job has this key, or it ended long ago.", call.path))
        }
    }
}

/// `GET /local/jobs?type=&state=&limit=`.
pub(super) fn list(call: &Call<'_>) -> Result<Answer, Answer> {
    let job_type = call.parameter("type").filter(|text| !text.is_empty());
    let state = call.parameter("state").filter(|text| !text.is_empty());
    let limit = match call.parameter("limit").filter(|text| !text.is_empty()) {
        Some(text) => text.parse().map_err(|_| call.refuse("limit: must be a number"))?,
        None => LIMIT,
    };
    let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let looks = call
        .state
        .store
        .list(limit, |look| fits(&job_type, &look.blueprint.jobs.job_type) && fits(&state, look.state));
    let views: Vec<_> = looks.iter().map(view).collect();
    Ok(super::json(&json!({ "jobs": views })))
}

/// The same for the process that the engine runs in.
pub(crate) fn shown(look: &Look<'_>) -> serde_json::Value {
    serde_json::to_value(view(look)).unwrap_or_default()
}

fn view<'a>(look: &'a Look<'a>) -> View<'a> {
    View {
        key: look.key,
        job_type: &look.blueprint.jobs.job_type,
        tenant_id: &look.blueprint.jobs.tenant,
        state: look.state,
        retries: look.retries,
        priority: look.priority,
        activations: look.activations,
        leased: look.leased,
        worker: look.worker,
        until: look.until,
        variables: look.variables,
        result: look.result,
        error_code: look.error_code,
        message: look.message,
    }
}

/// Writes text that is JSON already.
fn raw<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let value = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    value.serialize(serializer)
}
