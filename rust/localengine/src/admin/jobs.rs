//! Adding jobs.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Call;
use crate::camunda::problem;
use crate::http::Answer;
use crate::store::NewJobs;

const KINDS: [&str; 4] = ["BPMN_ELEMENT", "EXECUTION_LISTENER", "TASK_LISTENER", "AD_HOC_SUB_PROCESS"];

/// Jobs in one addition: more are an endless type.
const MAX_COUNT: u64 = 1_000_000_000;

/// Body of `POST /local/jobs` and, without `count`, of `POST /local/endless`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Addition {
    #[serde(rename = "type")]
    job_type: String,
    count: Option<u64>,
    variables: Option<Box<RawValue>>,
    headers: Option<Box<RawValue>>,
    retries: Option<i32>,
    priority: Option<i32>,
    tenant_id: Option<String>,
    kind: Option<String>,
    listener_event_type: Option<String>,
    user_task: Option<Box<RawValue>>,
    tags: Option<Vec<String>>,
    business_id: Option<String>,
    process_id: Option<String>,
    element_id: Option<String>,
}

impl Addition {
    fn check(self, call: &Call<'_>) -> Result<NewJobs, Answer> {
        let rules = [
            (self.job_type.trim().is_empty(), "type: must not be blank"),
            (
                self.count.is_some_and(|count| !(1..=MAX_COUNT).contains(&count)),
                "count: must be 1 to 1000000000",
            ),
            (self.retries.is_some_and(|retries| retries < 1), "retries: must be at least 1"),
            (
                self.kind.as_deref().is_some_and(|kind| !KINDS.contains(&kind)),
                "kind: must be BPMN_ELEMENT, EXECUTION_LISTENER, TASK_LISTENER or AD_HOC_SUB_PROCESS",
            ),
        ];
        if let Some((_, words)) = rules.iter().find(|(broken, _)| *broken) {
            return Err(call.refuse(words));
        }
        let mut jobs = NewJobs::new(self.job_type, self.count.unwrap_or(1));
        jobs.variables = object(call, "variables", self.variables)?.unwrap_or(jobs.variables);
        jobs.headers = object(call, "headers", self.headers)?.unwrap_or(jobs.headers);
        jobs.retries = self.retries.unwrap_or(jobs.retries);
        jobs.priority = self.priority.unwrap_or(jobs.priority);
        jobs.tenant = self.tenant_id.unwrap_or(jobs.tenant);
        jobs.kind = self.kind.unwrap_or(jobs.kind);
        jobs.listener_event = self.listener_event_type.unwrap_or(jobs.listener_event);
        jobs.user_task = object(call, "user_task", self.user_task)?;
        jobs.tags = self.tags.unwrap_or_default();
        jobs.business_id = self.business_id;
        jobs.process_id = self.process_id.unwrap_or(jobs.process_id);
        jobs.element_id = self.element_id;
        Ok(jobs)
    }
}

fn object(call: &Call<'_>, name: &str, given: Option<Box<RawValue>>) -> Result<Option<String>, Answer> {
    match given {
        Some(given) if !given.get().starts_with('{') => {
            Err(call.refuse(&format!("{name}: must be an object")))
        }
        given => Ok(given.map(|given| given.get().to_owned())),
    }
}

/// `POST /local/jobs`.
pub(super) fn add(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let jobs = call.read::<Addition>()?.check(call)?;
    let (first, last) = call.state.store.add(&jobs);
    Ok(super::json(&json!({"keys": [first, last], "count": jobs.count})))
}

/// `POST /local/endless`.
pub(super) fn add_endless(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let addition: Addition = call.read()?;
    if addition.count.is_some() {
        return Err(call.refuse("count: an endless type has none"));
    }
    let jobs = addition.check(call)?;
    call.state.store.add_endless(&jobs);
    Ok(Answer::NO_CONTENT)
}

/// `DELETE /local/endless/{type}`.
pub(super) fn end_endless(call: &mut Call<'_>, job_type: &str) -> Result<Answer, Answer> {
    if call.state.store.end_endless(&super::decode(job_type)) {
        return Ok(Answer::NO_CONTENT);
    }
    Err(problem::problem(404, "NOT_FOUND", "There is no such endless type.", call.path))
}
