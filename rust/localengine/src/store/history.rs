//! The jobs that ended last, for whoever wants to see what became of one.

use std::collections::VecDeque;
use std::rc::Rc;

use super::Blueprint;
use super::job::Job;

/// Longest text kept of one job; longer ones are left out.
const MAX_TEXT: usize = 4_096;

/// How a job ended.
#[derive(Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) state: &'static str,
    /// The variables that it was completed or its error was thrown with.
    pub(crate) variables: Option<&'a str>,
    /// The result of a listener or an ad-hoc sub-process.
    pub(crate) result: Option<&'a str>,
    pub(crate) error_code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
}

/// A job that ended.
pub(super) struct Ended {
    pub(super) key: u64,
    pub(super) blueprint: Rc<Blueprint>,
    pub(super) state: &'static str,
    pub(super) retries: i32,
    pub(super) activations: u32,
    pub(super) leased: bool,
    pub(super) worker: Option<Rc<str>>,
    pub(super) variables: Option<Box<str>>,
    pub(super) result: Option<Box<str>>,
    pub(super) error_code: Option<Box<str>>,
    pub(super) message: Option<Box<str>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct History {
    pub(super) limit: usize,
    ended: VecDeque<Ended>,
}

impl History {
    /// Keeps a job that ended. Jobs of endless types are for benches: nobody asks for them one by one.
    pub(super) fn add(&mut self, key: u64, job: &Job, worker: Option<Rc<str>>, ending: &Ending<'_>) {
        while self.ended.len() >= self.limit.max(1) {
            self.ended.pop_front();
        }
        if job.blueprint.endless || self.limit == 0 {
            return;
        }
        let keep = |text: Option<&str>| text.filter(|text| text.len() <= MAX_TEXT).map(Box::from);
        self.ended.push_back(Ended {
            key,
            blueprint: job.blueprint.clone(),
            state: ending.state,
            retries: job.retries,
            activations: job.activations,
            leased: job.leased,
            worker,
            variables: keep(ending.variables),
            result: keep(ending.result),
            error_code: keep(ending.error_code),
            message: keep(ending.message),
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter()
    }
}
