//! Inspecting jobs, live and ended.

use std::collections::BTreeMap;

use super::job::{Job, State};
use super::{Blueprint, Store};

/// What can be seen of one job.
pub(crate) struct Look<'a> {
    pub(crate) key: u64,
    pub(crate) blueprint: &'a Blueprint,
    pub(crate) state: &'static str,
    pub(crate) retries: i32,
    pub(crate) priority: i32,
    pub(crate) activations: u32,
    /// It was activated with a token once.
    pub(crate) leased: bool,
    pub(crate) worker: Option<&'a str>,
    /// End of the lease or the back-off.
    pub(crate) until: Option<u64>,
    pub(crate) variables: Option<&'a str>,
    pub(crate) result: Option<&'a str>,
    pub(crate) error_code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
}

impl State {
    /// The word for it in this engine's own API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Activated => "activated",
            Self::BackingOff => "backing_off",
            Self::Incident => "incident",
            Self::ErrorThrown => "uncaught_error",
        }
    }
}

impl Store {
    /// One job; None when it never was or ended too long ago.
    pub(crate) fn look(&self, key: u64) -> Option<Look<'_>> {
        if let Some(job) = self.jobs.get(&key) {
            return Some(live(key, job));
        }
        let waiting = self.queues.iter().find_map(|queue| queue.fresh(key));
        let ended = || self.endings().find(|look| look.key == key);
        waiting.map(|blueprint| fresh(key, blueprint)).or_else(ended)
    }

    /// The first `limit` jobs by key that satisfy the filter.
    pub(crate) fn list(&self, limit: usize, filter: impl Fn(&Look<'_>) -> bool) -> Vec<Look<'_>> {
        let alive = self.jobs.iter().map(|(key, job)| live(*key, job));
        let waiting =
            self.queues.iter().flat_map(|queue| queue.all_fresh(limit)).map(|(key, b)| fresh(key, b));
        let mut found = BTreeMap::new();
        for look in alive.chain(waiting).chain(self.endings()).filter(filter) {
            found.insert(look.key, look);
            if found.len() > limit {
                found.pop_last();
            }
        }
        found.into_values().collect()
    }

    /// The type of a job that lives.
    pub(crate) fn job_type(&self, key: u64) -> Option<&str> {
        let job = self.jobs.get(&key).map(|job| &*job.blueprint);
        let blueprint = job.or_else(|| self.queues.iter().find_map(|queue| queue.fresh(key)))?;
        Some(&blueprint.jobs.job_type)
    }

    fn endings(&self) -> impl Iterator<Item = Look<'_>> {
        self.history.iter().map(|ended| Look {
            key: ended.key,
            blueprint: &ended.blueprint,
            state: ended.state,
            retries: ended.retries,
            priority: ended.blueprint.jobs.priority,
            activations: ended.activations,
            leased: ended.leased,
            worker: ended.worker.as_deref(),
            until: None,
            variables: ended.variables.as_deref(),
            result: ended.result.as_deref(),
            error_code: ended.error_code.as_deref(),
            message: ended.message.as_deref(),
        })
    }
}

fn live(key: u64, job: &Job) -> Look<'_> {
    let notes = job.notes.as_deref();
    Look {
        key,
        blueprint: &job.blueprint,
        state: job.state.word(),
        retries: job.retries,
        priority: job.priority,
        activations: job.activations,
        leased: job.leased,
        worker: job.batch.as_ref().map(|batch| &*batch.worker),
        until: matches!(job.state, State::Activated | State::BackingOff).then_some(job.until),
        variables: Some(job.variables()),
        result: None,
        error_code: notes.and_then(|notes| notes.error_code.as_deref()),
        message: notes.and_then(|notes| notes.message.as_deref()),
    }
}

fn fresh(key: u64, blueprint: &Blueprint) -> Look<'_> {
    Look {
        key,
        blueprint,
        state: State::Waiting.word(),
        retries: blueprint.jobs.retries,
        priority: blueprint.jobs.priority,
        activations: 0,
        leased: false,
        worker: None,
        until: None,
        variables: Some(&blueprint.jobs.variables),
        result: None,
        error_code: None,
        message: None,
    }
}
