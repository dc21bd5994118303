//! What the jobs of one addition have in common; a job refers to it instead of carrying it.

use std::cell::OnceCell;
use std::time::Instant;

/// Jobs to add, all alike.
#[derive(Clone, Debug)]
pub struct NewJobs {
    /// The job type that workers ask for.
    pub job_type: String,
    /// How many.
    pub count: u64,
    /// The variables: the text of a JSON object.
    pub variables: String,
    /// The task headers: the text of a JSON object.
    pub headers: String,
    /// Tries left.
    pub retries: i32,
    /// Higher is activated first.
    pub priority: i32,
    /// The tenant that owns them.
    pub tenant: String,
    /// `BPMN_ELEMENT`, `EXECUTION_LISTENER`, `TASK_LISTENER` or `AD_HOC_SUB_PROCESS`.
    pub kind: String,
    /// What a listener listens to; `UNSPECIFIED` for ordinary jobs.
    pub listener_event: String,
    /// The user task of a task listener: the text of a JSON object.
    pub user_task: Option<String>,
    /// Tags of the process instance.
    pub tags: Vec<String>,
    /// Business id of the process instance.
    pub business_id: Option<String>,
    /// Id of the process; `local` unless given.
    pub process_id: String,
    /// Id of the BPMN element; the job type unless given.
    pub element_id: Option<String>,
}

impl NewJobs {
    /// `count` jobs of `job_type` without variables, with three tries.
    pub fn new(job_type: impl Into<String>, count: u64) -> Self {
        Self {
            job_type: job_type.into(),
            count,
            variables: "{}".into(),
            headers: "{}".into(),
            retries: 3,
            priority: 0,
            tenant: "<default>".into(),
            kind: "BPMN_ELEMENT".into(),
            listener_event: "UNSPECIFIED".into(),
            user_task: None,
            tags: Vec::new(),
            business_id: None,
            process_id: "local".into(),
            element_id: None,
        }
    }

    /// The same jobs with this many tries.
    #[must_use]
    pub fn retries(mut self, retries: i32) -> Self {
        self.retries = retries;
        self
    }

    /// The same jobs with these variables, the text of a JSON object.
    #[must_use]
    pub fn variables(mut self, variables: impl Into<String>) -> Self {
        self.variables = variables.into();
        self
    }
}

/// The common part of jobs that were added together.
pub(crate) struct Blueprint {
    pub(crate) jobs: NewJobs,
    pub(crate) queue: u32,
    pub(crate) endless: bool,
    /// When they were added, for the latencies.
    pub(super) made: Instant,
    /// Room for wire dialects to keep what they rendered once: the bytes that all these jobs share.
    pub(crate) rendered: [OnceCell<Vec<Vec<u8>>>; 3],
}

impl Blueprint {
    pub(super) fn new(jobs: &NewJobs, queue: u32, endless: bool) -> Self {
        Self { jobs: jobs.clone(), queue, endless, made: Instant::now(), rendered: Default::default() }
    }
}
