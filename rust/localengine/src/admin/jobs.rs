//! Adding and inspecting jobs.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Call;
use crate::camunda::problem;
use crate::http::Answer;
use crate::store::NewJobs;

/// Body of `POST /local/jobs` and, without `count`, of `POST /local/endless`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Addition {
    #[serde(rename = "type")]
    job_type: String,
    count: Option<u64>,
    variables: Option<Box<RawValue>>,
    headers: Option<Box<RawValue>>,
    retries: Option<i32>,
    priority: Option<i32>,
    tenant_id: Option<String>,
}

impl Addition {
    fn check(self, path: &str) -> Result<NewJobs, Answer> {
        let refuse = |words: &str| Err(problem::bad_request(path, words));
        if self.job_type.trim().is_empty() {
            return refuse("type: must not be blank");
        }
        if self.count == Some(0) {
            return refuse("count: must be at least 1");
        }
        if self.retries.is_some_and(|retries| retries < 1) {
            return refuse("retries: must be at least 1");
        }
        let mut jobs = NewJobs::new(self.job_type, self.count.unwrap_or(1));
        for (name, given, target) in
            [("variables", self.variables, &mut jobs.variables), ("headers", self.headers, &mut jobs.headers)]
        {
            let Some(given) = given else { continue };
            if !given.get().starts_with('{') {
                return refuse(&format!("{name}: must be an object"));
            }
            *target = given.get().to_owned();
        }
        jobs.retries = self.retries.unwrap_or(jobs.retries);
        jobs.priority = self.priority.unwrap_or(jobs.priority);
        jobs.tenant = self.tenant_id.unwrap_or(jobs.tenant);
        Ok(jobs)
    }
}

/// `POST /local/jobs`.
pub(super) fn add(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let jobs = call.read::<Addition>()?.check(call.path)?;
    let (first, last) = call.state.store.add(&jobs);
    Ok(super::json(&json!({"keys": [first, last], "count": jobs.count})))
}

/// `POST /local/endless`.
pub(super) fn add_endless(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let addition: Addition = call.read()?;
    if addition.count.is_some() {
        return Err(problem::bad_request(call.path, "count: an endless type has none"));
    }
    let jobs = addition.check(call.path)?;
    call.state.store.add_endless(&jobs);
    Ok(Answer::NO_CONTENT)
}

/// `DELETE /local/endless/{type}`.
pub(super) fn end_endless(call: &mut Call<'_>, job_type: &str) -> Result<Answer, Answer> {
    if call.state.store.end_endless(job_type) {
        return Ok(Answer::NO_CONTENT);
    }
    Err(problem::problem(404, "NOT_FOUND", "There is no such endless type.", call.path))
}
