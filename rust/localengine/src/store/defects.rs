//! The jobs whose leases ended as none should, for whoever wants to know why the account counts them.

use std::collections::VecDeque;

use serde::Serialize;

use super::Store;

/// The newest are kept.
const LIMIT: usize = 64;

/// One activation that the account counts as expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Defect {
    #[serde(serialize_with = "text")]
    pub(crate) key: u64,
    pub(crate) r#type: String,
    /// Who held it.
    pub(crate) worker: String,
    /// Engine time, in milliseconds.
    pub(crate) at: u64,
    /// Its age then, from its activation, in milliseconds.
    pub(crate) held_ms: u64,
    /// Commands for it that a fault refused.
    pub(crate) refused: u16,
}

/// See the module.
#[derive(Default)]
pub(super) struct Defects(VecDeque<Defect>);

impl Defects {
    pub(super) fn add(&mut self, defect: Defect) {
        if self.0.len() >= LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(defect);
    }
}

impl Store {
    /// The newest, oldest first.
    pub(crate) fn defects(&self) -> impl Iterator<Item = &Defect> {
        self.defects.0.iter()
    }

    /// A fault refused a command for a job.
    pub(crate) fn note_refusal(&mut self, key: u64) {
        if let Some(job) = self.jobs.get_mut(&key) {
            job.refused = job.refused.saturating_add(1);
        }
    }

    /// What ended is the activation that holds the job now.
    pub(super) fn note_defect(&mut self, key: u64, at: u64) {
        let Some(job) = self.jobs.get(&key) else { return };
        let Some(batch) = &job.batch else { return };
        self.defects.add(Defect {
            key,
            r#type: job.blueprint.jobs.job_type.to_string(),
            worker: batch.worker.to_string(),
            at,
            held_ms: batch.made.elapsed().as_millis() as u64,
            refused: job.refused,
        });
    }
}

fn text<S: serde::Serializer>(key: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}
